//! A conversation with another wallet, V1 or V2: the handle that applications hold, and what it stands for.

use std::sync::{Arc, Mutex, PoisonError};

use herald_protocol::{
    address::Address,
    bundle::{PrivateKeyBundle, VerifiedBundle},
    consent::ConsentProof,
    invitation::{Invitation, InvitationContext},
    message_v1, message_v2,
    time::TimestampNs,
    topic::Topic,
};
use zeroize::Zeroizing;

use super::{Client, Draft, Error, History, MessageStream, Sealed};
use crate::content::Content;

/// Which generation of the protocol a conversation speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// X3DH for each message, one conversation a pair of wallets.
    V1,
    /// Opened by an invitation; several a pair, told apart by conversation id.
    V2,
}

/// A conversation of this client's wallet with another one. Clones are cheap and the same conversation.
///
/// ```no_run
/// # async fn example(client: herald::client::Client, wallet: herald::client::Address) -> Result<(), herald::client::Error> {
/// let conversation = client.conversation_with(wallet).await?;
/// conversation.send("gm").await?;
/// let mut history = conversation.history().newest_first();
/// while let Some(page) = history.next_page().await? {
///     for message in page {
///         println!("{}: {}", message.sender, message.content.as_text().unwrap_or("?"));
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Conversation {
    pub(super) client: Client,
    pub(super) state: Arc<State>,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation")
            .field("topic", self.topic())
            .field("peer", &self.peer())
            .finish_non_exhaustive()
    }
}

/// Conversations of the same topic are the same.
impl PartialEq for Conversation {
    fn eq(&self, other: &Self) -> bool {
        self.topic() == other.topic()
    }
}

impl Eq for Conversation {}

impl Conversation {
    /// The other wallet.
    pub fn peer(&self) -> Address {
        self.state.peer
    }

    /// The topic its messages are on.
    pub fn topic(&self) -> &Topic {
        self.state.topic()
    }

    /// When it began: the time of its invitation, in V1 of the first intro.
    pub fn created(&self) -> TimestampNs {
        self.state.created
    }

    /// Which generation of the protocol it speaks.
    pub fn version(&self) -> Version {
        match self.state.kind {
            Kind::V1(_) => Version::V1,
            Kind::V2(_) => Version::V2,
        }
    }

    /// What it is about, when its invitation said so; never in V1.
    pub fn context(&self) -> Option<&InvitationContext> {
        self.state.v2()?.context.as_deref()
    }

    /// Tells it apart from other conversations with the same peer; none for an empty id.
    pub fn conversation_id(&self) -> Option<&str> {
        self.state.conversation_id()
    }

    /// The proof of the recipient's consent that came with the invitation; not verified here.
    pub fn consent_proof(&self) -> Option<&ConsentProof> {
        self.state.v2()?.consent_proof.as_deref()
    }

    /// Whether the network knows of it. One that does not yet is opened by [`Conversation::open`] or
    /// the first message.
    pub fn is_open(&self) -> bool {
        self.state.opening.is_none() || self.client.inner.conversations.of_topic(self.topic()).is_some()
    }

    /// A message to this conversation, to be sealed or sent as its options say.
    pub fn draft(&self, content: impl Into<Content>) -> Draft {
        Draft::new(self.clone(), content.into())
    }

    /// Sends one message: sealed once, published until a node has it on disk. See [`Draft::send`].
    pub async fn send(&self, content: impl Into<Content>) -> Result<Sealed, Error> {
        self.draft(content).send().await
    }

    /// The stored messages, oldest first unless told otherwise, a page at a time.
    pub fn history(&self) -> History {
        History::new(self.clone())
    }

    /// All stored messages from `since` on, oldest first. What does not decrypt or verify is left out and counted.
    pub async fn messages(&self, since: Option<TimestampNs>) -> Result<Vec<super::Message>, Error> {
        let mut history = self.history();
        if let Some(since) = since {
            history = history.since(since);
        }
        let mut messages = Vec::new();
        while let Some(page) = history.next_page().await? {
            messages.extend(page);
        }
        Ok(messages)
    }

    /// Streams the messages of this conversation: those of `since` and later from the store first, then live ones.
    pub fn stream(&self, since: TimestampNs) -> MessageStream {
        MessageStream::of_one(self.clone(), since)
    }

    /// Streams what is sent without being stored, such as typing marks, from now on. What is sent while the connection is
    /// lost is gone.
    pub fn stream_ephemeral(&self) -> MessageStream {
        MessageStream::of_ephemeral(self.clone())
    }

    /// The keys by which a push server recognises this wallet's own messages: last, current and next 30-day period. None in V1.
    pub fn hmac_keys(&self) -> Option<[(u64, Zeroizing<[u8; 32]>); 3]> {
        let own = self.client.address();
        Some(
            self.state
                .v2()?
                .keys
                .hmac_keys(self.client.inner.clock.now(), own),
        )
    }
}

/// What is known of a conversation.
pub(super) struct State {
    pub(super) peer: Address,
    pub(super) created: TimestampNs,
    pub(super) kind: Kind,
    /// What the first message has to bring, when the network does not know of the conversation.
    pub(super) opening: Option<Box<Opening>>,
}

pub(super) enum Kind {
    V1(Box<V1>),
    V2(Box<V2>),
}

