//! Where a node keeps its envelopes: a file path, or the URL of a `PostgreSQL` database.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};
use tokio_postgres::config::{Host, SslMode};

/// A file of `SQLite`, or a database of `PostgreSQL`. Says neither user nor password when it is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// The file; its folder is made when missing.
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the options of `libpq` URLs.
    Postgres(Box<Database>),
}

/// A `PostgreSQL` database and how to trust it.
#[derive(Clone, PartialEq, Eq)]
pub struct Database {
    pub(crate) config: tokio_postgres::Config,
    /// Certificates of its authority (`sslrootcert`); without, the web's authorities are trusted.
    pub(crate) authority: Option<PathBuf>,
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Sqlite(path)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::Sqlite(path.to_owned())
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "found nothing, wanted a file or a URL like `postgres://user@host/database`".to_owned(),
            );
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(Box::new(Database::parse(text)?)));
        }
        // Anything with a scheme was meant for another store; a password may stand in it.
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!(
                "found a `{scheme}` URL, wanted a file or a `postgres` URL"
            ));
        }
        Ok(Self::Sqlite(PathBuf::from(text)))
    }
}

impl Database {
    /// `sslmode=verify-ca` and `verify-full` mean `require` here, which always verifies; `sslrootcert` is ours to read.
    fn parse(text: &str) -> Result<Self, String> {
        // The parser's own texts may repeat what it could not read.
        let malformed =
            || "not a URL like `postgres://user:password@host:5432/database?sslmode=require`".to_owned();
        let (address, options) = text.split_once('?').unwrap_or((text, ""));
        let mut authority = None;
        let mut kept = Vec::new();
        let mut verified = false;
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslrootcert", path)) => authority = Some(PathBuf::from(path)),
                Some(("sslmode", "verify-ca" | "verify-full")) => verified = true,
                _ => kept.push(option),
            }
        }
        let mut config: tokio_postgres::Config = format!("{address}?{}", kept.join("&"))
            .parse()
            .map_err(|_| malformed())?;
        if config.get_hosts().is_empty() {
            return Err(malformed());
        }
        if verified || authority.is_some() {
            config.ssl_mode(SslMode::Require);
        }
        Ok(Self { config, authority })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(database) => database.fmt(formatter),
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        for (number, host) in self.config.get_hosts().iter().enumerate() {
            if number > 0 {
                formatter.write_str(",")?;
            }
            match host {
                Host::Tcp(name) => formatter.write_str(name)?,
                #[cfg(unix)]
                Host::Unix(folder) => folder.display().fmt(formatter)?,
            }
        }
        write!(formatter, "/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_database_and_all_else_a_file() {
        assert_eq!(
            "data/node.db".parse(),
            Ok(Location::Sqlite("data/node.db".into()))
        );
        let database: Location =
            "postgresql://node:secret@db.example:5433/herald?sslmode=verify-full&connect_timeout=5"
                .parse()
                .unwrap();
        assert_eq!(
            format!("{database} {database:?}"),
            "postgres://db.example/herald postgres://db.example/herald"
        );
        let Location::Postgres(database) = database else {
            panic!("a database")
        };
        assert_eq!(database.config.get_ssl_mode(), SslMode::Require);
        let socket: Location = "postgres://node@%2Frun%2Fpostgresql/herald".parse().unwrap();
        assert_eq!(socket.to_string(), "postgres:///run/postgresql/herald");
    }

    #[test]
    fn a_url_that_is_none_is_refused_without_repeating_a_password() {
        for text in [
            "postgres://",
            "postgres://u:secret@h:port/d",
            "postgres://u:secret@h/d?secret=1",
            "mysql://u:secret@h/d",
            "",
        ] {
            let refused = text.parse::<Location>().unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
            assert!(refused.contains("postgres"), "{refused}");
        }
    }
}
