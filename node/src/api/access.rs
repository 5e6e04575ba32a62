//! Who publishes, and where that wallet may publish.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use herald_protocol::{
    address::Address,
    limits,
    token::{self, VerifiedToken},
    topic::{self, TopicKind},
};
use sha2::{Digest as _, Sha256};

use super::status::Error;
use crate::{config::Auth, envelope::Digest, host::Clock, metrics};

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Token(#[from] token::Error),
    #[error("publishing to restricted topic")]
    Restricted,
}

/// Judges tokens, and remembers good ones: the check of a new token costs a key recovery and a signature.
#[derive(Debug)]
pub(crate) struct Access {
    clock: Clock,
    bounds: Auth,
    known: Arc<Mutex<Known>>,
}

/// The caller of a publish, proven by a token.
#[derive(Debug)]
pub(crate) struct Wallet {
    account: Address,
    /// EIP-55 text, as topics carry it.
    address: Arc<str>,
}

impl Wallet {
    pub(super) fn account(&self) -> Address {
        self.account
    }

    /// Contacts and private stores belong to their wallet; its address must stand there exactly.
    pub(super) fn check_may_publish(&self, content_topic: &str) -> Result<(), Refusal> {
        match topic::kind(content_topic) {
            TopicKind::Contact(owner) | TopicKind::PrivateStore(owner) if *owner != *self.address => {
                Err(Refusal::Restricted)
            }
            _ => Ok(()),
        }
    }
}

impl Access {
    pub(crate) fn new(clock: Clock, bounds: Auth) -> Self {
        Self {
            clock,
            bounds,
            known: Arc::default(),
        }
    }

    /// The wallet of a token that passed before and still holds: this costs a digest.
    pub(super) fn known(&self, authorization: Option<&[u8]>) -> Option<Wallet> {
        let digest: Digest = Sha256::digest(bounded(authorization?)).into();
        let proven = self.tokens().get(&digest)?;
        if !self.is_current(&proven.token) {
            return None;
        }
        metrics::token(metrics::Token::Cached);
        Some(proven.into())
    }

    /// The wallet named by the value of an `authorization` header that is not [`known`](Self::known): this costs a
    /// verification.
    pub(super) async fn wallet(&self, authorization: Option<&[u8]>) -> Result<Wallet, Error> {
        let header = bounded(authorization.ok_or(Refusal::Token(token::Error::NotProvided))?);
        let digest: Digest = Sha256::digest(header).into();
        let header = String::from_utf8_lossy(header).into_owned();
        let verified = self.verify(header, digest).await;
        metrics::token(match verified {
            Ok(_) => metrics::Token::Verified,
            Err(_) => metrics::Token::Refused,
        });
        Ok(verified?.into())
    }

    /// Whether the operator gave this wallet priority.
    #[expect(clippy::unused_self, reason = "nodes have no allow list yet")]
    pub(super) fn is_allow_listed(&self, _wallet: &Wallet) -> bool {
        false
    }

    /// Verification is some 100 microseconds of arithmetic: too much for a thread that serves everybody else.
    async fn verify(&self, header: String, digest: Digest) -> Result<Proven, Error> {
        let now = (self.clock)();
        let Auth { max_age, max_future } = self.bounds;
        let token = tokio::task::spawn_blocking(move || token::verify(&header, now, max_age, max_future))
            .await
            .map_err(|_| Error::Panicked)?
            .map_err(Refusal::Token)?;
        let proven = Proven {
            token,
            address: Arc::from(token.address().to_string()),
        };
        self.tokens().insert(digest, proven.clone());
        Ok(proven)
    }

    fn is_current(&self, token: &VerifiedToken) -> bool {
        let now = (self.clock)();
        now.saturating_since(token.created()) <= self.bounds.max_age
            && token.created().saturating_since(now) <= self.bounds.max_future
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token that passed, with the text of its wallet: the checksum in it costs a hash.
#[derive(Clone, Debug)]
struct Proven {
    token: VerifiedToken,
    address: Arc<str>,
}

impl From<Proven> for Wallet {
    fn from(proven: Proven) -> Self {
        Self {
            account: proven.token.address(),
            address: proven.address,
        }
    }
}

/// Longer headers are refused by their length, whatever they are.
fn bounded(header: &[u8]) -> &[u8] {
    header.get(..limits::TOKEN_BYTES + SCHEME_BYTES).unwrap_or(header)
}

/// Tokens that passed, by the digest of their header; the oldest entry leaves first.
#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<Digest, Proven>,
    order: VecDeque<Digest>,
}

impl Known {
    fn get(&self, digest: &Digest) -> Option<Proven> {
        self.tokens.get(digest).cloned()
    }

    fn insert(&mut self, digest: Digest, token: Proven) {
        if self.tokens.insert(digest, token).is_none() {
            self.order.push_back(digest);
        }
        if self.order.len() > KNOWN_TOKENS
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
}

/// `Bearer` and a space.
const SCHEME_BYTES: usize = 7;
/// About 4 MiB.
const KNOWN_TOKENS: usize = 32_768;
