//! What an operator can set, with the defaults of `config/node.yaml`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

mod location;
mod retention;
mod units;

pub use location::{Database, Location};
pub use retention::{Keep, Retention};

/// Settings of one node. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the HTTP/JSON gateway listens, `host:port`; port 0 takes any free one.
    pub http: String,
    /// Where gRPC listens.
    pub grpc: String,
    /// Where `/metrics`, `/healthz` and `/readyz` are served.
    pub metrics: String,
    /// Where envelopes are kept.
    pub store: Location,
    /// Largest request in bytes, on both transports.
    #[serde(deserialize_with = "units::bytes")]
    pub max_request: usize,
    /// Longest silence on an HTTP stream before a space is sent, and time between gRPC pings.
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat: Duration,
    /// How long envelopes may wait for a stream that is not read at all, before it is cut.
    #[serde(deserialize_with = "units::duration")]
    pub stall: Duration,
    /// How long a shutdown waits for calls in flight.
    #[serde(deserialize_with = "units::duration")]
    pub drain: Duration,
    /// Tokens of publishers.
    pub auth: Auth,
    /// How long envelopes are kept.
    pub retention: Retention,
}

/// Bounds of a publisher's token, by the node's clock.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Oldest token that is taken.
    #[serde(deserialize_with = "units::duration")]
    pub max_age: Duration,
    /// How far ahead of the node's clock a token may be dated: phone clocks are often wrong.
    #[serde(deserialize_with = "units::duration")]
    pub max_future: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: "127.0.0.1:5555".to_owned(),
            grpc: "127.0.0.1:5556".to_owned(),
            metrics: "127.0.0.1:8008".to_owned(),
            store: Path::new("data").join("node.db").into(),
            max_request: 8 * 1024 * 1024,
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            auth: Auth::default(),
            retention: Retention::default(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(1),
            max_future: Duration::from_hours(1),
        }
    }
}

/// Why a configuration was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The text is not a node configuration.
    #[error("{key}: {source}")]
    Invalid {
        /// The key path, or `.` for the whole file.
        key: String,
        /// What is wrong there, with line and column.
        source: serde_yaml::Error,
    },
}

impl Config {
    /// Reads a file like `config/node.yaml`; what it leaves out has its default.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Parses the text of such a file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        serde_path_to_error::deserialize(serde_yaml::Deserializer::from_str(text)).map_err(|error| {
            let key = error.path().to_string();
            Error::Invalid {
                key,
                source: error.into_inner(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_file_says_the_defaults_and_every_key() {
        let text = include_str!("../../config/node.yaml");
        assert_eq!(Config::parse(text).unwrap(), Config::default());
        let keys: Vec<String> = format!("{:#?}", Config::default())
            .lines()
            .filter_map(|line| line.trim().split_once(": ").map(|(key, _)| format!("{key}:")))
            .collect();
        for key in keys {
            assert!(
                text.lines().any(|line| line.trim_start().starts_with(&key)),
                "{key} is missing"
            );
        }
    }

    #[test]
    fn a_wrong_key_and_a_wrong_value_are_named() {
        let unknown = Config::parse("htp: 127.0.0.1:1\n").unwrap_err().to_string();
        assert!(
            unknown.starts_with("htp: unknown field `htp`, expected one of `http`"),
            "{unknown}"
        );
        let wrong = Config::parse("auth:\n  max_age: soon\n").unwrap_err().to_string();
        assert!(
            wrong.starts_with("auth.max_age: ") && wrong.contains("`soon`"),
            "{wrong}"
        );
    }
}
