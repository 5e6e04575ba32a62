//! The one place that embeds a node.

use std::path::Path;

use anyhow::Context as _;
pub use herald_node::Addresses;
use herald_node::{Config, Host, Listeners, clock, command, config::Overrides, listen::Purpose, metrics};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::client::NodeAddress;

/// Where the node listens; port 0 takes any free one.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The HTTP/JSON gateway.
    pub http: String,
    /// gRPC.
    pub grpc: String,
    /// Metrics and health.
    pub metrics: String,
}

/// The metrics of a process whose bots use other nodes.
#[derive(Debug)]
pub struct Metrics {
    listener: TcpListener,
    address: std::net::SocketAddr,
}

impl Metrics {
    /// Takes the port. A busy one says by whom.
    pub async fn bind(ports: &Ports) -> anyhow::Result<Self> {
        let (listener, address) = herald_node::listen::listen(&ports.metrics, Purpose::Metrics).await?;
        Ok(Self { listener, address })
    }

    /// The port that was taken.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Serves until shutdown.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let handle = metrics::install().context("metrics")?;
        herald_node::operator::serve(self.listener, handle, shutdown)
            .await
            .context("metrics")
    }
}

/// A node in this process whose ports are taken and which is not yet served.
#[derive(Debug)]
pub struct Embedded {
    config: Config,
    listeners: Listeners,
}

impl Embedded {
    /// Takes the ports. A busy one says by whom.
    pub async fn bind(ports: &Ports, data: &Path) -> anyhow::Result<Self> {
        let flags = command::Flags {
            config: None,
            http: Some(ports.http.clone()),
            grpc: Some(ports.grpc.clone()),
            metrics: Some(ports.metrics.clone()),
        };
        let config = flags.resolve(Overrides::of_process()?, Some(data))?;
        let listeners = config.bind().await?;
        Ok(Self { config, listeners })
    }

    /// Takes the port of herald's own API.
    pub async fn listen(address: &str) -> anyhow::Result<TcpListener> {
        Ok(herald_node::listen::listen(address, Purpose::Api).await?.0)
    }

    /// The ports that were taken.
    pub fn addresses(&self) -> Addresses {
        self.listeners.addresses()
    }

    /// Serves until shutdown, then drains.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let host = Host {
            clock: clock::wall.into(),
            metrics: metrics::install().context("metrics")?,
        };
        herald_node::run(self.listeners, self.config, host, shutdown)
            .await
            .context("the node")
    }
}

/// A node in this process on free ports of the loopback address, for as long as this value lives: for trying things out.
#[derive(Debug)]
pub struct Local {
    address: NodeAddress,
    /// Ends the node when dropped.
    _serving: JoinSet<anyhow::Result<()>>,
}

impl Local {
    /// Starts a node that keeps its data in this folder.
    pub async fn start(data: &Path) -> anyhow::Result<Self> {
        let any = || "127.0.0.1:0".to_owned();
        let ports = Ports {
            http: any(),
            grpc: any(),
            metrics: any(),
        };
        let node = Embedded::bind(&ports, data).await?;
        let address = NodeAddress::plain(node.addresses().grpc);
        let mut serving = JoinSet::new();
        serving.spawn(node.serve(CancellationToken::new()));
        Ok(Self {
            address,
            _serving: serving,
        })
    }

    /// Where clients find it.
    pub fn address(&self) -> NodeAddress {
        self.address.clone()
    }
}

/// Whether a node ended because its store cannot be had: another node holds it, or the folder cannot be used.
pub fn is_unusable(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(herald_node::Error::Store(_)))
}
