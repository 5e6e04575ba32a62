//! What people write to a bot: each message is handled once, with all its effects in one transaction, in the order of the
//! stream, also across restarts.

use std::{sync::Arc, time::Duration};

use herald_protocol::time::TimestampNs;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Effect, Incoming};
use crate::{
    bot::{
        event::Kind,
        fire,
        outside::Asking,
        running::Running,
        store::{self, Listening},
    },
    client::{self, Client, Message, MessageStream, STREAM_OVERLAP, jittered},
    content::Content,
};

/// Handled messages are remembered this long behind the newest: twice what a stream reads again.
const REMEMBERED: Duration = Duration::from_hours(48);
/// The newest messages that are not opened again at a start.
const KNOWN: u32 = 100_000;
const RETRY: Duration = Duration::from_secs(1);

/// Handles the messages of a bot until shutdown.
pub(crate) async fn listen(
    running: Arc<Running>,
    client: Client,
    listening: Listening,
    shutdown: CancellationToken,
) {
    let mut inbox = Inbox::open(running, &client, listening).await;
    loop {
        let message = tokio::select! {
            () = shutdown.cancelled() => return,
            message = inbox.next() => message,
        };
        match message {
            Ok(message) => {
                if let Some(incoming) = inbox.incoming(message) {
                    until_handled(&inbox.running, incoming, &shutdown).await;
                }
            }
            Err(error) => {
                let mut event = inbox.running.event(Kind::Error);
                event.reason = Some(format!("messages cannot be read: {error}"));
                inbox.running.tell(event).await;
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(jittered(RETRY * 10)) => {}
                }
            }
        }
    }
}

/// What people write to one bot, from where it has read to.
pub(crate) struct Inbox {
    running: Arc<Running>,
    listening: Listening,
    stream: MessageStream,
}

impl Inbox {
    pub(crate) async fn open(running: Arc<Running>, client: &Client, listening: Listening) -> Self {
        // The clock may have been ahead when the mark was moved.
        let read = listening.read.min(running.clock.now());
        let old = read
            .as_ns()
            .saturating_sub(u64::try_from(REMEMBERED.as_nanos()).unwrap_or(u64::MAX));
        if let Err(error) = running
            .store
            .forget_handled(&running.bot.name, TimestampNs::from_ns(old))
            .await
        {
            tracing::warn!(%error, "old messages are remembered longer");
        }
        let known = running
            .store
            .known_messages(&running.bot.name, TimestampNs::from_ns(old), KNOWN);
        let known = known.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "messages of the last days are opened again");
            Vec::new()
        });
        let since = read.saturating_sub(STREAM_OVERLAP);
        Self {
            stream: client.stream_all_messages(since).without(known).of_others(),
            running,
            listening,
        }
    }

    /// The next message of somebody else. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Message, client::Error> {
        self.stream.next().await
    }

    /// Does what a message asks for, once; one that is not the bot's to answer changes nothing.
    pub(crate) async fn handle(&self, message: Message) -> Result<(), store::Error> {
        match self.incoming(message) {
            Some(incoming) => handle(&self.running, incoming).await,
            None => Ok(()),
        }
    }

    fn incoming(&self, message: Message) -> Option<Incoming> {
        let is_own = message.sender == self.running.address;
        incoming(&self.listening, message).filter(|_| !is_own)
    }
}

/// A message that is the bot's to answer: text, or a reply that is text; not history.
fn incoming(listening: &Listening, message: Message) -> Option<Incoming> {
    if message.sent < listening.from {
        return None;
    }
    let content_type = message.content.content_type().to_string();
    let text = match message.content {
        Content::Text(text) => text,
        Content::Reply(reply) => match *reply.content {
            Content::Text(text) => text,
            _ => return None,
        },
        _ => return None,
    };
    Some(Incoming {
        id: *message.id.as_bytes(),
        text,
        content_type,
        from: message.sender,
        sent: message.sent,
        conversation: Some(message.conversation.topic().to_string()),
    })
}

/// Tries until the store has taken the message: it is never passed over.
async fn until_handled(running: &Arc<Running>, incoming: Incoming, shutdown: &CancellationToken) {
    while let Err(error) = handle(running, incoming.clone()).await {
        let mut event = running.event(Kind::Error);
        event.wallet = Some(incoming.from);
        event.reason = Some(format!("a message waits: {error}"));
        running.tell(event).await;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(jittered(RETRY)) => {}
        }
    }
}

async fn handle(running: &Arc<Running>, incoming: Incoming) -> Result<(), store::Error> {
    let now = running.clock.now();
    let effects = Asking::write(running, move |transaction, running| {
        let (bot, sent) = (&running.bot.name, (incoming.from, incoming.sent));
        if store::handle(transaction, bot, &incoming.id, sent, now)? {
            answer::answer(transaction, running, &incoming)
        } else {
            Ok(Vec::new())
        }
    });
    tell(running, effects.await?).await;
    Ok(())
}

/// Tells what a transaction did, once it is durable.
pub(super) async fn tell(running: &Running, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Event(event) => running.tell(*event).await,
            Effect::Occurrence(new, planned) => fire::tell(running, &new, &planned).await,
        }
    }
    running.to_deliver.notify_one();
    running.to_call_back.notify_one();
    running.to_keep_time.notify_one();
}
