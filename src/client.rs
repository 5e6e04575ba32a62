#![doc = include_str!("client/guide.md")]

mod api;
pub mod attachments;
mod builder;
pub(crate) mod cache;
mod consent;
mod contacts;
mod conversation;
mod conversations;
mod dropped;
mod identity;
pub mod keystore;
mod known;
mod messages;
pub mod mnemonic;
mod outgoing;
pub(crate) mod private_file;
mod reach;
mod seen;
mod signer;
mod stream;
mod switchboard;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use herald_protocol::{limits, token};
use zeroize::Zeroizing;

pub use api::{Api, CALL_TIMEOUT, Disposition, Look, NodeAddress, Range, jittered};
pub use builder::Builder;
pub use cache::Cache;
pub use consent::{ConsentChange, ConsentStream};
pub use conversation::{Conversation, Version};
pub use dropped::{Dropped, DroppedKind};
pub use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    consent::{ConsentList, ConsentProof, ConsentState, Permission, PreferencesAction, Subject},
    content::Compression,
    invitation::InvitationContext,
    message::MessageId,
    time::{Clock, TimestampNs},
    topic::Topic,
    wallet::WalletKey,
};
pub use identity::{Error as IdentityError, KeyStorage};
pub use messages::{History, Message};
pub use outgoing::{Draft, Sealed};
pub use private_file::Error as KeyFileError;
pub use reach::{Asked, Reach};
pub use signer::{Error as SignerError, ExternalSigner, Signer, TIME_LIMIT as SIGNER_TIME_LIMIT};
pub use stream::{ConversationStream, MessageStream, OVERLAP as STREAM_OVERLAP};
pub use switchboard::Switchboard;

use crate::fetch::Fetch;

/// Why a client call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node could not be reached or refused.
    #[error(transparent)]
    Api(#[from] api::Error),
    /// The wallet has no contact on the network, so nobody can write to it yet.
    #[error("{wallet} is not on the network: it has published no contact")]
    NotOnNetwork {
        /// The wallet.
        wallet: Address,
    },
    /// What the wallet has published as its contact cannot be used, so nobody can write to it yet. The source is the newest one's.
    #[error("{wallet} has published no contact that can be used")]
    Contact {
        /// The wallet.
        wallet: Address,
        /// What is wrong with it.
        source: herald_protocol::Error,
    },
    /// V1 is what the two wallets speak, but the keys of one cannot be written in its form.
    #[error("the conversation with {wallet} is V1, and the keys of one of the two have no V1 form")]
    NotLegacy {
        /// The wallet.
        wallet: Address,
    },
    /// A V1 message was to be sealed before the peer's keys were looked up.
    #[error("the keys of {wallet} were not looked up yet: call `make_ready` on the conversation first")]
    NotReady {
        /// The wallet.
        wallet: Address,
    },
    /// A message that no node takes.
    #[error("the sealed message has {bytes} bytes, nodes take {}", limits::MESSAGE_BYTES)]
    TooLarge {
        /// Its bytes.
        bytes: usize,
    },
    /// A wallet does not write to itself.
    #[error("{wallet} is this client's own wallet")]
    OwnWallet {
        /// The wallet.
        wallet: Address,
    },
    /// The wallet's keys cannot be had.
    #[error(transparent)]
    Identity(#[from] identity::Error),
    /// Keys or content could not be made.
    #[error(transparent)]
    Protocol(#[from] herald_protocol::Error),
    /// The local cache failed.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// The system gave no random bytes.
    #[error("no randomness from the system: {0}")]
    Randomness(getrandom::Error),
    /// Work was cut off because the program ends.
    #[error("the client was closed")]
    Closed,
}

impl Error {
    /// Whether another try of the same call can help.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Api(error) => error.disposition(),
            Self::Identity(error) => error.disposition(),
            Self::Cache(cache::Error::Damaged { .. } | cache::Error::Migration { .. }) => Disposition::Reject,
            Self::Cache(_) | Self::Randomness(_) | Self::Closed => Disposition::Retry(None),
            _ => Disposition::Reject,
        }
    }
}

/// A wallet's client; clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    api: Api,
    line: switchboard::Line,
    address: Address,
    identity: identity::Identity,
    keys: RwLock<Arc<PrivateKeyBundle>>,
    clock: Clock,
    token: Mutex<Option<(String, TimestampNs)>>,
    contacts: contacts::Contacts,
    /// The digests of messages it sent lately.
    sent: Arc<Mutex<seen::Seen>>,
    conversations: known::Conversations,
    consent: consent::Consent,
    observer: Option<dropped::Observer>,
    fetch: OnceLock<Fetch>,
    /// Whether the key bundle was made by this client, so that no message can be older than it.
    new_identity: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// The wallet's address.
    pub fn address(&self) -> Address {
        self.inner.address
    }

    /// The node this client talks to.
    pub fn node(&self) -> &NodeAddress {
        self.inner.api.node()
    }

    /// The wallet's keys as they are now.
    fn keys(&self) -> Arc<PrivateKeyBundle> {
        Arc::clone(&self.inner.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the wallet was new on the network when this client connected.
    pub fn is_new_identity(&self) -> bool {
        self.inner.new_identity
    }

    /// The wallet's XMTP keys as `xmtp.message_contents.PrivateKeyBundle` of version 1, the form that other SDKs import too.
    /// Whoever has them reads and writes as this wallet, for as long as it keeps its identity.
    pub fn export_keys(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        Ok(self.keys().encode_v1()?)
    }

    /// A bearer token that is valid for some time still; `renew` makes a new one whatever the old one's age.
    fn authorization(&self, renew: bool) -> Result<String, Error> {
        let now = self.inner.clock.now();
        let mut token = self.inner.token.lock().unwrap_or_else(PoisonError::into_inner);
        match token.as_ref() {
            Some((value, made)) if !renew && now.as_ns().saturating_sub(made.as_ns()) < TOKEN_LIFE_NS => {
                Ok(value.clone())
            }
            _ => {
                let value = token::bearer(&self.keys(), now)?;
                *token = Some((value.clone(), now));
                Ok(value)
            }
        }
    }
}

/// Ten minutes: nodes accept an hour, but whoever sees a token can use it that long.
const TOKEN_LIFE_NS: u64 = 10 * 60 * 1_000_000_000;

/// Random bytes from the system.
fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(bytes)
}

/// Runs curve arithmetic off the async threads.
async fn compute<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)
}

/// Runs curve arithmetic on every item, on all cores, off the async threads. Gives the results in order.
async fn compute_each<T, R>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Clone + Send + 'static,
) -> Result<Vec<R>, Error>
where
    T: Send + 'static,
    R: Send + 'static,
{
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let part = items.len().div_ceil(cores);
    let mut results = Vec::with_capacity(items.len());
    let mut items = items.into_iter();
    let mut parts = Vec::with_capacity(cores);
    while items.len() > 0 {
        let (part, work): (Vec<T>, _) = (items.by_ref().take(part).collect(), work.clone());
        parts.push(compute(move || part.into_iter().map(work).collect::<Vec<R>>()));
    }
    for part in futures::future::try_join_all(parts).await? {
        results.extend(part);
    }
    Ok(results)
}