/// How a conversation that nobody knows of yet is opened.
pub(super) enum Opening {
    /// The message itself goes to the intro topics too.
    Intros,
    /// An invitation to these keys.
    Invitation(Invitation, Arc<VerifiedBundle>),
}

pub(super) struct V1 {
    pub(super) keys: message_v1::Conversation,
    /// Secrets of key pairs that were seen, so that the next message costs no curve operation. Rotations make few.
    sessions: Mutex<Vec<Arc<message_v1::Session>>>,
    /// The keys the peer has published, once they were looked up.
    contact: Mutex<Option<Arc<VerifiedBundle>>>,
    /// What own messages are sealed with.
    outgoing: Mutex<Option<OutgoingSession>>,
}

/// A session and the keys it was made of.
struct OutgoingSession {
    own: Arc<PrivateKeyBundle>,
    peer: Arc<VerifiedBundle>,
    session: Arc<message_v1::Session>,
}

/// Pairs of bundles whose secret is kept: both directions, before and after a rotation.
const SESSIONS: usize = 4;

pub(super) struct V2 {
    pub(super) keys: message_v2::Conversation,
    pub(super) context: Option<Box<InvitationContext>>,
    pub(super) consent_proof: Option<Box<ConsentProof>>,
    /// The peer's bundle once a message of it was verified, so that the next one costs one verification.
    peer_bundle: Mutex<Option<Arc<VerifiedBundle>>>,
}

impl V1 {
    pub(super) fn sessions(&self) -> Vec<Arc<message_v1::Session>> {
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn keep_session(&self, session: message_v1::Session) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS {
            sessions.remove(0);
        }
        sessions.push(Arc::new(session));
    }

    /// The session for a message to the peer's keys; made once for the same keys of both.
    pub(super) fn outgoing(
        &self,
        own: &Arc<PrivateKeyBundle>,
        peer: &Arc<VerifiedBundle>,
    ) -> Result<Arc<message_v1::Session>, herald_protocol::Error> {
        let mut outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = outgoing
            .as_ref()
            .filter(|made| Arc::ptr_eq(&made.own, own) && made.peer == *peer)
        {
            return Ok(Arc::clone(&made.session));
        }
        let session = Arc::new(message_v1::Session::outgoing(own, peer)?);
        *outgoing = Some(OutgoingSession {
            own: Arc::clone(own),
            peer: Arc::clone(peer),
            session: Arc::clone(&session),
        });
        Ok(session)
    }

    pub(super) fn contact(&self) -> Option<Arc<VerifiedBundle>> {
        self.contact
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn keep_contact(&self, bundle: Arc<VerifiedBundle>) {
        *self.contact.lock().unwrap_or_else(PoisonError::into_inner) = Some(bundle);
    }
}

impl V2 {
    pub(super) fn peer_bundle(&self) -> Option<Arc<VerifiedBundle>> {
        self.peer_bundle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn keep_peer_bundle(&self, bundle: &VerifiedBundle) {
        *self.peer_bundle.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(bundle.clone()));
    }
}

impl State {
    /// The V1 conversation with a peer.
    pub(super) fn v1(own: Address, peer: Address, created: TimestampNs, opening: Option<Opening>) -> Self {
        let v1 = V1 {
            keys: message_v1::Conversation::new(own, peer),
            sessions: Mutex::default(),
            contact: Mutex::default(),
            outgoing: Mutex::default(),
        };
        Self {
            peer,
            created,
            kind: Kind::V1(Box::new(v1)),
            opening: opening.map(Box::new),
        }
    }

    /// The conversation that an invitation opens.
    pub(super) fn invited(
        own: Address,
        peer: Address,
        invitation: &Invitation,
        created: TimestampNs,
    ) -> Self {
        let v2 = V2 {
            keys: message_v2::Conversation::new(
                invitation.topic.clone(),
                invitation.key_material.clone(),
                [own, peer],
            ),
            context: invitation.context.clone().map(Box::new),
            consent_proof: invitation.consent_proof.clone().map(Box::new),
            peer_bundle: Mutex::default(),
        };
        Self {
            peer,
            created,
            kind: Kind::V2(Box::new(v2)),
            opening: None,
        }
    }

    /// The conversation that the first message is going to open.
    pub(super) fn inviting(
        own: Address,
        bundle: &Arc<VerifiedBundle>,
        invitation: Invitation,
        created: TimestampNs,
    ) -> Self {
        let state = Self::invited(own, bundle.address(), &invitation, created);
        Self {
            opening: Some(Box::new(Opening::Invitation(invitation, Arc::clone(bundle)))),
            ..state
        }
    }

    pub(super) fn topic(&self) -> &Topic {
        match &self.kind {
            Kind::V1(v1) => v1.keys.topic(),
            Kind::V2(v2) => v2.keys.topic(),
        }
    }

    pub(super) fn v2(&self) -> Option<&V2> {
        match &self.kind {
            Kind::V1(_) => None,
            Kind::V2(v2) => Some(v2),
        }
    }

    pub(super) fn conversation_id(&self) -> Option<&str> {
        let id = self.v2()?.context.as_ref()?.conversation_id.as_str();
        (!id.is_empty()).then_some(id)
    }
}
