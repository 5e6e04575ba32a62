//! Who calls: tokens, and where the wallet they prove may publish and read.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use herald_protocol::{
    address::Address,
    limits,
    token::{self, VerifiedToken},
    topic::{self, TopicKind},
};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::status::Error;
use crate::{
    access_list::Permission,
    config::{self, Auth},
    envelope::Digest,
    host::Clock,
    metrics,
    store::{self, Store},
};

mod admission;

use admission::Admission;

/// Why a caller is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Token(#[from] token::Error),
    #[error("publishing to restricted topic")]
    Restricted,
    #[error("reading restricted topic")]
    ReadingRestricted,
    #[error("address is deny listed")]
    AddressDenied,
    #[error("wallet is deny listed")]
    WalletDenied,
    #[error("wallet is not allow listed")]
    NotAllowed,
}

/// Judges callers: what their token proves, and what the operator's lists say of them.
#[derive(Debug)]
pub(crate) struct Access {
    tokens: Tokens,
    admission: Admission,
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
}

/// A wallet that may publish.
#[derive(Debug)]
pub(crate) struct Publisher {
    wallet: Wallet,
    may_register: bool,
}

impl Publisher {
    /// Contacts and private stores belong to their wallet; its address must stand there exactly.
    pub(super) fn check_may_publish(&self, content_topic: &str) -> Result<(), Refusal> {
        match topic::kind(content_topic) {
            TopicKind::Contact(owner) | TopicKind::PrivateStore(owner) => {
                if *owner != *self.wallet.address {
                    Err(Refusal::Restricted)
                } else if self.may_register {
                    Ok(())
                } else {
                    Err(Refusal::NotAllowed)
                }
            }
            _ => Ok(()),
        }
    }
}

/// Who asks and subscribes, as far as it matters on this node.
#[derive(Debug)]
pub(crate) enum Reader {
    /// Everybody reads everything.
    Anyone,
    /// Reads what is the wallet's own, and what is nobody's.
    Proven(Wallet),
    /// Reads what is nobody's.
    Unproven(Refusal),
}

impl Reader {
    pub(super) fn check_may_read(&self, topics: &[String]) -> Result<(), Refusal> {
        let wallet = match self {
            Self::Anyone => return Ok(()),
            Self::Proven(wallet) => Ok(&*wallet.address),
            Self::Unproven(refusal) => Err(refusal),
        };
        for topic in topics {
            if let TopicKind::Invite(owner) | TopicKind::Intro(owner) | TopicKind::PrivateStore(owner) =
                topic::kind(topic)
                && owner != wallet.map_err(Clone::clone)?
            {
                return Err(Refusal::ReadingRestricted);
            }
        }
        Ok(())
    }

    pub(super) fn check_may_read_all(&self) -> Result<(), Refusal> {
        match self {
            Self::Anyone => Ok(()),
            Self::Proven(_) | Self::Unproven(_) => Err(Refusal::ReadingRestricted),
        }
    }
}

impl Access {
    pub(crate) async fn open(
        clock: Clock,
        bounds: Auth,
        rules: config::Access,
        store: &Store,
    ) -> Result<Self, store::Error> {
        Ok(Self {
            tokens: Tokens::new(clock, bounds),
            admission: Admission::open(rules, store).await?,
        })
    }

    /// Takes up changes of the access lists until shutdown.
    pub(crate) async fn follow_lists(&self, store: &Store, shutdown: CancellationToken) {
        self.admission.follow(store, shutdown).await;
    }

    /// Refuses deny-listed addresses, whatever they have to say.
    pub(super) fn check_address(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        self.admission.check_address(address)
    }

    /// What a wallet may publish that calls from there.
    pub(super) fn publisher(&self, wallet: Wallet, address: Option<IpAddr>) -> Result<Publisher, Refusal> {
        self.admission.publisher(wallet, address)
    }

    /// Whether the operator gave this wallet priority.
    pub(super) fn is_allow_listed(&self, wallet: &Wallet) -> bool {
        self.admission.list().wallet(wallet.account) == Some(Permission::Allow)
    }

