//! A whole node on a runtime of its own, as `herald node` runs one.

use std::{future::Future, net::SocketAddr, path::Path, sync::OnceLock};

use herald::client::NodeAddress;
use herald_node::{Config, Host};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{Error, engine::Engine};

pub(crate) struct Node {
    runtime: Runtime,
    running: JoinHandle<Result<(), herald_node::Error>>,
    shutdown: CancellationToken,
    address: NodeAddress,
    grpc: SocketAddr,
    http: String,
    store: String,
}

impl Node {
    /// Starts one with default settings, its store in `folder`, on free ports.
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        Self::start_on(Engine::Sqlite, folder)
    }

    /// One with this kind of store.
    pub(crate) fn start_on(engine: Engine, folder: &Path) -> Result<Self, Error> {
        static HOST: OnceLock<Host> = OnceLock::new();
        let any = || "127.0.0.1:0".to_owned();
        let store = engine.store(folder)?;
        let config = Config {
            http: any(),
            grpc: any(),
            metrics: any(),
            store: store.parse()?,
            ..Config::default()
        };
        let runtime = runtime("node")?;
        let listeners = runtime.block_on(config.bind())?;
        let addresses = listeners.addresses();
        let address = NodeAddress::plain(addresses.grpc);
        let host = if let Some(host) = HOST.get() {
            host.clone()
        } else {
            let metrics = herald_node::metrics::install()?;
            HOST.get_or_init(|| Host {
                clock: herald::clock::now.into(),
                metrics,
            })
            .clone()
        };
        let shutdown = CancellationToken::new();
        let running = runtime.spawn(herald_node::run(listeners, config, host, shutdown.clone()));
        Ok(Self {
            runtime,
            running,
            shutdown,
            address,
            grpc: addresses.grpc,
            http: format!("http://{}", addresses.http),
            store,
        })
    }

    /// Where HTTP clients find it.
    pub(crate) fn http(&self) -> &str {
        &self.http
    }

    /// Its store, as its configuration names it.
    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    pub(crate) fn address(&self) -> NodeAddress {
        self.address.clone()
    }

    /// Where raw sockets find its gRPC.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Runs client work on the node's threads.
    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Drains and closes the store.
    pub(crate) fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        Ok(self.runtime.block_on(self.running)??)
    }
}

/// A runtime as programs have it, one thread a core.
pub(crate) fn runtime(name: &str) -> Result<Runtime, Error> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .thread_name(name)
        .enable_all()
        .build()?)
}
