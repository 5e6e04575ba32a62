//! Writing to a wallet: who it is, the sealed bytes, publishing them.

use std::sync::Arc;

use herald_protocol::{
    address::Address,
    bundle::VerifiedBundle,
    ciphertext::Entropy,
    envelope,
    invitation::Invitation,
    message_v2::Outgoing,
    proto::api::{Envelope, PublishRequest},
    time::TimestampNs,
    topic::Topic,
};
use prost::Message as _;

use super::{Client, Conversation, Disposition, Error, api, api::Range, contacts::Contact, random};
use crate::content::Content;

/// A wallet that can be written to.
#[derive(Clone, Debug)]
pub enum Peer {
    /// There is a conversation.
    Known(Arc<Conversation>),
    /// There is none yet: the first message brings invitations.
    New(Box<VerifiedBundle>),
}

/// A message as it goes to a node: the same bytes on every try.
#[derive(Clone, Debug)]
pub struct Sealed {
    envelopes: Vec<Envelope>,
    conversation: Arc<Conversation>,
    message: [u8; 32],
    sent: TimestampNs,
    new: bool,
}

impl Sealed {
    /// Invitations, if any, then the message.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// The encoded publish request.
    pub fn request(&self) -> Vec<u8> {
        PublishRequest {
            envelopes: self.envelopes.clone(),
        }
        .encode_to_vec()
    }

    /// The digest of the message's envelope, SHA-256(topic || message), as node cursors name it.
    pub fn envelope_id(&self) -> [u8; 32] {
        let last = self.envelopes.last();
        last.map(|last| envelope::digest(&last.content_topic, &last.message))
            .unwrap_or_default()
    }

    /// SHA-256 of the message.
    pub fn message_id(&self) -> [u8; 32] {
        self.message
    }

    /// The time in the message's header.
    pub fn sent(&self) -> TimestampNs {
        self.sent
    }

    /// The conversation it is for.
    pub fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    /// Whether it opens the conversation.
    pub fn is_new(&self) -> bool {
        self.new
    }
}

impl Client {
    /// How each wallet can be written to, in their order: known conversations, else contacts, asked in batches.
    ///
    /// The outer error is the node's; an inner one concerns that wallet alone.
    pub async fn reach(&self, wallets: &[Address]) -> Result<Vec<Result<Peer, Error>>, Error> {
        let known: Vec<Option<Peer>> = wallets
            .iter()
            .map(|wallet| self.inner.conversations.of_place(*wallet, None).map(Peer::Known))
            .collect();
        let strangers: Vec<Address> = wallets
            .iter()
            .zip(&known)
            .filter(|(_, known)| known.is_none())
            .map(|(wallet, _)| *wallet)
            .collect();
        let mut contacts = self.contacts(&strangers).await?.into_iter();
        let reach = |(wallet, known): (&Address, Option<Peer>)| match known {
            _ if *wallet == self.inner.address => Err(Error::OwnWallet { wallet: *wallet }),
            Some(known) => Ok(known),
            None => match contacts.next().flatten() {
                Some(Contact::V2(bundle)) => Ok(Peer::New(bundle)),
                Some(Contact::V1) => Err(Error::ContactIsV1 { wallet: *wallet }),
                None => Err(Error::NotOnNetwork { wallet: *wallet }),
            },
        };
        Ok(wallets.iter().zip(known).map(reach).collect())
    }

    /// Seals a message. Nothing is sent. CPU work of some 30 µs for a known peer, ten times that for a new one: call it off
    /// the async threads when there are many.
    pub fn seal(&self, peer: &Peer, content: &Content) -> Result<Sealed, Error> {
        let now = (self.inner.clock)();
        let (conversation, mut envelopes) = match peer {
            Peer::Known(conversation) => (Arc::clone(conversation), Vec::new()),
            Peer::New(bundle) => self.invite(bundle, now)?,
        };
        let outgoing = Outgoing {
            created: now,
            now,
            should_push: content.should_push(),
        };
        let entropy = Entropy::from_bytes(random()?);
        let sealed = conversation
            .keys()
            .seal(&self.inner.keys, &content.encode(), &outgoing, entropy);
        let message = *sealed.id.as_bytes();
        let new = !envelopes.is_empty();
        envelopes.push(Envelope {
            content_topic: conversation.topic().to_string(),
            timestamp_ns: now.as_ns(),
            message: sealed.bytes.into(),
        });
        Ok(Sealed {
            envelopes,
            conversation,
            message,
            sent: now,
            new,
        })
    }

