//! One running node: opens the store, serves the three ports, and takes them down in an order that loses nothing.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Host, Listeners,
    api::{
        Api,
        access::Access,
        gateway, grpc,
        health::{self, GrpcHealth, Readiness, Reading},
    },
    connection::{self, Protocol, Tasks},
    metrics, operator,
    store::{self, Store, retention},
    subscription::Feed,
};

/// Why a node did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::OpenError),
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
/// When the store cannot be opened, or failed meanwhile (the node then goes on answering queries until the shutdown).
pub async fn run(
    listeners: Listeners,
    config: Config,
    host: Host,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let (arrivals, arrived) = mpsc::channel(ARRIVED_BATCHES);
    if config.dangerously_unsynced {
        tracing::warn!("`dangerously_unsynced` is set: a power cut loses publishes that were acknowledged");
    }
    let store =
        Arc::new(Store::open(&config.store, !config.dangerously_unsynced, host.clock, arrivals).await?);
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
        access: Access::new(host.clock, config.auth.clone()),
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
        host.clock,
        feeding_ends.clone(),
    ));
    background.spawn(upkeep(host.clone(), Arc::clone(&store), feeding_ends.clone()));
    background.spawn(health::watch_store(
        Arc::clone(&store),
        read,
        feeding_ends.clone(),
    ));

    let tasks = Tasks::default();
    let ping = Protocol::Grpc {
        ping: config.heartbeat,
    };
    let grpc = grpc::routes(Arc::clone(&api), GrpcHealth::new(readiness.clone()));
    let http = gateway::routes(api, config.heartbeat);
    let node = operator::Node {
        readiness: readiness.clone(),
        store: Arc::clone(&store),
        feed: Arc::clone(&feed),
    };
    let operator = operator::routes(node, host.metrics);
    let operator_ends = CancellationToken::new();
    let operator_tasks = Tasks::default();
    tasks.spawn(connection::serve(
        listeners.grpc,
        ping,
        grpc,
        tasks.clone(),
        shutdown.clone(),
    ));
    tasks.spawn(connection::serve(
        listeners.http,
        Protocol::Http,
        http,
        tasks.clone(),
        shutdown.clone(),
    ));
    background.spawn(connection::serve(
        listeners.metrics,
        Protocol::Http,
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
