//! One running node: opens the store, serves the three ports, and takes them down in an order that loses nothing.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use herald_protocol::proto::api::message_api_server::MessageApi;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Addresses, Config, Host, Listeners,
    api::{
        Api,
        access::Access,
        gateway, grpc,
        health::{self, GrpcHealth, Readiness, Reading},
        limits::Limits,
    },
    caller::Callers,
    connection::{self, Gate, Port, Protocol, Tasks},
    envelope::Arrival,
    metrics, operator,
    store::{self, Store, retention},
    subscription::Feed,
    tls::{self, Certificate},
};

/// Why a node did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::Error),
    /// Without its lists a node would let in whom it was told not to.
    #[error("the access lists cannot be read")]
    AccessLists(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A write failed while the node ran. What was acknowledged before is on disk; nothing was acknowledged after.
    #[error(
        "the store could not be written, see the log; after a restart it can be used if the disk works again"
    )]
    StoreFailed,
}

/// Serves until `shutdown` is cancelled, then drains: no new work, calls in flight finish, streams end with a reason, the
/// store is closed. Takes at most `config.drain` for that.
///
/// # Errors
/// When the certificate or the store cannot be used, or the store failed meanwhile (the node then goes on answering queries
/// until the shutdown).
pub async fn run(
    listeners: Listeners,
    config: Config,
    host: Host,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let certificate = config.tls.clone().map(Certificate::load).transpose()?;
    warn_of_dangers(&config, listeners.addresses());
    let callers = Arc::new(Callers::new(&config.limits));
    let (arrivals, arrived) = mpsc::channel(ARRIVED_BATCHES);
    let store = Arc::new(open_store(&config, &host, arrivals).await?);
    let feed = Arc::new(Feed::new(Arc::clone(&store), config.stall));
    let (drain, draining) = watch::channel(false);
    // It was opened and migrated a moment ago.
    let (read, reading) = watch::channel(Reading::Works);
    let readiness = Readiness {
        writable: store.writable(),
        reading,
        draining: draining.clone(),
    };
    let api = Arc::new(Api {
        store: Arc::clone(&store),
        feed: Arc::clone(&feed),
        access: open_access(&config, &host, &store).await?,
        limits: Arc::new(Limits::new(&config.limits, Arc::clone(&callers))),
        draining,
        max_request: config.max_request,
    });

    let feeding_ends = CancellationToken::new();
    let mut background = JoinSet::new();
    background.spawn(Arc::clone(&feed).run(arrived));
    background.spawn(Arc::clone(&feed).watch(feeding_ends.clone()));
    background.spawn(retention::run(
        Arc::clone(&store),
        config.retention,
        host.clock.clone(),
        feeding_ends.clone(),
    ));
    background.spawn(upkeep(host.clone(), Arc::clone(&store), feeding_ends.clone()));
    background.spawn(health::watch_store(
        Arc::clone(&store),
        read,
        feeding_ends.clone(),
    ));
    if let Some(certificate) = &certificate {
        background.spawn(Arc::clone(certificate).keep_current(feeding_ends.clone()));
    }
    background.spawn(follow_lists(Arc::clone(&api), shutdown.clone()));

    let tasks = Tasks::default();
    let gate = Gate::new("api", config.limits.clone(), Arc::clone(&callers));
    let grpc = Port {
        tls: certificate
            .as_ref()
            .map(|certificate| certificate.acceptor(&[tls::HTTP2])),
        ..grpc_port(
            listeners.grpc,
            config.heartbeat,
            grpc::routes(Arc::clone(&api), GrpcHealth::new(readiness.clone())),
            Arc::clone(&gate),
        )
    };
    let http = Port {
        listener: listeners.http,
        protocol: Protocol::Http,
        routes: gateway::routes(api, config.heartbeat),
        conversations: &[],
        tls: certificate.map(|certificate| certificate.acceptor(&[tls::HTTP2, tls::HTTP1])),
        gate,
    };
    let node = operator::Node {
        readiness: readiness.clone(),
        store: Arc::clone(&store),
        feed: Arc::clone(&feed),
    };
    let operator = Port {
        listener: listeners.metrics,
        protocol: Protocol::Http,
        routes: operator::routes(node, host.metrics),
        conversations: &[],
        tls: None,
        gate: Gate::new("operator", config.limits, callers),
    };
    let operator_ends = CancellationToken::new();
    let operator_tasks = Tasks::default();
    tasks.spawn(connection::serve(grpc, tasks.clone(), shutdown.clone()));
    tasks.spawn(connection::serve(http, tasks.clone(), shutdown.clone()));
    background.spawn(connection::serve(
        operator,
        operator_tasks.clone(),
        operator_ends.clone(),
    ));

    shutdown.cancelled().await;
    tracing::info!("draining");
    drain.send_replace(true);
    feed.close();
    tasks.end(config.drain).await;
    let failed = !*readiness.writable.borrow();
    // Health is answered until the end, so that a balancer sees the drain.
    store.close().await;
    operator_ends.cancel();
    operator_tasks.end(OPERATOR_DRAIN).await;
    feeding_ends.cancel();
    background.shutdown().await;
    if failed { Err(Error::StoreFailed) } else { Ok(()) }
}

