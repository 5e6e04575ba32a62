//! What an operator can set, with the defaults of `config/node.yaml`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

mod check;
mod limits;
mod location;
mod overrides;
mod problem;
mod read;
mod retention;
mod tls;
mod tree;
mod units;

pub use limits::{Factors, Limits, Rate};
pub use location::{Database, Location};
pub use overrides::Overrides;
pub use problem::Problem;
pub use retention::{Keep, Retention};
pub use tls::Tls;

use tree::Node;

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
    /// Acknowledges before the disk has it.
    pub dangerously_unsynced: bool,
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
    /// Who needs to be on the allow list.
    pub access: Access,
    /// What one caller may ask.
    pub limits: Limits,
    /// Speaks TLS on the HTTP and gRPC ports.
    pub tls: Option<Tls>,
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
    /// Whether only its owner reads an invitation, intro or private store topic.
    pub require_token_for_query: bool,
}

/// What every wallet may that is not deny listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Publish its contact and its private store.
    pub register: Admit,
    /// Publish at all.
    pub publish: Admit,
}

/// Whom a door is open to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Admit {
    /// Every wallet.
    #[default]
    Open,
    /// Wallets that are allow listed, and callers from addresses that are.
    Allowed,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: "127.0.0.1:5555".to_owned(),
            grpc: "127.0.0.1:5556".to_owned(),
            metrics: "127.0.0.1:8008".to_owned(),
            store: Path::new("data").join("node.db").into(),
            dangerously_unsynced: false,
            max_request: 8 * 1024 * 1024,
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            auth: Auth::default(),
            retention: Retention::default(),
            access: Access::default(),
            limits: Limits::default(),
            tls: None,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            max_age: Duration::from_hours(1),
            max_future: Duration::from_hours(1),
            require_token_for_query: false,
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
    /// A setting is not what is wanted.
    #[error(transparent)]
    Invalid(#[from] Problem),
}

impl Config {
    /// The defaults, changed by a file like `config/node.yaml`, then by the overrides; all of it checked.
    ///
    /// # Errors
    /// The first problem, with its place.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, Error> {
        let tree = match file {
            Some(path) => Node::read(path)?,
            None => Node::map(),
        };
        Ok(Self::resolve(tree, overrides)?)
    }

    /// Parses the text of such a file.
    ///
    /// # Errors
    /// The first problem, with its place; the file is told as `node.yaml`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let origin = problem::Origin::File(Path::new("node.yaml").into());
        Ok(Self::resolve(
            Node::parse(text, &origin, "")?,
            &Overrides::default(),
        )?)
    }

    fn resolve(mut tree: Node, overrides: &Overrides) -> Result<Self, Problem> {
        overrides.apply(&mut tree)?;
        let places = tree.places();
        let root = tree.place.clone();
        let config = Self::deserialize(tree).map_err(|problem| problem.located(&root, ""))?;
        match check::check(&config) {
            Ok(()) => Ok(config),
            Err(unfit) => Err(unfit.told(&places)),
        }
    }
}

#[cfg(test)]
mod tests;
