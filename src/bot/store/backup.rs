//! A copy of the store, made while it is in use.

use std::{fs::File, os::unix::fs::OpenOptionsExt as _, path::Path};

use super::{Error, Store};

impl Store {
    /// Writes a copy of everything to a file that is not there yet, as it is at this moment. It can be opened like the store itself.
    ///
    /// # Errors
    /// The file is there, or cannot be written; what was written of it is removed.
    pub async fn back_up(&self, copy: &Path) -> Result<(), Error> {
        let failed = |source| Error::Io {
            path: copy.to_owned(),
            source,
        };
        // The file is made first, for the owner alone; SQLite fills an empty one.
        let mut new = File::options();
        new.write(true).create_new(true).mode(0o600);
        new.open(copy).map_err(failed)?;
        let target = copy.to_string_lossy().into_owned();
        let copied = match &self.readers {
            Some(readers) => {
                readers
                    .read(move |connection| connection.execute("VACUUM INTO ?1", [target]))
                    .await
            }
            None => None,
        };
        let copied = self.outcome(copied);
        let synced = match copied {
            Ok(_) => File::open(copy).and_then(|file| file.sync_all()).map_err(failed),
            Err(error) => Err(error),
        };
        if synced.is_err() {
            let _ = std::fs::remove_file(copy);
        }
        synced
    }
}
