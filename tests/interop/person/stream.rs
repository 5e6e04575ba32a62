//! Streams: each is a task that says what it hears, until it is stopped or the program ends.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use herald::client::{
    Client, ConsentStream, Conversation, ConversationStream, MessageStream, TimestampNs, Topic,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::{AbortHandle, JoinSet};

use crate::{
    Failure,
    form::{ConversationForm, EntryForm, MessageForm},
    rejection::{Rejections, Scope},
    say, told,
};

/// What a stream tells of.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    All,
    One,
    Ephemeral,
    Conversations,
    Consent,
}

/// The open streams.
#[derive(Default)]
pub(crate) struct Streams {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    tasks: JoinSet<()>,
    by_number: HashMap<u64, AbortHandle>,
}

impl Streams {
    /// Opens a stream and gives its number, once the node has confirmed it. `conversation` is that of `one` and `ephemeral`.
    pub(crate) async fn open(
        &self,
        client: &Client,
        rejections: &Rejections,
        what: What,
        conversation: Option<Conversation>,
    ) -> Result<u64, Failure> {
        let heard = Heard::of(client, what, conversation).await?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.last += 1;
        let number = open.last;
        let listening = rejections.listen(heard.scope(), move |error| {
            say(&json!({"event": "rejected", "stream": number, "error": error}));
        });
        let task = open.tasks.spawn(async move {
            let _listening = listening;
            let error = heard.tell(number).await;
            say(&json!({"event": "ended", "stream": number, "error": told(error.as_ref())}));
        });
        open.by_number.insert(number, task);
        Ok(number)
    }

    pub(crate) fn stop(&self, number: u64) -> Result<(), Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = open.by_number.remove(&number);
        stream.ok_or("no such stream is open")?.abort();
        Ok(())
    }
}

/// What a stream hears.
enum Heard {
    /// Messages of this time and later: a stream tells some that are older as well, for the sake of clocks that differ.
    All(MessageStream, TimestampNs),
    /// The same of one conversation, on this topic.
    One(MessageStream, TimestampNs, Topic),
    /// Conversations but those that were known before.
    Conversations(ConversationStream, HashSet<String>),
    Consent(ConsentStream),
}

impl Heard {
    async fn of(client: &Client, what: What, conversation: Option<Conversation>) -> Result<Self, Failure> {
        let now = herald::clock::now();
        // JavaScript dates messages in milliseconds.
        let since = TimestampNs::from_ms(now.as_ms()).unwrap_or(now);
        let one = || conversation.ok_or("`one` and `ephemeral` are of a `topic`");
        Ok(match what {
            What::All => {
                let mut stream = client.stream_all_messages(since);
                stream.connect().await?;
                Self::All(stream, since)
            }
            What::One => {
                let conversation = one()?;
                let mut stream = conversation.stream(since);
                stream.connect().await?;
                Self::One(stream, since, conversation.topic().clone())
            }
            What::Ephemeral => {
                let conversation = one()?;
                let mut stream = conversation.stream_ephemeral();
                stream.connect().await?;
                Self::One(stream, since, conversation.topic().ephemeral())
            }
            What::Conversations => {
                client.sync_conversations().await?;
                let known = client.conversations();
                let mut stream = client.stream_conversations();
                stream.connect().await?;
                Self::Conversations(
                    stream,
                    known.iter().map(|known| known.topic().to_string()).collect(),
                )
            }
            What::Consent => {
                let mut stream = client.stream_consent();
                stream.connect().await?;
                Self::Consent(stream)
            }
        })
    }

    fn scope(&self) -> Scope {
        match self {
            Self::All(..) => Scope::All,
            Self::One(_, _, topic) => Scope::Topic(topic.to_string()),
            Self::Conversations(..) => Scope::Conversations,
            Self::Consent(_) => Scope::Consent,
        }
    }

    /// Says what comes; gives why no more does.
    async fn tell(mut self, number: u64) -> Failure {
        loop {
            match self.next(number).await {
                Ok(Some(event)) => say(&event),
                Ok(None) => {}
                Err(error) => return error,
            }
        }
    }

    async fn next(&mut self, number: u64) -> Result<Option<Value>, Failure> {
        let heard = match self {
            Self::All(stream, since) => {
                let message = stream.next().await?;
                let topic = message.conversation.topic().clone();
                (message.sent >= *since).then_some((message, topic))
            }
            Self::One(stream, since, topic) => {
                let message = stream.next().await?;
                (message.sent >= *since).then_some((message, topic.clone()))
            }
            Self::Conversations(stream, known) => {
                let conversation = stream.next().await?;
                let is_new = known.insert(conversation.topic().to_string());
                let form = ConversationForm::from(&conversation);
                let event = json!({"event": "conversation", "stream": number, "conversation": form});
                return Ok(is_new.then_some(event));
            }
            Self::Consent(stream) => {
                let entry = EntryForm::from(&stream.next().await?);
                return Ok(Some(
                    json!({"event": "consent", "stream": number, "entry": entry}),
                ));
            }
        };
        let Some((message, topic)) = heard else {
            return Ok(None);
        };
        let form = MessageForm::new(&message, &topic)?;
        Ok(Some(
            json!({"event": "message", "stream": number, "message": form}),
        ))
    }
}
