//! The `node` command, of `herald` and of `herald-node` alike: flags to a configuration, a configuration to a running node.

use std::path::{Path, PathBuf};

use clap::Args;
use metrics_exporter_prometheus::BuildError;
use tokio_util::sync::CancellationToken;

use crate::{Addresses, Config, config, listen, server};

mod serve;

/// Runs a node until SIGTERM or SIGINT.
#[derive(Args, Clone, Debug)]
pub struct Node {
    #[command(flatten)]
    flags: Flags,
}

/// What every node command takes; `herald` has the same for all of its commands.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// The folder of the store
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// What the command line may set; what it leaves out stays as the configuration has it.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Settings, as config/node.yaml explains them; the flags win over it
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The HTTP/JSON gateway, where XMTP JavaScript clients with `env: "local"` look [default: 127.0.0.1:5555]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// gRPC [default: 127.0.0.1:5556]
    #[arg(long, value_name = "ADDR")]
    pub grpc: Option<String>,
    /// Metrics and health [default: 127.0.0.1:8008]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration was not taken.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A port could not be taken.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The node did not start, or did not end well.
    #[error(transparent)]
    Node(#[from] server::Error),
    /// The process records metrics already.
    #[error("metrics cannot be recorded")]
    Metrics(#[from] BuildError),
}

impl Node {
    /// Does what the command line says, a running node until `shutdown` is cancelled; `ready` is told its ports.
    ///
    /// # Errors
    /// When it could not be done; [`Error::exit_code`] says whose turn it is.
    pub async fn execute(
        self,
        options: &Options,
        shutdown: CancellationToken,
        ready: impl FnOnce(Addresses),
    ) -> Result<(), Error> {
        let config = self.flags.resolve(options.data.as_deref())?;
        serve::execute(config, shutdown, ready).await
    }
}

impl Flags {
    /// The configuration these flags mean, with the store in this folder where one is named.
    pub fn resolve(self, data: Option<&Path>) -> Result<Config, config::Error> {
        let base = self
            .config
            .as_deref()
            .map(Config::read)
            .transpose()?
            .unwrap_or_default();
        Ok(Config {
            http: self.http.unwrap_or(base.http),
            grpc: self.grpc.unwrap_or(base.grpc),
            metrics: self.metrics.unwrap_or(base.metrics),
            store: data.map_or(base.store, |folder| folder.join("node.db").into()),
            ..base
        })
    }
}

impl Error {
    /// 2 for what the operator has to change, be it flags, configuration, a port or a store that is in use; else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Listen(_) | Self::Node(server::Error::Store(_)) => 2,
            Self::Node(_) | Self::Metrics(_) => 1,
        }
    }
}

/// The ports of a ready node as one JSON object, for whoever started the process with port 0.
pub fn ready(addresses: Addresses) -> serde_json::Value {
    let Addresses { http, grpc, metrics } = addresses;
    serde_json::json!({ "event": "ready", "http": http, "grpc": grpc, "metrics": metrics })
}
