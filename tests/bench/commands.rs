//! Ten thousand commands that a thousand wallets give a bot at once, on a node in the same process, until the last one is answered.
//!
//! The floor is what the cores do when they only open these messages and seal the answers.

use std::{
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use herald::{
    bot::{self, Event, Kind, Runtime, Shared, Started, config, project::Project, store::Store},
    client::{Api, Cache},
    content::Content,
};
use herald_protocol::{
    ciphertext::Entropy,
    invitation::Invitation,
    message_v2::{Conversation, Outgoing},
    proto::api::Envelope,
    token,
    topic::Topic,
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    figure::{self, Figure, Round, Target},
    load,
    node::Node,
    people,
};

/// Answers a second.
pub(crate) fn answered(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("bot.yaml"), BOT)?;
    let rounds = node.block_on(rounds(&node, folder))?;
    node.stop()?;
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.2)))
}

async fn rounds(node: &Node, folder: &Path) -> Result<Vec<Round>, Error> {
    let authorization = token::bearer(&people::identity(BOT_NUMBER)?, herald::clock::now())?;
    let api = Api::new(node.address())?;
    api.publish(vec![people::stored_identity(BOT_NUMBER)?], &authorization)
        .await?;
    let loaded = config::load(&folder.join("bot.yaml"));
    let (bot, _) = loaded.map_err(|found| found.iter().map(ToString::to_string).collect::<String>())?;
    let (sender, mut events) = bot::events();
    let store = Store::open(&folder.join("data").join("herald.db"))?;
    let cache = Cache::open(&folder.join("data").join("client.db"))?;
    let shared = Shared::of(
        Project::default(),
        (store, cache),
        herald::clock::now.into(),
        sender,
    )?;
    let launch = people::launch(bot, BOT_NUMBER, node.address())?;
    let shutdown = CancellationToken::new();
    let runtime = Runtime::start(vec![launch], &shared, Started::OnCall, &shutdown);
    let (_changed, changes) = mpsc::channel(1);
    let mut living = JoinSet::new();
    living.spawn(runtime.live(changes));
    while next(&mut events).await?.event != Kind::Ready {}
    let mut rounds = Vec::with_capacity(ROUNDS as usize);
    for number in 0..ROUNDS {
        // Others each time: a bot answers nobody without end.
        let callers = callers(BOT_NUMBER + 1 + number * WALLETS)?;
        for number in 0..WALLETS {
            load::publish_contact(callers.first + number, &node.address()).await?;
        }
        publish(&api, &authorization, callers.invitations.clone()).await?;
        publish(&api, &authorization, callers.say(1)?).await?;
        delivered(&mut events, WALLETS).await?;
        // Who answers within a second is taken for a program.
        tokio::time::sleep(THINKING).await;
        let commands = callers.say(EACH)?;
        let started = Instant::now();
        publish(&api, &authorization, commands.clone()).await?;
        delivered(&mut events, WALLETS * EACH).await?;
        let subject = figure::rate(WALLETS * EACH, started.elapsed());
        let floor = tokio::task::block_in_place(|| callers.open_and_answer(&commands))?;
        rounds.push(Round { subject, floor });
    }
    shutdown.cancel();
    while let Some(ended) = living.join_next().await {
        ended?;
    }
    Ok(rounds)
}

async fn publish(api: &Api, authorization: &str, envelopes: Vec<Envelope>) -> Result<(), Error> {
    for part in envelopes.chunks(AT_ONCE) {
        api.publish(part.to_vec(), authorization).await?;
    }
    Ok(())
}

