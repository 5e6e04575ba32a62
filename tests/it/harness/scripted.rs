//! A node whose answers a test writes: over real sockets, with a store of its own where the test says nothing. It checks
//! nothing, so it delivers what no node of ours would.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures::{StreamExt as _, stream::BoxStream};
use herald::client::NodeAddress;
use herald_protocol::{
    envelope::digest,
    proto::api::{
        BatchQueryRequest, BatchQueryResponse, Cursor, Envelope, IndexCursor, PagingInfo, PublishRequest,
        PublishResponse, QueryRequest, QueryResponse, SortDirection, SubscribeAllRequest, SubscribeRequest,
        cursor,
        message_api_server::{MessageApi, MessageApiServer},
    },
    topic,
};
use tokio::{sync::mpsc, task::JoinSet};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Server, server::TcpIncoming},
};

/// A running scripted node.
pub(crate) struct Scripted {
    address: NodeAddress,
    desk: Desk,
    _tasks: JoinSet<()>,
}

/// What somebody asked, and when.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) at: Instant,
    pub(crate) call: Call,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Call {
    Publish {
        envelopes: Vec<Envelope>,
        authorization: String,
    },
    Query(QueryRequest),
    Batch(Vec<QueryRequest>),
    Subscribe(Vec<String>),
}

/// An answer in place of the store's.
pub(crate) enum Answer {
    Refusal(Status),
    Page(QueryResponse),
    Pages(BatchQueryResponse),
}

type Script = Box<dyn FnMut(&Call) -> Option<Answer> + Send>;

#[derive(Clone)]
struct Desk {
    state: Arc<Mutex<State>>,
}

struct State {
    stored: Vec<Envelope>,
    listeners: Vec<Listener>,
    calls: Vec<Made>,
    script: Script,
}

struct Listener {
    topics: HashSet<String>,
    /// Bounded; no test sends more before it reads.
    told: mpsc::Sender<Result<Envelope, Status>>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = NodeAddress::plain(listener.local_addr().unwrap());
        let state = State {
            stored: Vec::new(),
            listeners: Vec::new(),
            calls: Vec::new(),
            script: Box::new(|_| None),
        };
        let desk = Desk {
            state: Arc::new(Mutex::new(state)),
        };
        let service = MessageApiServer::new(desk.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let server = Server::builder().add_service(service);
            server
                .serve_with_incoming(TcpIncoming::from(listener))
                .await
                .unwrap();
        });
        Self {
            address,
            desk,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> NodeAddress {
        self.address.clone()
    }

    /// From now on this is asked first; where it gives nothing, the store answers.
    pub(crate) fn answers(&self, script: impl FnMut(&Call) -> Option<Answer> + Send + 'static) {
        self.desk.state.lock().unwrap().script = Box::new(script);
    }

    /// From now on the store answers.
    pub(crate) fn is_itself(&self) {
        self.answers(|_| None);
    }

    /// Stores an envelope and tells it to streams.
    pub(crate) fn put(&self, envelope: &Envelope) {
        self.desk.state.lock().unwrap().put(envelope);
    }

    /// Stores an envelope that no stream tells, as if it came while the stream was cut.
    pub(crate) fn put_unheard(&self, envelope: Envelope) {
        self.desk.state.lock().unwrap().stored.push(envelope);
    }

    /// Loses what is stored on a topic.
    pub(crate) fn forget(&self, topic: &str) {
        let mut state = self.desk.state.lock().unwrap();
        state.stored.retain(|envelope| envelope.content_topic != topic);
    }

    /// Everything that is stored on a topic, in the order of arrival.
    pub(crate) fn stored(&self, topic: &str) -> Vec<Envelope> {
        let mut stored = self.desk.state.lock().unwrap().stored.clone();
        stored.retain(|envelope| envelope.content_topic == topic);
        stored
    }

    /// Ends every stream, with this error if there is one.
    pub(crate) fn cut(&self, error: Option<&Status>) {
        for listener in self.desk.state.lock().unwrap().listeners.drain(..) {
            if let Some(error) = error {
                listener.told.try_send(Err(error.clone())).unwrap();
            }
        }
    }

    /// How many streams are open on a topic.
    pub(crate) fn listeners(&self, topic: &str) -> usize {
        let mut state = self.desk.state.lock().unwrap();
        state.listeners.retain(|listener| !listener.told.is_closed());
        let of_topic = |listener: &&Listener| listener.topics.contains(topic);
        state.listeners.iter().filter(of_topic).count()
    }

    /// What was asked since this was last called.
    pub(crate) fn calls(&self) -> Vec<Made> {
        std::mem::take(&mut self.desk.state.lock().unwrap().calls)
    }
}

impl State {
    fn put(&mut self, envelope: &Envelope) {
        if self.stored.contains(envelope) {
            return;
        }
        if !topic::kind(&envelope.content_topic).is_ephemeral() {
            self.stored.push(envelope.clone());
        }
        self.listeners.retain(|listener| {
            let hears = listener.topics.contains(&envelope.content_topic);
            !hears || listener.told.try_send(Ok(envelope.clone())).is_ok()
        });
    }

