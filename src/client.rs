//! A client of the XMTP V1/V2 protocol: a wallet's identity on the network, whom it can write to, its conversations and
//! their messages.
//!
//! ```text
//! wallet key -> Client::builder(..).connect()   loads or creates the key bundle, publishes contacts, reads invitations
//!                 |- can_message(wallets)       who is on the network
//!                 |- seal(peer, content)        bytes to publish, now or later: the same bytes on every try
//!                 |- publish(sealed)            acknowledged once a node has it on disk
//!                 |- conversations(), messages() history
//!                 `- stream_all_messages()      live, reconnecting, filled from the store: nothing is missed
//! ```

mod api;
mod builder;
mod cache;
mod contacts;
mod conversations;
mod identity;
pub mod keystore;
mod messages;
mod outgoing;
mod stream;

use std::sync::{Arc, Mutex};

use herald_protocol::{address::Address, bundle::PrivateKeyBundle, time::TimestampNs, token};

pub use api::{Api, CALL_TIMEOUT, Disposition, NodeAddress, jittered};
pub use builder::Builder;
pub use cache::Cache;
pub use conversations::Conversation;
pub use messages::Message;
pub use outgoing::{Peer, Sealed};
pub use stream::MessageStream;

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
    /// The wallet reads V1 messages only, which are not written yet.
    #[error("{wallet} has published a V1 contact only, and V1 messages are not available yet")]
    ContactIsV1 {
        /// The wallet.
        wallet: Address,
    },
    /// A wallet does not write to itself.
    #[error("{wallet} is this client's own wallet")]
    OwnWallet {
        /// The wallet.
        wallet: Address,
    },
    /// The key bundle stored on the network cannot be opened with this wallet.
    #[error("the key bundle of {wallet} on the network cannot be opened with this wallet's key")]
    KeyBundle {
        /// The wallet.
        wallet: Address,
        /// What was wrong with it.
        #[source]
        source: herald_protocol::Error,
    },
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
    address: Address,
    keys: Arc<PrivateKeyBundle>,
    clock: fn() -> TimestampNs,
    token: Mutex<Option<(String, TimestampNs)>>,
    contacts: contacts::Contacts,
    conversations: conversations::Conversations,
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

    /// Whether the wallet was new on the network when this client connected.
    pub fn is_new_identity(&self) -> bool {
        self.inner.new_identity
    }

    /// A bearer token that is valid for some time still; `renew` makes a new one whatever the old one's age.
    fn authorization(&self, renew: bool) -> Result<String, Error> {
        let now = (self.inner.clock)();
        let mut token = self
            .inner
            .token
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match token.as_ref() {
            Some((value, made)) if !renew && now.as_ns().saturating_sub(made.as_ns()) < TOKEN_LIFE_NS => {
                Ok(value.clone())
            }
            _ => {
                let value = token::bearer(&self.inner.keys, now)?;
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
