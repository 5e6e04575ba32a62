//! Messages as their readers see them, and the history of a conversation.

use std::sync::Arc;

use herald_protocol::{address::Address, bundle::PrivateKeyBundle, proto::api::Envelope, time::TimestampNs};

use super::{Client, Conversation, Error, api::Range, compute};
use crate::content::Content;

/// A decrypted message whose sender is verified to be one of the two members.
#[derive(Clone, Debug)]
pub struct Message {
    /// SHA-256 of the message's bytes; the id that other clients show, too.
    pub id: [u8; 32],
    /// The conversation it is in.
    pub conversation: Arc<Conversation>,
    /// Who wrote it.
    pub sender: Address,
    /// When, by the sender's clock.
    pub sent: TimestampNs,
    /// What it says.
    pub content: Content,
}

impl Client {
    /// The messages of a conversation from `since` on, oldest first. What does not decrypt or verify is left out and counted.
    pub async fn messages(
        &self,
        conversation: &Arc<Conversation>,
        since: Option<TimestampNs>,
    ) -> Result<Vec<Message>, Error> {
        let topics = vec![conversation.topic().to_string()];
        let range = Range {
            topics,
            start: since,
            page: PAGE,
            ..Range::default()
        };
        let (mut messages, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.inner.api.query(&range, cursor).await?;
            for envelope in page.envelopes {
                messages.extend(self.open(Arc::clone(conversation), envelope).await?);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(messages);
            }
        }
    }

    /// Opens an envelope of a conversation. One that does not decrypt or verify is dropped, counted and said.
    pub(super) async fn open(
        &self,
        conversation: Arc<Conversation>,
        envelope: Envelope,
    ) -> Result<Option<Message>, Error> {
        let own = Arc::clone(&self.inner.keys);
        compute(move || match open(&own, &conversation, &envelope) {
            Ok(message) => {
                metrics::counter!("herald_messages_opened_total").increment(1);
                Some(message)
            }
            Err(error) => {
                metrics::counter!("herald_messages_dropped_total", "reason" => error.label()).increment(1);
                tracing::warn!(%error, topic = %conversation.topic(), "dropped a message that does not open");
                None
            }
        })
        .await
    }
}

fn open(
    own: &PrivateKeyBundle,
    conversation: &Arc<Conversation>,
    envelope: &Envelope,
) -> Result<Message, herald_protocol::Error> {
    let peer = conversation.peer_bundle();
    let known = [Some(own.public()), peer.as_ref()];
    let known: Vec<_> = known.into_iter().flatten().collect();
    let opened = conversation
        .keys()
        .open(&envelope.content_topic, &envelope.message, &known)?;
    if let Some(bundle) = opened
        .new_sender_bundle()
        .filter(|bundle| bundle.address() == conversation.peer)
    {
        conversation.keep_peer_bundle(bundle.clone());
    }
    Ok(Message {
        id: *opened.id().as_bytes(),
        conversation: Arc::clone(conversation),
        sender: opened.sender(),
        sent: opened.sent(),
        content: Content::decode(opened.into_content())?,
    })
}

/// The most a node gives at once.
pub(super) const PAGE: u32 = 100;
