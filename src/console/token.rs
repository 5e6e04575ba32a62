//! The API token: made at the first start, readable by its owner only.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// The token cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("the API token at {}", path.display())]
pub struct Error {
    /// The file.
    path: PathBuf,
    /// What the system said.
    #[source]
    source: std::io::Error,
}

/// What a caller of the API must show.
#[derive(Clone, Debug)]
pub struct ApiToken {
    secret: SecretString,
}

impl ApiToken {
    /// Reads the token, or makes one of 32 random bytes with mode 0600.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error {
            path: path.to_owned(),
            source,
        };
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Ok(Self {
                secret: SecretString::from(text.trim().to_owned()),
            }),
            Ok(_) => Err(failed(std::io::Error::new(
                ErrorKind::InvalidData,
                "the file is empty; remove it",
            ))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                getrandom::fill(&mut bytes)
                    .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
                let token = const_hex::encode(bytes);
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(failed)?;
                writeln!(file, "{token}").map_err(failed)?;
                Ok(Self {
                    secret: SecretString::from(token),
                })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether an `Authorization` header shows the token; in constant time.
    pub(super) fn accepts(&self, authorization: Option<&str>) -> bool {
        let shown = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        self.secret
            .expose_secret()
            .as_bytes()
            .ct_eq(shown.trim().as_bytes())
            .into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_made_once_for_its_owner_only_and_nothing_else_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.token");
        let token = ApiToken::load_or_create(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let again = ApiToken::load_or_create(&path).unwrap();
        for token in [token, again] {
            assert!(token.accepts(Some(&format!("Bearer {}", text.trim()))));
            assert!(!token.accepts(Some(&format!("Bearer {}0", text.trim()))));
            assert!(!token.accepts(Some("Bearer ")) && !token.accepts(None));
            assert!(!format!("{token:?}").contains(text.trim()));
        }
    }
}