/// Serves gRPC as a node does, with another handler and without anything behind it, until `shutdown`: what the handler of the
/// node is measured against.
pub async fn serve_handler(
    listener: TcpListener,
    config: &Config,
    handler: impl MessageApi,
    shutdown: CancellationToken,
) {
    let callers = Arc::new(Callers::new(&config.limits));
    let gate = Gate::new("api", config.limits.clone(), callers);
    let routes = grpc::routes_of(handler, config.max_request, |services| services);
    let port = grpc_port(listener, config.heartbeat, routes, gate);
    let tasks = Tasks::default();
    connection::serve(port, tasks.clone(), shutdown).await;
    tasks.end(config.drain).await;
}

fn grpc_port(listener: TcpListener, ping: Duration, routes: Router, gate: Arc<Gate>) -> Port {
    Port {
        listener,
        protocol: Protocol::Grpc { ping },
        routes,
        conversations: &grpc::CONVERSATIONS,
        tls: None,
        gate,
    }
}

async fn open_store(
    config: &Config,
    host: &Host,
    arrivals: mpsc::Sender<Vec<Arrival>>,
) -> Result<Store, Error> {
    let clock = host.clock.clone();
    Ok(Store::open(&config.store, !config.dangerously_unsynced, clock, arrivals).await?)
}

async fn open_access(config: &Config, host: &Host, store: &Store) -> Result<Access, Error> {
    let clock = host.clock.clone();
    Access::open(clock, config.auth.clone(), config.access.clone(), store)
        .await
        .map_err(|error| Error::AccessLists(Box::new(error)))
}

async fn follow_lists(api: Arc<Api>, shutdown: CancellationToken) {
    api.access.follow_lists(&api.store, shutdown).await;
}

fn warn_of_dangers(config: &Config, addresses: Addresses) {
    if config.dangerously_unsynced {
        tracing::warn!("`dangerously_unsynced` is set: a power cut loses publishes that were acknowledged");
    }
    let reachable = |address: SocketAddr| !address.ip().to_canonical().is_loopback();
    if config.tls.is_none() && (reachable(addresses.http) || reachable(addresses.grpc)) {
        tracing::warn!(
            http = %addresses.http,
            grpc = %addresses.grpc,
            "others can reach this node without TLS, and tokens travel in plain: set `tls`, or let only a proxy that speaks \
             TLS reach it"
        );
    }
}

/// Histograms gather samples until somebody empties them; the size of the store is asked of the disk.
async fn upkeep(host: Host, store: Arc<Store>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        host.metrics.run_upkeep();
        match store.size().await {
            Ok(size) => metrics::store_size(size.bytes, size.free_bytes),
            Err(error) => tracing::debug!(%error, "the size of the store cannot be seen"),
        }
    }
}

/// Batches of arrivals between writer and feed; the writer waits when they are full.
const ARRIVED_BATCHES: usize = 8;
/// Somebody who reads metrics gets the answer he is in the middle of.
const OPERATOR_DRAIN: Duration = Duration::from_secs(1);
const UPKEEP: Duration = Duration::from_secs(5);
