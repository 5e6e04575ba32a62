//! Without a sub-command: the node itself.

use tokio_util::sync::CancellationToken;

use super::Error;
use crate::{Addresses, Config, Host, clock, metrics, server};

/// Takes the ports, tells them to `ready`, and serves until `shutdown` is cancelled.
pub(super) async fn execute(
    config: Config,
    shutdown: CancellationToken,
    ready: impl FnOnce(Addresses),
) -> Result<(), Error> {
    let listeners = config.bind().await?;
    let host = Host {
        clock: clock::wall.into(),
        metrics: metrics::install()?,
    };
    ready(listeners.addresses());
    Ok(server::run(listeners, config, host, shutdown).await?)
}
