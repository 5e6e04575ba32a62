//! The API token: made at the first start, readable by its owner only.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::{Choice, ConstantTimeEq as _};

use crate::bot::{Project, config::secret};

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

/// What a caller of the API must show: one of several.
#[derive(Clone, Debug)]
pub struct ApiToken {
    secrets: Vec<SecretString>,
}

/// The project's tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// They cannot be read.
    #[error("`api.tokens`")]
    Secret(#[from] secret::Error),
    /// One of them could be guessed.
    #[error("`api.tokens`: line {line} has fewer than {SHORTEST} characters")]
    Short {
        /// The line, from 1.
        line: usize,
    },
}

/// The shortest token that is taken: 16 characters of hex are 64 bits.
const SHORTEST: usize = 16;

impl ApiToken {
    /// Reads the token, or makes one of 32 random bytes with mode 0600.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error {
            path: path.to_owned(),
            source,
        };
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Ok(Self {
                secrets: vec![SecretString::from(text.trim().to_owned())],
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
                    secrets: vec![SecretString::from(token)],
                })
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Takes the project's tokens beside it, one a line.
    pub fn and(mut self, project: &Project) -> Result<Self, TokensError> {
        let Some(reference) = &project.tokens else {
            return Ok(self);
        };
        let text = reference.resolve(project.folder())?;
        for (index, line) in text.expose_secret().lines().enumerate() {
            let token = line.trim();
            if token.is_empty() {
                continue;
            }
            if token.len() < SHORTEST {
                return Err(TokensError::Short { line: index + 1 });
            }
            self.secrets.push(SecretString::from(token.to_owned()));
        }
        Ok(self)
    }

    /// Whether an `Authorization` header shows a token; in constant time.
    pub(super) fn accepts(&self, authorization: Option<&str>) -> bool {
        let shown = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        let shown = shown.trim().as_bytes();
        let accepted = self
            .secrets
            .iter()
            .map(|secret| secret.expose_secret().as_bytes().ct_eq(shown));
        accepted.fold(Choice::from(0), |any, one| any | one).into()
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

    #[test]
    fn the_projects_tokens_are_taken_beside_it_and_short_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let own = ApiToken::load_or_create(&folder.path().join("api.token")).unwrap();
        let file = folder.path().join("tokens");
        let with = |text: &str| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            let project = Project {
                file: Some(folder.path().join("herald.yaml")),
                tokens: Some("file:tokens".parse().unwrap()),
                ..Project::default()
            };
            own.clone().and(&project)
        };
        let tokens = with("0123456789abcdef\n\n fedcba9876543210 \n").unwrap();
        for token in ["0123456789abcdef", "fedcba9876543210"] {
            assert!(tokens.accepts(Some(&format!("Bearer {token}"))));
            assert!(!own.accepts(Some(&format!("Bearer {token}"))));
            assert!(!format!("{tokens:?}").contains(token));
        }
        assert!(!tokens.accepts(Some("Bearer ")) && !tokens.accepts(Some("Bearer 0123456789abcdef0")));
        let short = with("0123456789abcdef\nhunter2").unwrap_err();
        assert_eq!(
            short.to_string(),
            "`api.tokens`: line 2 has fewer than 16 characters"
        );
    }
}
