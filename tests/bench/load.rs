//! Publishers: unary calls of the client's own API, a fixed number of them in flight; and the envelopes they publish.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use herald::client::{Address, Api, NodeAddress};
use herald_protocol::{
    contact::ContactBundle,
    limits,
    proto::{
        api::Envelope,
        contents::{self, ciphertext::Aes256gcmHkdfsha256, ciphertext::Union, message::Version},
    },
    token,
    topic::Topic,
};
use prost::Message as _;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{Error, node::runtime, people};

/// Clients on connections of their own, and the token they all publish with.
pub(crate) struct Publishers {
    runtime: Runtime,
    apis: Vec<Api>,
    authorization: Arc<str>,
}

impl Publishers {
    pub(crate) fn new(node: &NodeAddress) -> Result<Self, Error> {
        let runtime = runtime("load")?;
        let in_runtime = runtime.enter();
        let apis = (0..CONNECTIONS)
            .map(|_| Api::new(node.clone()))
            .collect::<Result<_, _>>()?;
        drop(in_runtime);
        let authorization = token::bearer(&people::identity(1)?, herald::clock::now())?.into();
        Ok(Self {
            runtime,
            apis,
            authorization,
        })
    }

    /// Publishes `envelopes`, `batch` to a request and `in_flight` requests at a time. Returns how long it took until all
    /// were acknowledged.
    pub(crate) fn publish(
        &self,
        envelopes: &[Envelope],
        batch: usize,
        in_flight: usize,
    ) -> Result<Duration, Error> {
        let requests: Vec<_> = envelopes.chunks(batch).map(<[_]>::to_vec).collect();
        self.runtime.block_on(async {
            let waiting = Arc::new(Mutex::new(requests.into_iter()));
            let mut publishers = JoinSet::new();
            let started = Instant::now();
            for api in self.apis.iter().cycle().take(in_flight) {
                let (api, waiting, authorization) =
                    (api.clone(), Arc::clone(&waiting), Arc::clone(&self.authorization));
                publishers.spawn(async move {
                    while let Some(request) = next(&waiting) {
                        api.publish(request, &authorization).await?;
                    }
                    Ok::<_, herald::client::Error>(())
                });
            }
            while let Some(ended) = publishers.join_next().await {
                ended??;
            }
            Ok(started.elapsed())
        })
    }

    /// Publishes `count` envelopes in the largest requests there may be.
    pub(crate) fn fill(&self, envelopes: &mut Envelopes, count: u32) -> Result<(), Error> {
        for first in (0..count).step_by(FILLED_AT_ONCE as usize) {
            let piece = envelopes.take(FILLED_AT_ONCE.min(count - first))?;
            self.publish(&piece, limits::PUBLISH_ENVELOPES, CONNECTIONS)?;
        }
        Ok(())
    }
}

fn next(waiting: &Mutex<std::vec::IntoIter<Vec<Envelope>>>) -> Option<Vec<Envelope>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Endless different envelopes, each a well-formed message of `message_bytes` in one of `conversations`: nodes read the
/// header of such, so noise would be cheaper. What is sealed in it no node can see, so nothing is.
pub(crate) struct Envelopes {
    conversations: u32,
    message_bytes: usize,
    made: u32,
    stride: u64,
    created_ns: u64,
}

impl Envelopes {
    pub(crate) fn new(conversations: u32, message_bytes: usize) -> Self {
        Self {
            conversations,
            message_bytes,
            made: 0,
            stride: 1,
            created_ns: herald::clock::now().as_ns(),
        }
    }

    /// Visits the conversations in an order of its own, so that neighbours in time are none in the store.
    pub(crate) fn scattered(mut self) -> Self {
        self.stride = STRIDE;
        self
    }

    /// When the next one will have been created.
    pub(crate) fn next_ns(&self) -> u64 {
        self.created_ns + 1
    }

    /// The next `count`; any run of as many as there are conversations has one in each.
    pub(crate) fn take(&mut self, count: u32) -> Result<Vec<Envelope>, Error> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> Result<Envelope, Error> {
        let number = u64::from(self.made) * self.stride % u64::from(self.conversations);
        let topic = conversation(u32::try_from(number)?)?;
        self.made = self.made.wrapping_add(1);
        self.created_ns += 1;
        Ok(envelope(&topic, self.created_ns, self.message_bytes))
    }
}

/// A well-formed one, created at `created_ns`.
pub(crate) fn envelope(topic: &Topic, created_ns: u64, message_bytes: usize) -> Envelope {
    let mut message = message(topic, created_ns, message_bytes);
    let excess = message.encoded_len() - message_bytes;
    if excess > 0 {
        message = self::message(topic, created_ns, message_bytes - excess);
    }
    Envelope {
        content_topic: topic.to_string(),
        timestamp_ns: created_ns,
        message: message.encode_to_vec().into(),
    }
}

/// The topic of conversation `number`. Neighbours in number are none by name, as it is with topics made from randomness.
pub(crate) fn conversation(number: u32) -> Result<Topic, Error> {
    let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Ok(Topic::conversation(&format!("{scattered:016x}{number:048x}"))?)
}

fn message(topic: &Topic, created_ns: u64, sealed_bytes: usize) -> contents::Message {
    let header = contents::MessageHeaderV2 {
        created_ns,
        topic: topic.to_string(),
    };
    let sealed = Aes256gcmHkdfsha256 {
        hkdf_salt: vec![1; 32],
        gcm_nonce: vec![2; 12],
        payload: created_ns
            .to_be_bytes()
            .into_iter()
            .cycle()
            .take(sealed_bytes)
            .collect(),
    };
    let v2 = contents::MessageV2 {
        header_bytes: header.encode_to_vec(),
        ciphertext: Some(contents::Ciphertext {
            union: Some(Union::Aes256GcmHkdfSha256(sealed)),
        }),
        sender_hmac: Some(vec![3; 32]),
        should_push: Some(true),
    };
    contents::Message {
        version: Some(Version::V2(v2)),
    }
}

/// Publishes the contact of a wallet, which is not connected otherwise. Gives the wallet.
pub(crate) async fn publish_contact(number: u32, node: &NodeAddress) -> Result<Address, Error> {
    let (keys, now) = (people::identity(number)?, herald::clock::now());
    let contact = ContactBundle::V2(keys.public().bundle().clone());
    let envelope = Envelope {
        content_topic: Topic::contact(keys.address()).into(),
        timestamp_ns: now.as_ns(),
        message: contact.encode().into(),
    };
    let api = Api::new(node.clone())?;
    api.publish(vec![envelope], &token::bearer(&keys, now)?).await?;
    Ok(keys.address())
}

/// As most floors have it.
pub(crate) const MESSAGE_BYTES: usize = 1024;
const CONNECTIONS: usize = 8;
/// Some 50 MiB.
const FILLED_AT_ONCE: u32 = 100_000;
/// A prime, so that every conversation has its turn.
const STRIDE: u64 = 611_953;
