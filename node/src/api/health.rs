//! Is the node alive, and does it take work? One answer for gRPC health checks and for `/readyz`.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

/// What keeps a node from taking work.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    /// False once a write failed.
    pub(crate) writable: watch::Receiver<bool>,
    /// True once a shutdown began.
    pub(crate) draining: watch::Receiver<bool>,
}

impl Readiness {
    /// Nothing, or the reason in words.
    pub(crate) fn obstacle(&self) -> Option<&'static str> {
        if *self.draining.borrow() {
            Some("node is shutting down")
        } else if !*self.writable.borrow() {
            Some("store cannot write")
        } else {
            None
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
        let mut said = None;
        let changes = futures::stream::select(writable, draining).filter_map(move |_| {
            let status = readiness.status();
            let news = said.replace(status) != Some(status);
            std::future::ready(news.then_some(Ok(status)))
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
