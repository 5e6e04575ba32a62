//! Publishers: unary calls of the client's own API, a fixed number of them in flight.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use herald::client::{Address, Api, NodeAddress};
use herald_protocol::{
    contact::ContactBundle,
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

    /// Publishes each envelope in a request of its own. Returns how long it took until all were acknowledged.
    pub(crate) fn publish(&self, envelopes: Vec<Envelope>) -> Result<Duration, Error> {
        self.runtime.block_on(async {
            let waiting = Arc::new(Mutex::new(envelopes.into_iter()));
            let mut publishers = JoinSet::new();
            let started = Instant::now();
            for api in self.apis.iter().cycle().take(IN_FLIGHT) {
                let (api, waiting, authorization) =
                    (api.clone(), Arc::clone(&waiting), Arc::clone(&self.authorization));
                publishers.spawn(async move {
                    while let Some(envelope) = next(&waiting) {
                        api.publish(vec![envelope], &authorization).await?;
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
}

fn next(waiting: &Mutex<std::vec::IntoIter<Envelope>>) -> Option<Envelope> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).next()
}

/// Endless different envelopes, each a well-formed message of exactly [`MESSAGE_BYTES`] in one of [`CONVERSATIONS`]:
/// nodes read the header of such, so noise would be cheaper. What is sealed in it no node can see, so nothing is.
pub(crate) struct Envelopes {
    topics: Vec<Topic>,
    created_ns: u64,
}

impl Envelopes {
    pub(crate) fn new() -> Result<Self, Error> {
        let topics = (0..CONVERSATIONS).map(|number| Topic::conversation(&format!("{number:064x}")));
        Ok(Self {
            topics: topics.collect::<Result<_, _>>()?,
            created_ns: herald::clock::now().as_ns(),
        })
    }

    pub(crate) fn take(&mut self, count: u32) -> Vec<Envelope> {
        let topics = self.topics.iter().cycle().take(count as usize);
        topics
            .map(|topic| {
                self.created_ns += 1;
                let mut message = message(topic, self.created_ns, MESSAGE_BYTES);
                let excess = message.encoded_len() - MESSAGE_BYTES;
                if excess > 0 {
                    message = self::message(topic, self.created_ns, MESSAGE_BYTES - excess);
                }
                Envelope {
                    content_topic: topic.to_string(),
                    timestamp_ns: self.created_ns,
                    message: message.encode_to_vec().into(),
                }
            })
            .collect()
    }
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

const IN_FLIGHT: usize = 256;
const CONNECTIONS: usize = 8;
const CONVERSATIONS: u32 = 1_000;
const MESSAGE_BYTES: usize = 1024;
