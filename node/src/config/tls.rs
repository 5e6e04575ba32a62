//! The certificate that the node shows.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::units;

/// Where certificate and key are, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate, then those that lead from it to an authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Time between looks at whether the files changed.
    #[serde(default = "a_minute", deserialize_with = "units::duration")]
    pub reload: Duration,
}

fn a_minute() -> Duration {
    Duration::from_mins(1)
}
