//! The one place that embeds a node.

use std::path::Path;

use anyhow::Context as _;
pub use herald_node::Addresses;
use herald_node::{Config, Host, Listeners, clock, command, config::Overrides, listen::Purpose, metrics};
use herald_protocol::time::Clock;
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
        self.serve_for(host, shutdown).await
    }

    async fn serve_for(self, host: Host, shutdown: CancellationToken) -> anyhow::Result<()> {
        herald_node::run(self.listeners, self.config, host, shutdown)
            .await
            .context("the node")
    }
}

/// A node in this process on free ports of the loopback address, for as long as this value lives: for trying things out.
#[derive(Debug)]
pub struct Local {
    address: NodeAddress,
    shutdown: CancellationToken,
    /// Ends the node when dropped.
    serving: JoinSet<anyhow::Result<()>>,
}

impl Local {
    /// Starts a node that keeps its data in this folder.
    pub async fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_serving(data, Embedded::serve).await
    }

    /// Starts a node on another clock than the machine's, beside others of the process: it counts nothing.
    pub async fn start_at(data: &Path, clock: Clock) -> anyhow::Result<Self> {
        let host = Host {
            clock,
            metrics: metrics::unmeasured(),
        };
        Self::start_serving(data, |node, shutdown| node.serve_for(host, shutdown)).await
    }

    async fn start_serving<F>(
        data: &Path,
        serve: impl FnOnce(Embedded, CancellationToken) -> F,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let any = || "127.0.0.1:0".to_owned();
        let ports = Ports {
            http: any(),
            grpc: any(),
            metrics: any(),
        };
        let node = Embedded::bind(&ports, data).await?;
        let address = NodeAddress::plain(node.addresses().grpc);
        let mut serving = JoinSet::new();
        let shutdown = CancellationToken::new();
        serving.spawn(serve(node, shutdown.clone()));
        Ok(Self {
            address,
            shutdown,
            serving,
        })
    }

    /// Ends the node and waits for it.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.serving.join_next().await {
            ended??;
        }
        Ok(())
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
