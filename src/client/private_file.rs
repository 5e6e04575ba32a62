//! Files that only their owner may read: keys, sealed or not.
//!
//! A file is there whole or not at all, whenever the power fails. One that others may read is refused, not mended: whoever
//! could read it may have done so.

use std::{
    ffi::OsString,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// A file that cannot be trusted, read or written. No message repeats anything of its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file's mode lets others at it.
    #[error("`{path}` can be read by others (mode {mode:04o}); run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A folder, a link, a device, or more than a file of keys can be.
    #[error("expected a file of at most {most} bytes at `{path}`, found {found}")]
    Unfit {
        /// The place.
        path: PathBuf,
        /// The bound.
        most: u64,
        /// What is there.
        found: &'static str,
    },
    /// The system failed.
    #[error("cannot {verb} `{path}`")]
    Failed {
        /// `read`, `write` or `make`.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Failed {
        verb,
        path: path.to_owned(),
        source,
    }
}

/// Reads a file of at most so many bytes; none when there is no such file.
pub(crate) fn read(path: &Path, most: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let unfit = |found| Error::Unfit {
        path: path.to_owned(),
        most,
        found,
    };
    // Looked at before it is opened: opening a pipe would wait for its writer.
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) if metadata.is_symlink() => return Err(unfit("a link")),
        Ok(_) => return Err(unfit("something else")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    }
    let file = File::open(path).map_err(failed("read", path))?;
    let metadata = file.metadata().map_err(failed("read", path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(Error::Open { path, mode });
    }
    // Allocated at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(metadata.len().min(most)).unwrap_or_default() + 64,
    ));
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > most {
        return Err(unfit("a larger one"));
    }
    Ok(Some(bytes))
}

/// Writes a new file; one that is there is somebody's and stays. Its folder is made when there is none, for the owner only.
#[cfg(feature = "cli")]
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_folder(path)?;
    write_new(path, bytes).map_err(failed("write", path))?;
    sync_folder(path)
}

/// Puts a file in the place of the one that is there, if any: after a crash there is the old one or the new one, whole.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    make_folder(path)?;
    let draft = draft_of(path).map_err(failed("write", path))?;
    let written = write_new(&draft, bytes).and_then(|()| std::fs::rename(&draft, path));
    written.map_err(|error| {
        let _ = std::fs::remove_file(&draft);
        failed("write", path)(error)
    })?;
    sync_folder(path)
}

/// A name beside the file that nobody else uses, not in this process either.
fn draft_of(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", const_hex::encode(random)));
    Ok(path.with_file_name(name))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The folder of a file; the current one when only a name is given.
fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Makes the folder that a file is named in, and those above it, where there are none.
fn make_folder(path: &Path) -> Result<(), Error> {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let missing: Vec<&Path> = folder(path).ancestors().take_while(is_missing).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            // By somebody else, at the same time.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(failed("make", folder))?,
        }
        sync_folder(folder)?;
    }
    Ok(())
}

/// A name, of a file or a folder, is on disk when the folder that it is in is.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder(path);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("write", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn what_is_written_is_its_owners_and_replaced_whole() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("keys/alice");
        assert!(read(&path, 9).unwrap().is_none());
        for bytes in [&b"one"[..], b"other"] {
            replace(&path, bytes).unwrap();
            assert_eq!(**read(&path, 9).unwrap().unwrap(), *bytes);
            assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        }
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(files.count(), 1, "no draft stays");
    }

    #[test]
    fn folders_above_the_file_are_made_for_the_owner_only() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b/../c/alice");
        replace(&path, b"one").unwrap();
        for folder in ["a", "a/b", "a/c"] {
            assert_eq!(mode(&base.path().join(folder)), 0o700, "{folder}");
        }
        std::fs::write(base.path().join("file"), "").unwrap();
        let beside_a_file = replace(&base.path().join("file/alice"), b"one");
        assert!(matches!(beside_a_file, Err(Error::Failed { .. })));
    }

    #[test]
    fn any_number_of_writers_in_one_process_leave_one_whole_file() {
        let base = tempfile::tempdir().unwrap();
        let path = &base.path().join("new/alice");
        std::thread::scope(|scope| {
            for writer in 0..8_u8 {
                scope.spawn(move || {
                    for _ in 0..20 {
                        replace(path, &[writer; 64]).unwrap();
                    }
                });
            }
        });
        let bytes = read(path, 64).unwrap().unwrap();
        assert!(bytes.len() == 64 && bytes.iter().all(|byte| *byte == bytes[0]));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_and_left_as_it_is() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("alice");
        replace(&path, b"one").unwrap();
        for open in [0o640, 0o604, 0o610, 0o601] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
            assert!(matches!(read(&path, 9), Err(Error::Open { mode, .. }) if mode == open));
            assert_eq!(mode(&path), open);
        }
    }

    #[test]
    fn links_folders_and_large_files_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let (path, link) = (base.path().join("alice"), base.path().join("link"));
        replace(&path, &[7; 10]).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read(&path, 10).unwrap().is_some());
        for (path, most) in [(&*path, 9), (&*link, 10), (base.path(), 10)] {
            assert!(matches!(read(path, most), Err(Error::Unfit { .. })), "{path:?}");
        }
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("alice");
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(
            replace(&path, b"one"),
            Err(Error::Failed { verb: "write", .. })
        ));
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 1);
    }
}
