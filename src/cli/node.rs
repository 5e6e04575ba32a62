//! `herald node`: the network layer alone.

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Failure, Options, print, signals};
use crate::network::{self, Ports};

/// Runs a node until SIGTERM or SIGINT.
#[derive(Args, Debug)]
pub(super) struct Node {
    #[command(flatten)]
    ports: Listen,
}

/// Where a node listens. Port 0 takes any free one.
#[derive(Args, Clone, Debug)]
pub(super) struct Listen {
    /// The HTTP/JSON gateway, where XMTP JavaScript clients with `env: "local"` look
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5555")]
    pub(super) http: String,
    /// gRPC
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5556")]
    pub(super) grpc: String,
    /// Metrics and health
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8008")]
    pub(super) metrics: String,
}

impl Listen {
    pub(super) fn ports(&self) -> Ports {
        Ports {
            http: self.http.clone(),
            grpc: self.grpc.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

impl Node {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        options.make_data()?;
        let shutdown = CancellationToken::new();
        let signalled = signals::cancel_on_signal(shutdown.clone())?;
        let node = network::Embedded::bind(&self.ports.ports(), &options.data)
            .await
            .map_err(Failure::Usage)?;
        let addresses = node.addresses();
        if options.json {
            print::json(&serde_json::json!({
                "event": "ready", "http": addresses.http, "grpc": addresses.grpc, "metrics": addresses.metrics,
            }));
        } else {
            print::line(&format!(
                "node: http://{}  grpc://{}  metrics http://{}/metrics",
                addresses.http, addresses.grpc, addresses.metrics
            ));
        }
        let serve = async {
            let served = node.serve(shutdown.clone()).await;
            // A node that failed does not wait for a signal.
            shutdown.cancel();
            served
        };
        let (served, ()) = tokio::join!(serve, signalled);
        served.map_err(unusable)
    }
}

/// A store that cannot be had is the operator's to change; all else is a failure.
pub(super) fn unusable(error: anyhow::Error) -> anyhow::Error {
    if network::is_unusable(&error) {
        Failure::Usage(error).into()
    } else {
        error
    }
}
