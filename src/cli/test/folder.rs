//! A folder for one test, gone with it.

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

/// Made in memory where the system has a place for that: nothing of a test outlives it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> std::io::Result<Self> {
        // Two tests of one process have two folders.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let places = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
        let name = format!(
            "herald-test-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        let mut refused = std::io::Error::other("there is no place for it");
        for place in places {
            let path = place.join(&name);
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind after a failure is small, and the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
