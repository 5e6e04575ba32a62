//! What a page costs a node that holds a million envelopes, beside one that holds ten thousand.

use std::path::Path;

use herald_protocol::proto::api::{
    PagingInfo, QueryRequest, SortDirection, message_api_client::MessageApiClient,
};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};

use crate::{
    Error,
    engine::Engine,
    figure::{self, Figure, Target},
    load::{Envelopes, Publishers, conversation},
    node::{Node, runtime},
};

/// Microseconds of a page of 100 out of 4 topics, from any place on, forwards and backwards by turns.
pub(crate) fn node_page(engine: Engine, folder: &Path) -> Result<Figure, Error> {
    let mut many = Stocked::start(engine, &folder.join("many"), MANY)?;
    let mut few = Stocked::start(engine, &folder.join("few"), FEW)?;
    let rounds = figure::time(PAGES, || many.page(), || few.page())?;
    many.node.stop()?;
    few.node.stop()?;
    Ok(Figure::of_rounds("us", &rounds, Target::AtMost(1.5)))
}

/// A node with a thousand envelopes in every topic, and who asks it.
struct Stocked {
    node: Node,
    runtime: Runtime,
    client: MessageApiClient<Channel>,
    envelopes: u32,
    first_ns: u64,
    random: Random,
    turn: bool,
}

impl Stocked {
    fn start(engine: Engine, folder: &Path, count: u32) -> Result<Self, Error> {
        let node = Node::start_on(engine, folder)?;
        let mut envelopes = Envelopes::new(count / EACH, MESSAGE_BYTES);
        let first_ns = envelopes.next_ns();
        Publishers::new(&node.address())?.fill(&mut envelopes, count)?;
        engine.settle(node.store())?;
        let runtime = runtime("load")?;
        let channel = Endpoint::from_shared(format!("http://{}", node.grpc()))?;
        let client = MessageApiClient::new(runtime.block_on(channel.connect())?);
        Ok(Self {
            node,
            runtime,
            client,
            envelopes: count,
            first_ns,
            random: Random(0x5eed),
            turn: false,
        })
    }

    fn page(&mut self) -> Result<(), Error> {
        let topics = u64::from(self.envelopes / EACH);
        let content_topics = (0..TOPICS)
            .map(|_| Ok(conversation(u32::try_from(self.random.below(topics))?)?.into()))
            .collect::<Result<_, Error>>()?;
        // The last tenth, seen along the direction, is kept: a page is always full.
        let place = self.random.below(u64::from(self.envelopes / 10 * 9));
        self.turn = !self.turn;
        let (start_time_ns, end_time_ns, direction) = if self.turn {
            (self.first_ns + place, 0, SortDirection::Ascending)
        } else {
            let last_ns = self.first_ns + u64::from(self.envelopes);
            (0, last_ns - place, SortDirection::Descending)
        };
        let query = QueryRequest {
            content_topics,
            start_time_ns,
            end_time_ns,
            paging_info: Some(PagingInfo {
                limit: ROWS,
                cursor: None,
                direction: direction.into(),
            }),
        };
        let page = self.runtime.block_on(self.client.query(query))?.into_inner();
        match page.envelopes.len() {
            100 => Ok(()),
            found => Err(format!("a page has {found} envelopes, wanted 100").into()),
        }
    }
}

/// Places that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const MANY: u32 = 1_000_000;
const FEW: u32 = 10_000;
const EACH: u32 = 1_000;
const TOPICS: usize = 4;
const ROWS: u32 = 100;
/// A short text, sealed.
const MESSAGE_BYTES: usize = 384;
/// Both directions in a batch.
const PAGES: u32 = 2;
