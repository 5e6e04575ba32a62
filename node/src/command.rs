//! The `node` command in plain pieces: flags to a configuration, a configuration to a running node.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::{Addresses, Config, Host, config, listen, server};

/// What the command line may set; what it leaves out stays as the configuration has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// A file like `config/node.yaml`.
    pub config: Option<PathBuf>,
    /// `--http ADDR`
    pub http: Option<String>,
    /// `--grpc ADDR`
    pub grpc: Option<String>,
    /// `--metrics ADDR`
    pub metrics: Option<String>,
    /// `--data DIR`: the folder of `node.db`.
    pub data: Option<PathBuf>,
}

impl Flags {
    /// The configuration these flags mean.
    pub fn resolve(self) -> Result<Config, config::Error> {
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
            store: self.data.map_or(base.store, |folder| store_in(&folder).into()),
            ..base
        })
    }
}

/// Where a data folder has the node's store.
pub fn store_in(data: &Path) -> PathBuf {
    data.join("node.db")
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A port could not be taken.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The node did not start, or did not end well.
    #[error(transparent)]
    Node(#[from] server::Error),
}

/// Takes the ports, tells them to `ready`, and serves until `shutdown` is cancelled.
pub async fn execute(
    config: Config,
    host: Host,
    shutdown: CancellationToken,
    ready: impl FnOnce(Addresses),
) -> Result<(), Error> {
    let listeners = config.bind().await?;
    ready(listeners.addresses());
    Ok(server::run(listeners, config, host, shutdown).await?)
}
