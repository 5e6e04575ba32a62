//! The least a gRPC server can do for a publish: the node's own server, which decodes the request, and a handler that answers.

use futures::stream::Pending;
use herald::client::NodeAddress;
use herald_node::Config;
use herald_protocol::proto::api::{
    BatchQueryRequest, BatchQueryResponse, Envelope, PublishRequest, PublishResponse, QueryRequest,
    QueryResponse, SubscribeAllRequest, SubscribeRequest, message_api_server::MessageApi,
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::{Error, node::runtime};

pub(crate) struct EmptyNode {
    /// Its server ends with it.
    _runtime: Runtime,
    address: NodeAddress,
}

impl EmptyNode {
    pub(crate) fn start() -> Result<Self, Error> {
        let runtime = runtime("empty")?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = NodeAddress::plain(listener.local_addr()?);
        runtime.spawn(async move {
            herald_node::serve_handler(listener, &Config::default(), Empty, CancellationToken::new()).await;
        });
        Ok(Self {
            _runtime: runtime,
            address,
        })
    }

    pub(crate) fn address(&self) -> NodeAddress {
        self.address.clone()
    }
}

struct Empty;

type Envelopes = Pending<Result<Envelope, Status>>;

#[tonic::async_trait]
impl MessageApi for Empty {
    type SubscribeStream = Envelopes;
    type Subscribe2Stream = Envelopes;
    type SubscribeAllStream = Envelopes;

    async fn publish(&self, _: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        Ok(Response::new(PublishResponse {}))
    }

    async fn query(&self, _: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        Err(publish_only())
    }

    async fn batch_query(
        &self,
        _: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        Err(publish_only())
    }

    async fn subscribe(&self, _: Request<SubscribeRequest>) -> Result<Response<Envelopes>, Status> {
        Err(publish_only())
    }

    async fn subscribe2(
        &self,
        _: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Envelopes>, Status> {
        Err(publish_only())
    }

    async fn subscribe_all(&self, _: Request<SubscribeAllRequest>) -> Result<Response<Envelopes>, Status> {
        Err(publish_only())
    }
}

fn publish_only() -> Status {
    Status::unimplemented("this server measures publishes")
}