    /// The conversation that both wallets derive alike, and its invitation for peer and self.
    fn invite(
        &self,
        bundle: &VerifiedBundle,
        now: TimestampNs,
    ) -> Result<(Arc<Conversation>, Vec<Envelope>), Error> {
        let own = self.inner.address;
        let invitation = Invitation::derive(&self.inner.keys, bundle, None);
        let sealed = invitation.seal(&self.inner.keys, bundle, now, Entropy::from_bytes(random()?));
        let sealed = bytes::Bytes::from(sealed);
        let envelope = |wallet| Envelope {
            content_topic: Topic::invite(wallet).to_string(),
            timestamp_ns: now.as_ns(),
            message: sealed.clone(),
        };
        let envelopes = vec![envelope(bundle.address()), envelope(own)];
        let conversation = Arc::new(Conversation::new(own, bundle.address(), &invitation, now));
        self.inner
            .conversations
            .expect(Arc::clone(&conversation), invitation);
        Ok((conversation, envelopes))
    }

    /// Publishes envelopes in one request. When this returns they are durable on the node; publishing the same ones again
    /// changes nothing. A token that is not accepted is renewed once.
    pub async fn publish(&self, envelopes: Vec<Envelope>) -> Result<(), Error> {
        match self
            .inner
            .api
            .publish(envelopes.clone(), &self.authorization(false)?)
            .await
        {
            Err(api::Error::Unauthenticated { .. }) => Ok(self
                .inner
                .api
                .publish(envelopes, &self.authorization(true)?)
                .await?),
            outcome => Ok(outcome?),
        }
    }

    /// Seals, publishes and remembers one message; tries again a few times while the node is away.
    pub async fn send(&self, wallet: Address, content: &Content) -> Result<Sealed, Error> {
        let peer = self.reach(&[wallet]).await?.into_iter().next();
        let peer = peer.unwrap_or(Err(Error::NotOnNetwork { wallet }))?;
        let sealed = self.seal(&peer, content)?;
        let mut wait = std::time::Duration::from_millis(100);
        for _ in 0..SEND_TRIES {
            match self.publish(sealed.envelopes.clone()).await {
                Err(error) if error.disposition() == Disposition::Retry(None) => {
                    tracing::debug!(%error, "publishing again");
                    tokio::time::sleep(api::jittered(wait)).await;
                    wait *= 2;
                }
                outcome => {
                    outcome?;
                    self.acknowledged(&sealed.envelopes).await?;
                    return Ok(sealed);
                }
            }
        }
        self.publish(sealed.envelopes.clone()).await?;
        self.acknowledged(&sealed.envelopes).await?;
        Ok(sealed)
    }

    /// Which of the envelopes the node has, in their order.
    pub async fn stored(&self, envelopes: &[Envelope]) -> Result<Vec<bool>, Error> {
        let ranges = envelopes.iter().map(|envelope| {
            let time = Some(TimestampNs::from_ns(envelope.timestamp_ns));
            Range {
                topics: vec![envelope.content_topic.clone()],
                start: time,
                end: time,
                page: 100,
                ..Range::default()
            }
        });
        let answers = self.inner.api.batch(&ranges.collect::<Vec<_>>()).await?;
        let has = |(envelope, answer): (&Envelope, Vec<Envelope>)| {
            answer.iter().any(|stored| stored.message == envelope.message)
        };
        Ok(envelopes.iter().zip(answers).map(has).collect())
    }
}

/// Tries of a single message before the failure is the caller's: some three seconds.
const SEND_TRIES: u32 = 5;
