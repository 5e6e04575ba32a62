//! References to secrets. A bot's file names where a secret is; the value is read when it is needed and never printed.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::SecretString;
use zeroize::Zeroizing;

mod command;

pub use command::Command;

/// The largest secret file that is read, bytes; keys and tokens are far below.
const LARGEST_FILE: usize = 64 * 1024;

/// The file beside a bot whose lines `NAME=VALUE` stand for variables that the environment does not have.
const BESIDE: &str = ".env";

/// Where a secret is found: `env:NAME`, `file:PATH` or `exec:COMMAND`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SecretReference {
    /// A variable of the environment, else a line of the file `.env` in the folder.
    Environment(String),
    /// A file; a relative path starts at the folder of the bot's file.
    File(PathBuf),
    /// What a command prints.
    Command(Command),
}

impl SecretReference {
    /// Reads the secret, without the line end that editors leave behind it.
    ///
    /// # Errors
    /// The variable is not set or empty; the file is absent, unreadable, empty, too large, or open to others; the command fails or
    /// takes too long. What a command gave is kept: clones of a reference run it once.
    pub fn resolve(&self, base: &Path) -> Result<SecretString, Error> {
        let text: Zeroizing<String> = match self {
            Self::Environment(name) => match environment(name) {
                Ok(value) => value,
                Err(unset) => beside(base, name)?.ok_or(unset)?,
            },
            Self::File(path) => read_private(&base.join(path))?,
            Self::Command(command) => return command.resolve(base),
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(Error::Empty(self.to_string()));
        }
        // Of exactly its length, so that the box is made of it without a copy.
        Ok(SecretString::from(secret.to_owned()))
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(command) => write!(f, "exec:{}", command.text()),
        }
    }
}

impl fmt::Debug for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SecretReference {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.split_once(':') {
            Some(("env", name)) if is_variable(name) => Ok(Self::Environment(name.to_owned())),
            Some(("env", name)) => Err(Malformed::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() && !path.contains('\0') => Ok(Self::File(path.into())),
            Some(("exec", text)) => text.parse().map(Self::Command).map_err(Malformed::Command),
            _ => Err(Malformed::Shape),
        }
    }
}

/// Why a text is no reference to a secret. The text itself is left out: it may be a secret written in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Neither of the known forms.
    #[error("expected a reference like `env:NAME`, `file:PATH` or `exec:COMMAND`")]
    Shape,
    /// `env:` with something that no environment variable is called.
    #[error("expected the name of an environment variable after `env:`, found `{0}`")]
    Variable(String),
    /// `exec:` with something that is no command.
    #[error("expected a command after `exec:`, {0}")]
    Command(&'static str),
}

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The variable is not in the environment, or not UTF-8.
    #[error("environment variable `{0}` is not set")]
    Unset(String),
    /// There is no such file.
    #[error("there is no file `{0}`")]
    Absent(PathBuf),
    /// The secret has no characters.
    #[error("`{0}` is empty")]
    Empty(String),
    /// The file's mode lets others read it.
    #[error("`{path}` can be read by others (mode {mode:04o}); run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The command cannot be run, fails, says nothing, or does not end.
    #[error("`{command}` {problem}")]
    Command {
        /// The command as the file has it.
        command: String,
        /// What is wrong. Nothing that the command printed.
        problem: String,
    },
    /// Not a file, or larger than a secret can be.
    #[error("expected a file of at most 64 KiB at `{0}`")]
    Unfit(PathBuf),
    /// Reading failed.
    #[error("cannot read `{path}`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether the secret is missing, as opposed to being there and unusable.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unset(_) | Self::Absent(_))
    }
}

/// Whether a text can be the name of an environment variable, as shells spell them.
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of secrets in the environment"
)]
fn environment(name: &str) -> Result<Zeroizing<String>, Error> {
    let read = std::env::var(name).map(Zeroizing::new);
    read.map_err(|_| Error::Unset(name.to_owned()))
}