    /// Whether some topics are read by their wallet only.
    pub(super) fn restricts_reading(&self) -> bool {
        self.tokens.bounds.require_token_for_query
    }

    /// The wallet of a token that passed before and still holds.
    pub(super) fn known(&self, authorization: Option<&[u8]>) -> Option<Wallet> {
        self.tokens.known(authorization)
    }

    /// The wallet named by the value of an `authorization` header that is not [`known`](Self::known).
    pub(super) async fn wallet(&self, authorization: Option<&[u8]>) -> Result<Wallet, Error> {
        self.tokens.wallet(authorization).await
    }
}

/// Judges tokens, and remembers good ones: the check of a new token costs a key recovery and a signature.
#[derive(Debug)]
struct Tokens {
    clock: Clock,
    bounds: Auth,
    known: Mutex<Known>,
}

impl Tokens {
    fn new(clock: Clock, bounds: Auth) -> Self {
        Self {
            clock,
            bounds,
            known: Mutex::default(),
        }
    }

    /// The wallet of a token that passed before and still holds: this costs a digest.
    fn known(&self, authorization: Option<&[u8]>) -> Option<Wallet> {
        let digest: Digest = Sha256::digest(bounded(authorization?)).into();
        let proven = self.table().get(&digest)?;
        if !self.is_current(&proven.token) {
            return None;
        }
        metrics::token(metrics::Token::Cached);
        Some(proven.into())
    }

    /// The wallet named by the value of an `authorization` header that is not [`known`](Self::known): this costs a
    /// verification.
    async fn wallet(&self, authorization: Option<&[u8]>) -> Result<Wallet, Error> {
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

    /// Verification is some 100 microseconds of arithmetic: too much for a thread that serves everybody else.
    async fn verify(&self, header: String, digest: Digest) -> Result<Proven, Error> {
        let now = self.clock.now();
        let Auth {
            max_age, max_future, ..
        } = self.bounds;
        let token = tokio::task::spawn_blocking(move || token::verify(&header, now, max_age, max_future))
            .await
            .map_err(|_| Error::Panicked)?
            .map_err(Refusal::Token)?;
        let proven = Proven {
            token,
            address: Arc::from(token.address().to_string()),
        };
        self.table().insert(digest, proven.clone());
        Ok(proven)
    }

    fn is_current(&self, token: &VerifiedToken) -> bool {
        let now = self.clock.now();
        now.saturating_since(token.created()) <= self.bounds.max_age
            && token.created().saturating_since(now) <= self.bounds.max_future
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The check of a token alone, for measurements of it.
#[derive(Debug)]
pub struct TokenCheck(Tokens);

impl TokenCheck {
    /// With default bounds.
    pub fn new(clock: impl Into<Clock>) -> Self {
        Self(Tokens::new(clock.into(), Auth::default()))
    }

    /// True for the value of an `authorization` header that names a wallet.
    pub async fn admits(&self, authorization: &[u8]) -> bool {
        let authorization = Some(authorization);
        self.0.known(authorization).is_some() || self.0.wallet(authorization).await.is_ok()
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

/// Longer headers are refused by their length, whatever they are; one byte more shows it.
fn bounded(header: &[u8]) -> &[u8] {
    header
        .get(..=limits::TOKEN_BYTES + SCHEME_BYTES)
        .unwrap_or(header)
}

/// Tokens that passed, by the digest of their header, in two generations: one that is used stays, however many others come and
/// are never seen again; those leave with their generation.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<Digest, Proven>,
    old: HashMap<Digest, Proven>,
}

impl Known {
    fn get(&mut self, digest: &Digest) -> Option<Proven> {
        if let Some(proven) = self.young.get(digest) {
            return Some(proven.clone());
        }
        let proven = self.old.remove(digest)?;
        self.insert(*digest, proven.clone());
        Some(proven)
    }

    fn insert(&mut self, digest: Digest, token: Proven) {
        if self.young.len() >= GENERATION_TOKENS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest, token);
    }
}

/// `Bearer` and a space.
const SCHEME_BYTES: usize = 7;
/// Two of them are about 5 MiB.
const GENERATION_TOKENS: usize = 16_384;

#[cfg(test)]
mod tests;
