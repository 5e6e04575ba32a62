//! Connections: accepted, served until they end or the node stops, all owned by one set.

use std::{
    convert::Infallible,
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use crate::{config, metrics};

mod body;
mod gate;
mod pulse;

pub(crate) use gate::Gate;

use body::{Arriving, Leaving};
use gate::Admitted;
use pulse::{Pulse, Verdict, Watched};

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

/// A listener and what it serves.
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) protocol: Protocol,
    pub(crate) routes: Router,
    /// Paths of calls whose request goes on as long as they last.
    pub(crate) conversations: &'static [&'static str],
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) gate: Arc<Gate>,
}

/// Serves a port until `shutdown`; connections then end after their calls. All tasks are in `tasks`.
pub(crate) async fn serve(port: Port, tasks: Tasks, shutdown: CancellationToken) {
    let server = Arc::new(Server {
        http: builder(port.protocol, &port.gate.limits, tasks.clone()),
        routes: port.routes,
        conversations: port.conversations,
        tls: port.tls,
    });
    while let Some(accepted) = shutdown.run_until_cancelled(port.listener.accept()).await {
        match accepted {
            Ok((socket, address)) => {
                if let Some(admitted) = port.gate.admit(address) {
                    tasks.spawn(connection(
                        Arc::clone(&server),
                        socket,
                        admitted,
                        shutdown.clone(),
                    ));
                }
            }
            // Out of descriptors, mostly: the connections that end free some.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// What the connections of a port share.
struct Server {
    http: auto::Builder<Tasks>,
    routes: Router,
    conversations: &'static [&'static str],
    tls: Option<TlsAcceptor>,
}

async fn connection(server: Arc<Server>, socket: TcpStream, admitted: Admitted, shutdown: CancellationToken) {
    // Small streamed answers must not wait for more. Fails only on a socket that is gone already.
    let _ = socket.set_nodelay(true);
    let Some(tls) = &server.tls else {
        return speak(&server, socket, &admitted, &shutdown).await;
    };
    // Boxed: a connection without TLS needs no room for one.
    let encrypted = Box::pin(async {
        let handshake = tokio::time::timeout(admitted.gate.limits.handshake, tls.accept(socket));
        match shutdown.run_until_cancelled(handshake).await {
            Some(Ok(Ok(socket))) => speak(&server, socket, &admitted, &shutdown).await,
            Some(Ok(Err(error))) => tracing::debug!(%error, "a TLS handshake failed"),
            Some(Err(_elapsed)) => metrics::connection_ended("silent"),
            None => {}
        }
    });
    encrypted.await;
}

/// Answers the calls on one connection until it ends, is of no more use, or the node stops.
async fn speak(
    server: &Server,
    socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    admitted: &Admitted,
    shutdown: &CancellationToken,
) {
    let pulse = Pulse::new();
    let socket = TokioIo::new(Watched::new(socket, Arc::clone(&pulse)));
    let calls = service_fn(|request| answer(server, admitted, &pulse, request));
    let mut serving = pin!(server.http.serve_connection(socket, calls));
    let mut look = pin!(tokio::time::sleep(admitted.gate.limits.handshake));
    let mut ending = false;
    let ended = loop {
        tokio::select! {
            ended = serving.as_mut() => break ended,
            () = shutdown.cancelled(), if !ending => {
                ending = true;
                serving.as_mut().graceful_shutdown();
            }
            () = look.as_mut() => {
                let next = match pulse.verdict(&admitted.gate.limits) {
                    Verdict::Until(next) => next,
                    Verdict::Silent => return metrics::connection_ended("silent"),
                    Verdict::Blocked => return metrics::connection_ended("blocked"),
                    Verdict::Idle if ending => return,
                    Verdict::Idle => {
                        metrics::connection_ended("idle");
                        ending = true;
                        serving.as_mut().graceful_shutdown();
                        Instant::now() + admitted.gate.limits.handshake
                    }
                };
                look.as_mut().reset(next.into());
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Says to the handlers who calls, and keeps the time of what comes and goes.
fn answer(
    server: &Server,
    admitted: &Admitted,
    pulse: &Arc<Pulse>,
    mut request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Leaving>, Infallible>> + Send + 'static {
    let call = pulse.call();
    let conversation = server.conversations.contains(&request.uri().path());
    request.extensions_mut().insert(admitted.peer);
    let request = request.map(|body| Arriving::new(body, Arc::clone(&admitted.gate), conversation));
    let answering = server.routes.clone().call(request);
    async move {
        let response = answering.await?;
        Ok(response.map(|body| Leaving { body, _call: call }))
    }
}

fn builder(protocol: Protocol, limits: &config::Limits, tasks: Tasks) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HTTP1_HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HTTP2_HEAD_BYTES);
    match protocol {
        Protocol::Http => builder,
        Protocol::Grpc { ping } => {
            builder.http2().keep_alive_interval(ping).keep_alive_timeout(ping);
            builder.http2_only()
        }
    }
}

/// Hyper spawns a task for every call on a connection; it ends with its connection at the latest, and needs no other end.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.running.spawn(future);
    }
}

/// Generous: clients keep hundreds of live streams on one connection beside their calls.
const STREAMS: u32 = 2_000;
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const HTTP2_HEAD_BYTES: u32 = 16 * 1024;
const HTTP1_HEAD_BYTES: usize = 32 * 1024;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
