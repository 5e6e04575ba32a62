//! One node per store: a lock file beside it, held as long as the writer lives and released by the operating system at any death.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use super::super::OpenError;

#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn acquire(store: &Path) -> Result<Self, OpenError> {
        let folder = store
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let unusable = |source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        };
        // Readable by its owner only; a folder that exists stays as it is.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(unusable)?;
        let mut name = store.as_os_str().to_owned();
        name.push(".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(Path::new(&name))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only for the message: whatever cannot be read is named as unknown.
                let _ = (&file).take(64).read_to_string(&mut holder);
                let holder = if holder.is_empty() {
                    "unknown process".to_owned()
                } else {
                    holder
                };
                return Err(OpenError::InUse {
                    path: store.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        file.set_len(0)
            .and_then(|()| write!(file, "process {}", std::process::id()))
            .map_err(unusable)?;
        Ok(Self { _file: file })
    }
}
