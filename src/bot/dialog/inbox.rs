//! What people write to a bot: each message is handled once, with all its effects in one transaction, those of one wallet in the order
//! of the stream, also across restarts. Messages of several wallets are handled side by side: who asks for what takes long keeps nobody
//! else waiting, and their changes are committed together.

use std::{
    collections::{HashMap, VecDeque},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use herald_protocol::{address::Address, time::TimestampNs};
use rusqlite::Transaction;
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
/// Messages that are read ahead of the oldest that is not handled, some hundred kilobytes.
const AHEAD: usize = 256;
/// Messages of one wallet in one transaction.
const TOGETHER: usize = 64;

/// Handles the messages of a bot until shutdown.
pub(crate) async fn listen(
    running: Arc<Running>,
    client: Client,
    listening: Listening,
    shutdown: CancellationToken,
) {
    let inbox = Inbox::open(Arc::clone(&running), &client, listening).await;
    // What is being opened goes on while others are handled.
    let messages = stream::unfold((inbox.stream, false), async |(mut stream, has_failed)| {
        if has_failed {
            tokio::time::sleep(jittered(RETRY * 10)).await;
        }
        let message = stream.next().await;
        let has_failed = message.is_err();
        Some((message, (stream, has_failed)))
    });
    let mut messages = pin!(messages);
    let mut desk = Desk::default();
    loop {
        let message = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(done) = desk.under_way.next() => {
                desk.go_on(done, &running, &shutdown);
                continue;
            }
            Some(message) = messages.next(), if desk.count < AHEAD => message,
        };
        match message {
            Ok(message) => {
                if let Some(incoming) = incoming(&running, &listening, message) {
                    desk.take(incoming, &running, &shutdown);
                }
            }
            Err(error) => {
                let mut event = running.event(Kind::Error);
                event.reason = Some(format!("messages cannot be read: {error}"));
                running.tell(event).await;
            }
        }
    }
    while desk.under_way.next().await.is_some() {}
}

/// The messages that are being handled, and behind those of each wallet others of it that wait.
#[derive(Default)]
struct Desk<'a> {
    /// Each gives how many messages of whom are done.
    under_way: FuturesUnordered<BoxFuture<'a, (Address, usize)>>,
    waiting: HashMap<Address, VecDeque<Incoming>>,
    /// How many there are, also those that wait.
    count: usize,
}

impl<'a> Desk<'a> {
    /// Takes a message in its wallet's order.
    fn take(&mut self, incoming: Incoming, running: &'a Arc<Running>, shutdown: &'a CancellationToken) {
        self.count += 1;
        if let Some(line) = self.waiting.get_mut(&incoming.from) {
            return line.push_back(incoming);
        }
        self.waiting.insert(incoming.from, VecDeque::new());
        self.handle(vec![incoming], running, shutdown);
    }

    /// Goes on with the next messages of a wallet of which some are done.
    fn go_on(
        &mut self,
        (wallet, done): (Address, usize),
        running: &'a Arc<Running>,
        shutdown: &'a CancellationToken,
    ) {
        self.count = self.count.saturating_sub(done);
        let line = self.waiting.get_mut(&wallet);
        let next: Vec<Incoming> = line
            .map(|line| line.drain(..line.len().min(TOGETHER)).collect())
            .unwrap_or_default();
        if next.is_empty() {
            self.waiting.remove(&wallet);
        } else {
            self.handle(next, running, shutdown);
        }
    }

    /// Handles messages of one wallet.
    fn handle(&self, messages: Vec<Incoming>, running: &'a Arc<Running>, shutdown: &'a CancellationToken) {
        let Some(wallet) = messages.first().map(|first| first.from) else {
            return;
        };
        self.under_way.push(Box::pin(async move {
            let count = messages.len();
            until_handled(running, messages, shutdown).await;
            (wallet, count)
        }));
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
        match incoming(&self.running, &self.listening, message) {
            Some(incoming) => handle(&self.running, incoming).await,
            None => Ok(()),
        }
    }
}

/// A message that is the bot's to answer: text, or a reply that is text, of somebody else; not history.
fn incoming(running: &Running, listening: &Listening, message: Message) -> Option<Incoming> {
    if message.sender == running.address || message.sent < listening.from {
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

/// Tries until the store has taken the messages: none is passed over. They are taken together where none of them asks others for
/// anything, since what one brings about decides what the next asks.
async fn until_handled(running: &Arc<Running>, messages: Vec<Incoming>, shutdown: &CancellationToken) {
    if messages.len() > 1 && matches!(handle_together(running, messages.clone()).await, Ok(true)) {
        return;
    }
    for incoming in messages {
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
}

/// Does what messages ask for, in their order and in one transaction. Says whether it did: not where one of them asks others.
async fn handle_together(running: &Arc<Running>, messages: Vec<Incoming>) -> Result<bool, store::Error> {
    let now = running.clock.now();
    let change = move |transaction: &Transaction<'_>, running: &Arc<Running>| {
        let effects = messages
            .iter()
            .map(|incoming| take(transaction, running, incoming, now));
        let effects: Vec<Vec<Effect>> = effects.collect::<Result<_, _>>()?;
        Ok(effects.into_iter().flatten().collect())
    };
    let Some(effects) = Asking::write_known(running, change).await? else {
        return Ok(false);
    };
    tell(running, effects).await;
    Ok(true)
}

async fn handle(running: &Arc<Running>, incoming: Incoming) -> Result<(), store::Error> {
    let now = running.clock.now();
    let change = move |transaction: &Transaction<'_>, running: &Arc<Running>| {
        take(transaction, running, &incoming, now)
    };
    tell(running, Asking::write(running, change).await?).await;
    Ok(())
}

/// Does what a message asks for, unless that was done before.
fn take(
    transaction: &Transaction<'_>,
    running: &Running,
    incoming: &Incoming,
    now: TimestampNs,
) -> Result<Vec<Effect>, rusqlite::Error> {
    let (bot, sent) = (&running.bot.name, (incoming.from, incoming.sent));
    if store::handle(transaction, bot, &incoming.id, sent, now)? {
        return answer::answer(transaction, running, incoming);
    }
    Ok(Vec::new())
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