    fn page(&self, query: &QueryRequest) -> QueryResponse {
        let paging = query.paging_info.clone().unwrap_or_default();
        let place = |envelope: &Envelope| {
            let digest = digest(&envelope.content_topic, &envelope.message);
            (envelope.timestamp_ns, digest.to_vec())
        };
        let end = if query.end_time_ns == 0 {
            u64::MAX
        } else {
            query.end_time_ns
        };
        let mut page: Vec<Envelope> = self.stored.clone();
        page.retain(|envelope| {
            query.content_topics.contains(&envelope.content_topic)
                && (query.start_time_ns..=end).contains(&envelope.timestamp_ns)
        });
        page.sort_by_key(place);
        let is_ascending = paging.direction() == SortDirection::Ascending;
        if !is_ascending {
            page.reverse();
        }
        if let Some(cursor::Cursor::Index(after)) = paging.cursor.and_then(|cursor| cursor.cursor) {
            let after = (after.sender_time_ns, after.digest);
            page.retain(|envelope| {
                if is_ascending {
                    place(envelope) > after
                } else {
                    place(envelope) < after
                }
            });
        }
        let limit = if paging.limit == 0 {
            100
        } else {
            paging.limit as usize
        };
        page.truncate(limit);
        let last = page.last().filter(|_| page.len() == limit).map(|last| {
            let (sender_time_ns, digest) = place(last);
            let index = IndexCursor {
                digest,
                sender_time_ns,
            };
            Cursor {
                cursor: Some(cursor::Cursor::Index(index)),
            }
        });
        QueryResponse {
            paging_info: Some(PagingInfo {
                cursor: last,
                ..paging
            }),
            envelopes: page,
        }
    }
}

impl Desk {
    /// Notes a call and asks the script.
    fn asked(&self, call: Call) -> Option<Answer> {
        let mut state = self.state.lock().unwrap();
        let answer = (state.script)(&call);
        state.calls.push(Made {
            at: Instant::now(),
            call,
        });
        answer
    }

    fn listen(&self, topics: Vec<String>) -> mpsc::Receiver<Result<Envelope, Status>> {
        let (told, heard) = mpsc::channel(10_000);
        let topics = topics.into_iter().collect();
        self.state
            .lock()
            .unwrap()
            .listeners
            .push(Listener { topics, told });
        heard
    }
}

fn misfit(call: &str) -> Status {
    Status::failed_precondition(format!("the script has no answer of this kind to {call}"))
}

type Told = BoxStream<'static, Result<Envelope, Status>>;

#[tonic::async_trait]
impl MessageApi for Desk {
    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let authorization = request.metadata().get("authorization");
        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
        let envelopes = request.into_inner().envelopes;
        let call = Call::Publish {
            envelopes: envelopes.clone(),
            authorization: authorization.unwrap_or_default(),
        };
        match self.asked(call) {
            Some(Answer::Refusal(status)) => return Err(status),
            Some(_) => return Err(misfit("publish")),
            None => {}
        }
        for envelope in envelopes {
            self.state.lock().unwrap().put(&envelope);
        }
        Ok(Response::new(PublishResponse {}))
    }

    type SubscribeStream = Told;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<Told>, Status> {
        let topics = request.into_inner().content_topics;
        let stream = match self.asked(Call::Subscribe(topics.clone())) {
            Some(Answer::Refusal(status)) => return Err(status),
            Some(_) => return Err(misfit("subscribe")),
            None => {
                let heard = self.listen(topics);
                futures::stream::unfold(heard, async |mut heard| Some((heard.recv().await?, heard))).boxed()
            }
        };
        Ok(Response::new(stream))
    }

    type Subscribe2Stream = Told;

    async fn subscribe2(&self, _: Request<Streaming<SubscribeRequest>>) -> Result<Response<Told>, Status> {
        Err(Status::unimplemented("subscribe2"))
    }

    type SubscribeAllStream = Told;

    async fn subscribe_all(&self, _: Request<SubscribeAllRequest>) -> Result<Response<Told>, Status> {
        Err(Status::unimplemented("subscribe-all"))
    }

    async fn query(&self, request: Request<QueryRequest>) -> Result<Response<QueryResponse>, Status> {
        let query = request.into_inner();
        match self.asked(Call::Query(query.clone())) {
            Some(Answer::Refusal(status)) => Err(status),
            Some(Answer::Page(page)) => Ok(Response::new(page)),
            Some(_) => Err(misfit("query")),
            None => Ok(Response::new(self.state.lock().unwrap().page(&query))),
        }
    }

    async fn batch_query(
        &self,
        request: Request<BatchQueryRequest>,
    ) -> Result<Response<BatchQueryResponse>, Status> {
        let queries = request.into_inner().requests;
        match self.asked(Call::Batch(queries.clone())) {
            Some(Answer::Refusal(status)) => Err(status),
            Some(Answer::Pages(pages)) => Ok(Response::new(pages)),
            Some(_) => Err(misfit("batch-query")),
            None => {
                let state = self.state.lock().unwrap();
                let responses = queries.iter().map(|query| state.page(query)).collect();
                Ok(Response::new(BatchQueryResponse { responses }))
            }
        }
    }
}