/// Waits until so many answers are on the node.
async fn delivered(events: &mut mpsc::Receiver<Event>, count: u32) -> Result<(), Error> {
    let mut open = count;
    while open > 0 {
        let event = next(events).await?;
        match event.event {
            Kind::Delivered => open -= 1,
            Kind::Rejected | Kind::Expired | Kind::Error => {
                return Err(event.reason.unwrap_or_default().into());
            }
            _ => {}
        }
    }
    Ok(())
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Result<Event, Error> {
    let event = tokio::time::timeout(PATIENCE, events.recv()).await?;
    Ok(event.ok_or("the bot has ended")?)
}

/// Wallets that have a conversation with the bot.
struct Callers {
    /// The number of the first wallet.
    first: u32,
    conversations: Vec<Conversation>,
    invitations: Vec<Envelope>,
}

fn callers(first: u32) -> Result<Callers, Error> {
    let bot = people::identity(BOT_NUMBER)?;
    let now = herald::clock::now();
    let made = people::each(WALLETS, |number| {
        let caller = people::identity(first + number)?;
        let invitation = Invitation::derive(&caller, bot.public(), None);
        let sealed = invitation.seal(&caller, bot.public(), now, entropy(first + number));
        let members = [caller.address(), bot.address()];
        let conversation = Conversation::new(invitation.topic.clone(), invitation.key_material, members);
        let envelope = Envelope {
            content_topic: Topic::invite(bot.address()).to_string(),
            timestamp_ns: now.as_ns(),
            message: sealed.into(),
        };
        Ok((conversation, envelope))
    })?;
    let (conversations, invitations) = made.into_iter().unzip();
    Ok(Callers {
        first,
        conversations,
        invitations,
    })
}

impl Callers {
    fn of(&self, number: u32) -> Result<(&Conversation, u32), Error> {
        let wallet = number % WALLETS;
        let conversation = self.conversations.get(wallet as usize);
        Ok((conversation.ok_or("no such wallet")?, self.first + wallet))
    }

    /// So many commands of each, as the node gets them.
    fn say(&self, each: u32) -> Result<Vec<Envelope>, Error> {
        people::each(WALLETS * each, |number| {
            let (conversation, wallet) = self.of(number)?;
            let now = herald::clock::now();
            let outgoing = Outgoing {
                created: now,
                now,
                should_push: true,
            };
            let text = Content::Text(format!("/add {number} 2"));
            let sealed = conversation.seal(
                &people::identity(wallet)?,
                &text.encode(),
                &outgoing,
                entropy(number),
            );
            Ok(Envelope {
                content_topic: conversation.topic().to_string(),
                timestamp_ns: now.as_ns(),
                message: sealed.bytes.into(),
            })
        })
    }

    /// Commands a second that all cores open, with their answers sealed.
    fn open_and_answer(&self, commands: &[Envelope]) -> Result<f64, Error> {
        let bot = people::identity(BOT_NUMBER)?;
        let publics = people::each(WALLETS, |number| {
            Ok(people::identity(self.first + number)?.public().clone())
        })?;
        let started = Instant::now();
        people::each(WALLETS * EACH, |number| {
            let (conversation, wallet) = self.of(number)?;
            let command = commands.get(number as usize).ok_or("no such command")?;
            let public = publics
                .get((wallet - self.first) as usize)
                .ok_or("no such wallet")?;
            let topic = conversation.topic().as_str();
            let opened = conversation.open(topic, &command.message, &[public, bot.public()])?;
            black_box(Content::decode(opened.into_content())?);
            let now = herald::clock::now();
            let outgoing = Outgoing {
                created: now,
                now,
                should_push: true,
            };
            let text = Content::Text("It is 1234.".to_owned());
            black_box(conversation.seal(&bot, &text.encode(), &outgoing, entropy(number)));
            Ok(())
        })?;
        Ok(figure::rate(WALLETS * EACH, started.elapsed()))
    }
}

fn entropy(number: u32) -> Entropy {
    let mut entropy = [7; 44];
    entropy[..4].copy_from_slice(&number.to_be_bytes());
    Entropy::from_bytes(entropy)
}

const BOT: &str = "herald: 1
bot: sums
identity: env:SUMS_KEY
commands:
  /add <a:int> <b:int>: { reply: \"It is {{ args.a + args.b }}.\" }
";
const BOT_NUMBER: u32 = 0;
const WALLETS: u32 = 1_000;
const EACH: u32 = 10;
const ROUNDS: u32 = 3;
/// Messages of one request.
const AT_ONCE: usize = 100;
const THINKING: Duration = Duration::from_millis(1_500);
/// Without any event for so long, something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);
