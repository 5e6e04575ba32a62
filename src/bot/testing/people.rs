//! The test wallets: each with a client of its own.

use chrono::{DateTime, Utc};
use herald_protocol::address::Address;

use crate::{
    bot::{config::testing::Saying, running::to_utc},
    client::{self, Client, Message},
    content::{Content, Reaction, Reply},
};

/// A message as a test wallet decrypted it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// The name of the test wallet.
    pub(super) to: String,
    /// The rule, once the row is known.
    pub(super) rule: Option<String>,
    pub(super) message: [u8; 32],
    /// The text; of other content its fallback.
    pub(super) text: String,
    /// The key of `send`.
    pub(super) kind: &'static str,
    pub(super) time: DateTime<Utc>,
    /// The id of its conversation.
    pub(super) thread: Option<String>,
}

/// Somebody with a test wallet.
pub(super) struct Person {
    pub(super) name: String,
    client: Client,
}

impl Person {
    pub(super) fn new(name: String, client: Client) -> Self {
        Self { name, client }
    }

    /// Writes to the bot, and gives the message's id.
    pub(super) async fn say(
        &self,
        bot: Address,
        text: &str,
        kind: Saying,
    ) -> Result<Option<[u8; 32]>, client::Error> {
        let last = match kind {
            Saying::Reply | Saying::React => {
                let Some(last) = self.messages().await?.pop() else {
                    return Ok(None);
                };
                Some(last)
            }
            Saying::Text | Saying::ReadReceipt => None,
        };
        let content = match (kind, &last) {
            (Saying::ReadReceipt, _) => Content::ReadReceipt,
            (Saying::Reply, Some(last)) => {
                Content::Reply(Reply::new(last.id.to_string(), Content::Text(text.to_owned())))
            }
            (Saying::React, Some(last)) => Content::Reaction(Reaction::added(last.id.to_string(), text)),
            _ => Content::Text(text.to_owned()),
        };
        let sent = match last {
            Some(last) => last.conversation.send(content).await?,
            None => self.client.send(bot, content).await?,
        };
        Ok(Some(*sent.message_id().as_bytes()))
    }

    /// What others wrote, oldest first.
    async fn messages(&self) -> Result<Vec<Message>, client::Error> {
        self.client.sync_conversations().await?;
        let mut messages = Vec::new();
        for conversation in self.client.conversations() {
            messages.extend(conversation.messages(None).await?);
        }
        messages.retain(|message| !message.is_own());
        messages.sort_by_key(|message| message.sent);
        Ok(messages)
    }

    pub(super) async fn received(&self) -> Result<Vec<Received>, client::Error> {
        let messages = self.messages().await?;
        Ok(messages.into_iter().map(|message| self.opened(message)).collect())
    }

    fn opened(&self, message: Message) -> Received {
        Received {
            to: self.name.clone(),
            rule: None,
            message: *message.id.as_bytes(),
            kind: kind(&message.content),
            time: to_utc(message.sent),
            thread: message.conversation.conversation_id().map(ToOwned::to_owned),
            text: match message.content {
                Content::Text(text) => text,
                content => content.fallback().unwrap_or_default(),
            },
        }
    }
}

/// The key of `send` that content comes from.
fn kind(content: &Content) -> &'static str {
    match content {
        Content::Text(_) => "text",
        Content::Reply(_) => "reply",
        Content::Reaction(_) => "react",
        Content::Attachment(_) => "attach",
        Content::RemoteAttachment(_) => "remote",
        Content::TransactionReference(_) => "tx",
        _ => "custom",
    }
}
