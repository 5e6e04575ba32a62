//! Files that a bot's file names: inside its folder, and nothing but files.

use std::{
    fs::File,
    path::{Component, Path, PathBuf},
};

use super::config::diagnostics::quote;

/// Why a file is not opened, as the bot's author may be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The path leads out of the folder, or to something herald keeps for itself.
    #[error("{0}")]
    Outside(String),
    /// There is no such file.
    #[error("there is no file {0}")]
    Absent(String),
    /// It is there and cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// The path of a file below `folder`, links followed. Nothing leads out of the folder, or into `data`, where herald's own files are.
pub(crate) fn locate(folder: &Path, data: Option<&Path>, name: &Path) -> Result<PathBuf, Error> {
    let shown = quote(&name.to_string_lossy());
    let is_plain = name
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        && !name.as_os_str().is_empty()
        && !name.to_string_lossy().contains('\0');
    if !is_plain {
        let reason = format!("expected a file in the bot's folder, found {shown}");
        return Err(Error::Outside(reason));
    }
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Absent(shown.clone()),
        _ => Error::Unreadable(format!("cannot read {shown}: {error}")),
    };
    // The folder of a file named without one.
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let folder = folder.canonicalize().map_err(failed)?;
    let path = folder.join(name).canonicalize().map_err(failed)?;
    let is_own = data
        .and_then(|data| data.canonicalize().ok())
        .is_some_and(|data| path.starts_with(&data));
    if !path.starts_with(&folder) || is_own {
        let what = if is_own {
            "is among herald's own files"
        } else {
            "leads out of the bot's folder"
        };
        return Err(Error::Outside(format!("{shown} {what}")));
    }
    // Opening a pipe would wait for its writer, so the kind is looked at first.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Error::Outside(format!(
            "expected a file, found something else at {shown}"
        )));
    }
    Ok(path)
}

/// Opens a file below `folder`; see [`locate`].
pub(crate) fn open(folder: &Path, data: Option<&Path>, name: &Path) -> Result<File, Error> {
    let path = locate(folder, data, name)?;
    let shown = quote(&name.to_string_lossy());
    let unreadable = |error: std::io::Error| Error::Unreadable(format!("cannot read {shown}: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(Error::Outside(format!(
            "expected a file, found something else at {shown}"
        )));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Error, open};
    use std::{os::unix::fs::symlink, path::Path};

    #[test]
    fn nothing_but_files_below_the_folder_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let (folder, data) = (place.path().join("bots"), place.path().join("bots/data"));
        std::fs::create_dir_all(folder.join("lists")).unwrap();
        std::fs::create_dir_all(&data).unwrap();
        let write = |name: &str| std::fs::write(folder.join(name), "wallet\n").unwrap();
        for name in ["team.csv", "lists/a.csv", "a b..csv", "data/api.token"] {
            write(name);
        }
        std::fs::write(place.path().join("secret"), "x").unwrap();
        symlink("../secret", folder.join("out.csv")).unwrap();
        symlink("/etc/passwd", folder.join("far.csv")).unwrap();
        symlink("/etc", folder.join("etc")).unwrap();
        symlink("..", folder.join("up")).unwrap();
        symlink("data/api.token", folder.join("token.csv")).unwrap();
        symlink("team.csv", folder.join("link.csv")).unwrap();
        symlink("loop.csv", folder.join("loop.csv")).unwrap();
        symlink("/dev/zero", folder.join("zero.csv")).unwrap();
        let fifo = std::process::Command::new("mkfifo")
            .arg(folder.join("pipe.csv"))
            .status();
        assert!(fifo.unwrap().success());

        for name in [
            "team.csv",
            "./team.csv",
            "lists/a.csv",
            "lists/./a.csv",
            "a b..csv",
            "link.csv",
        ] {
            assert!(open(&folder, Some(&data), Path::new(name)).is_ok(), "{name}");
        }
        let outside = [
            "",
            ".",
            "..",
            "/",
            "../secret",
            "../bots/team.csv",
            "lists/../team.csv",
            "lists/../../secret",
            "./../secret",
            "/etc/passwd",
            "/dev/zero",
            "/dev/stdin",
            "/proc/self/environ",
            "out.csv",
            "far.csv",
            "etc/passwd",
            "etc/hostname",
            "up/secret",
            "up/bots/../secret",
            "data/api.token",
            "data/../data/api.token",
            "token.csv",
            "zero.csv",
            "pipe.csv",
            "lists",
            "lists/",
            "data",
            "team.csv\0.txt",
            "\0",
            "up",
            "etc",
            "..//secret",
        ];
        for name in outside {
            let found = open(&folder, Some(&data), Path::new(name));
            assert!(matches!(found, Err(Error::Outside(_))), "{name:?} {found:?}");
        }
        for name in [
            "absent.csv",
            "lists/absent.csv",
            "etc/absent",
            "~/secret",
            "$HOME/x",
            "%2e%2e/secret",
        ] {
            let found = open(&folder, Some(&data), Path::new(name));
            assert!(matches!(found, Err(Error::Absent(_))), "{name:?} {found:?}");
        }
        for name in ["loop.csv", "team.csv/x"] {
            let found = open(&folder, Some(&data), Path::new(name));
            assert!(matches!(found, Err(Error::Unreadable(_))), "{name:?} {found:?}");
        }
    }
}