/// The value of a variable in the file `.env` of a folder, if there is one; the file is its owner's alone to read.
fn beside(folder: &Path, name: &str) -> Result<Option<Zeroizing<String>>, Error> {
    let text = match read_private(&folder.join(BESIDE)) {
        Err(error) if error.is_missing() => return Ok(None),
        text => text?,
    };
    let value = text.lines().find_map(|line| {
        let line = line.trim();
        let (key, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    });
    let bare = |value: &str| {
        let quoted = |quote: char| {
            value
                .strip_prefix(quote)?
                .strip_suffix(quote)
                .map(ToOwned::to_owned)
        };
        Zeroizing::new(
            quoted('"')
                .or_else(|| quoted('\''))
                .unwrap_or_else(|| value.to_owned()),
        )
    };
    Ok(value.map(bare))
}

/// Reads a file that only its owner may read.
fn read_private(path: &Path) -> Result<Zeroizing<String>, Error> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Absent(path.to_owned()),
        _ => Error::Read {
            path: path.to_owned(),
            source,
        },
    };
    // Opening a pipe would wait for its writer, so the kind is looked at first.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(Error::Unfit(path.to_owned()));
    }
    let file = std::fs::File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    refuse_open(path, &metadata)?;
    // All that is read has room from the start: growing would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE + 64));
    file.take(LARGEST_FILE as u64 + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() > LARGEST_FILE {
        return Err(Error::Unfit(path.to_owned()));
    }
    Ok(text)
}

#[cfg(unix)]
fn refuse_open(path: &Path, metadata: &std::fs::Metadata) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o7777;
    let for_others = mode & 0o077;
    if for_others == 0 {
        Ok(())
    } else {
        Err(Error::Open {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn refuse_open(_: &Path, _: &std::fs::Metadata) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Error, Malformed, SecretReference};
    use secrecy::ExposeSecret as _;
    use std::path::Path;

    fn reference(text: &str) -> SecretReference {
        text.parse().unwrap()
    }

    #[test]
    fn a_reference_reads_and_prints_as_written() {
        for text in [
            "env:SHOP_KEY",
            "file:/run/secrets/a key",
            "file:keys/shop.hex",
            "exec:pass show 'my shop'",
        ] {
            assert_eq!(reference(text).to_string(), text);
            assert_eq!(format!("{:?}", reference(text)), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_without_repeating_a_possible_secret() {
        assert_eq!("0xdeadbeef".parse::<SecretReference>(), Err(Malformed::Shape));
        assert_eq!("whsec_abc".parse::<SecretReference>(), Err(Malformed::Shape));
        assert_eq!("file:".parse::<SecretReference>(), Err(Malformed::Shape));
        assert_eq!(
            "env:1A".parse::<SecretReference>(),
            Err(Malformed::Variable("1A".into()))
        );
        for text in ["exec:", "exec:  ", "exec:pass 'show", "exec:''"] {
            assert!(matches!(
                text.parse::<SecretReference>(),
                Err(Malformed::Command(_))
            ));
        }
        assert!(!Malformed::Shape.to_string().contains("whsec"));
    }

    #[test]
    fn a_missing_secret_is_told_apart_from_a_broken_one() {
        let base = tempfile::tempdir().unwrap();
        let unset = reference("env:HERALD_TEST_NEVER_SET")
            .resolve(base.path())
            .unwrap_err();
        assert!(unset.is_missing());
        assert_eq!(
            unset.to_string(),
            "environment variable `HERALD_TEST_NEVER_SET` is not set"
        );
        assert!(
            reference("file:absent")
                .resolve(base.path())
                .unwrap_err()
                .is_missing()
        );
        assert!(matches!(
            reference("file:.").resolve(base.path()),
            Err(Error::Unfit(_))
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("key");
        let write = |mode: u32, text: &str| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write(0o600, "hunter2\n");
        let secret = reference("file:key").resolve(base.path()).unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        for mode in [0o640, 0o604, 0o644] {
            write(mode, "hunter2");
            assert!(
                matches!(
                    reference("file:key").resolve(base.path()),
                    Err(Error::Open { .. })
                ),
                "{mode:o}"
            );
        }
        for (bytes, fits) in [(super::LARGEST_FILE, true), (super::LARGEST_FILE + 1, false)] {
            write(0o600, &"x".repeat(bytes));
            let read = reference("file:key").resolve(base.path());
            assert!(
                match &read {
                    Ok(secret) => fits && secret.expose_secret().len() == bytes,
                    Err(error) => !fits && matches!(error, Error::Unfit(_)),
                },
                "{bytes} bytes: {read:?}"
            );
        }
        write(0o600, "\n");
        assert!(matches!(
            reference("file:key").resolve(Path::new(base.path())),
            Err(Error::Empty(_))
        ));
    }
}
