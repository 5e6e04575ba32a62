//! `node backup`: a copy of the store, while the node runs on it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;

use super::{Error, Options, line, progress::Progress};
use crate::{
    Config,
    config::Location,
    store::{OpenError, archive},
};

/// Copies the store as it is at this moment into a file, which is a store itself; a node may run meanwhile.
#[derive(Args, Clone, Debug)]
pub(super) struct Backup {
    /// The file to make; an existing one is not written over
    file: PathBuf,
}

impl Backup {
    pub(super) async fn execute(self, config: &Config, options: &Options) -> Result<(), Error> {
        let Location::Sqlite(store) = &config.store else {
            return Err(Error::BackupOfDatabase);
        };
        let unusable = |source| Error::File {
            path: self.file.clone(),
            source,
        };
        // Taken at once, and visible to its owner only.
        let part = part_of(&self.file);
        if self.file.exists() {
            return Err(Error::Exists(self.file));
        }
        let mut progress = Progress::new("bytes", archive::copy_size(store).map_err(opened)?);
        let copied = copy(store.clone(), part.clone(), &mut progress).await;
        if copied.is_err() {
            // What is left of it is no copy.
            let _ = fs::remove_file(&part);
        }
        copied?;
        let bytes = File::open(&part)
            .and_then(|file| {
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
                file.sync_all()?;
                Ok(file.metadata()?.len())
            })
            .map_err(unusable)?;
        fs::hard_link(&part, &self.file).map_err(unusable)?;
        fs::remove_file(&part).map_err(unusable)?;
        progress.end();
        let file = self.file.display().to_string();
        line(&if options.json {
            serde_json::json!({ "event": "backup", "file": file, "bytes": bytes }).to_string()
        } else {
            format!("{file}: {bytes} bytes")
        });
        Ok(())
    }
}

async fn copy(store: PathBuf, part: PathBuf, progress: &mut Progress) -> Result<(), Error> {
    let seen = part.clone();
    let mut copying = tokio::task::spawn_blocking(move || archive::copy_file(&store, &part));
    let mut ticks = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            copied = &mut copying => {
                return copied.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).map_err(opened);
            }
            _ = ticks.tick() => progress.at(fs::metadata(&seen).map_or(0, |part| part.len())),
        }
    }
}

/// Beside the file, so that it can become it.
pub(super) fn part_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    PathBuf::from(name)
}

pub(super) fn opened(error: OpenError) -> Error {
    Error::Node(error.into())
}

const LOOK: Duration = Duration::from_millis(100);
