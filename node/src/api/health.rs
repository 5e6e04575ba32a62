//! Is the node alive, and does it take work? One answer for gRPC health checks and for `/readyz`.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

use crate::store::Store;

/// What keeps a node from taking work.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    /// False once a write failed.
    pub(crate) writable: watch::Receiver<bool>,
    /// What the last look at the store met.
    pub(crate) reading: watch::Receiver<Reading>,
    /// True once a shutdown began.
    pub(crate) draining: watch::Receiver<bool>,
}

/// How reading goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Works,
    Fails,
    /// Longer than [`READ_TIME`].
    Takes,
}

/// Reads from the store again and again until `shutdown`, one read at a time, and says how that goes.
pub(crate) async fn watch_store(
    store: Arc<Store>,
    reading: watch::Sender<Reading>,
    shutdown: CancellationToken,
) {
    let watching = async {
        loop {
            let mut probe = std::pin::pin!(store.probe());
            let timely = tokio::time::timeout(READ_TIME, probe.as_mut()).await;
            let read = if let Ok(read) = timely {
                read
            } else {
                say(&reading, Reading::Takes);
                probe.await
            };
            if let Err(error) = read {
                if say(&reading, Reading::Fails) {
                    let cause = std::error::Error::source(&error);
                    tracing::error!(%error, cause, "the store does not read");
                }
            } else {
                say(&reading, Reading::Works);
            }
            tokio::time::sleep(READ_PAUSE).await;
        }
    };
    shutdown.run_until_cancelled(watching).await;
}

/// True when that is news.
fn say(reading: &watch::Sender<Reading>, now: Reading) -> bool {
    reading.send_if_modified(|before| std::mem::replace(before, now) != now)
}

impl Readiness {
    /// Nothing, or the reason in words.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        if *self.draining.borrow() {
            Some("node is shutting down")
        } else if !*self.writable.borrow() {
            Some("store cannot write")
        } else {
            match *self.reading.borrow() {
                Reading::Works => None,
                Reading::Fails => Some("store cannot be read"),
                Reading::Takes => Some("store has not answered a read for 2 seconds"),
            }
        }
    }

    fn status(&self) -> HealthCheckResponse {
        let status = if self.obstacle().is_none() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        HealthCheckResponse {
            status: status.into(),
        }
    }
}

/// `grpc.health.v1.Health` for the whole node and for its one service.
#[derive(Debug)]
pub(crate) struct GrpcHealth {
    readiness: Readiness,
}

impl GrpcHealth {
    pub(crate) fn new(readiness: Readiness) -> Self {
        Self { readiness }
    }

    pub(crate) fn into_server(self) -> HealthServer<Self> {
        HealthServer::new(self)
    }
}

fn known(request: &Request<HealthCheckRequest>) -> Result<(), Status> {
    match request.get_ref().service.as_str() {
        "" | "xmtp.message_api.v1.MessageApi" => Ok(()),
        _ => Err(Status::not_found("unknown service")),
    }
}

#[tonic::async_trait]
impl Health for GrpcHealth {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        known(&request)?;
        Ok(Response::new(self.readiness.status()))
    }

    /// Says the present state, then every change; ends with the node.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        known(&request)?;
        let readiness = self.readiness.clone();
        let writable = WatchStream::new(readiness.writable.clone());
        let draining = WatchStream::new(readiness.draining.clone());
        let reading = WatchStream::new(readiness.reading.clone());
        let mut said = None;
        let flags = futures::stream::select(writable, draining).map(|_| ());
        let changes = futures::stream::select(flags, reading.map(|_| ())).filter_map(move |()| {
            let status = readiness.status();
            let news = said.replace(status) != Some(status);
            std::future::ready(news.then_some(Ok(status)))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

/// A store that takes longer for one row serves nobody.
const READ_TIME: Duration = Duration::from_secs(2);
const READ_PAUSE: Duration = Duration::from_secs(1);
