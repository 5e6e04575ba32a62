//! Connections: accepted, served until they end or the node stops, all owned by one set.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// All tasks of a set of connections, so that somebody can wait for them, and at last end them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    running: TaskTracker,
    abort: CancellationToken,
}

impl Tasks {
    pub(crate) fn spawn(&self, task: impl Future + Send + 'static) {
        let abort = self.abort.clone();
        self.running.spawn(async move {
            abort.run_until_cancelled(task).await;
        });
    }

    /// Waits until all have ended; those that have not after `limit` are dropped where they stand.
    pub(crate) async fn end(&self, limit: Duration) {
        self.running.close();
        if tokio::time::timeout(limit, self.running.wait()).await.is_err() {
            tracing::warn!(tasks = self.running.len(), "not every call ended in time");
            self.abort.cancel();
            self.running.wait().await;
        }
    }
}

/// How a listener speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1, or HTTP/2 by prior knowledge.
    Http,
    /// HTTP/2 only, with pings.
    Grpc {
        /// Time between pings, and how long their answer may take.
        ping: Duration,
    },
}

/// Serves `routes` on `listener` until `shutdown`; connections then end after their calls. All tasks are in `tasks`.
pub(crate) async fn serve(
    listener: TcpListener,
    protocol: Protocol,
    routes: Router,
    tasks: Tasks,
    shutdown: CancellationToken,
) {
    let server = Arc::new(builder(protocol, tasks.clone()));
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((socket, _peer)) => {
                tasks.spawn(connection(
                    Arc::clone(&server),
                    socket,
                    routes.clone(),
                    shutdown.clone(),
                ));
            }
            // Out of descriptors, mostly: the connections that end free some.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    server: Arc<auto::Builder<Tasks>>,
    socket: TcpStream,
    routes: Router,
    shutdown: CancellationToken,
) {
    // Small streamed answers must not wait for more. Fails only on a socket that is gone already.
    let _ = socket.set_nodelay(true);
    let service = TowerToHyperService::new(routes);
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

fn builder(protocol: Protocol, tasks: Tasks) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_BYTES);
    match protocol {
        Protocol::Http => builder,
        Protocol::Grpc { ping } => {
            builder.http2().keep_alive_interval(ping).keep_alive_timeout(ping);
            builder.http2_only()
        }
    }
}

/// Hyper spawns a task for every call on a connection.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}

/// Generous: clients keep hundreds of live streams on one connection beside their calls.
const STREAMS: u32 = 10_000;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const HEADER_BYTES: u32 = 16 * 1024;
const HEADER_TIME: Duration = Duration::from_mins(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
