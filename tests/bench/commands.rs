//! Ten thousand commands that a thousand wallets give a bot at once, on a node in the same process, until the last one is answered.
//!
//! The floor is what the cores do when they only open these messages and seal the answers.

use std::{
    fs,
    hint::black_box,
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use herald::{
    bot::{Event, Kind, Runtime, Started},
    client::{Api, NodeAddress},
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
    node::{Node, runtime},
    people, process,
};

/// Answers a second.
pub(crate) fn answered(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    let rounds = node.block_on(rounds(&node, folder))?;
    node.stop()?;
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.2)))
}

async fn rounds(node: &Node, folder: &Path) -> Result<Vec<Round>, Error> {
    let people = People::at(node.address()).await?;
    let mut bot = RunningBot::start(node.address(), folder).await?;
    let mut rounds = Vec::with_capacity(ROUNDS as usize);
    for number in 0..ROUNDS {
        let callers = people.callers(number).await?;
        bot.delivered(WALLETS).await?;
        // Who answers within a second is taken for a program.
        tokio::time::sleep(THINKING).await;
        let commands = callers.say(EACH)?;
        let started = Instant::now();
        people.publish(commands.clone()).await?;
        bot.delivered(WALLETS * EACH).await?;
        let subject = figure::rate(WALLETS * EACH, started.elapsed());
        let floor = tokio::task::block_in_place(|| callers.open_and_answer(&commands))?;
        rounds.push(Round { subject, floor });
    }
    bot.stop().await?;
    Ok(rounds)
}

/// MiB of a bot that has answered eighteen thousand commands of a thousand wallets; in the floor's place the same after a third of them.
pub(crate) fn memory(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    let mut part = process::Part::start(&[
        "commands",
        &node.address().to_string(),
        folder.to_str().ok_or("a path is text")?,
    ])?;
    let held = node.block_on(async {
        let people = People::at(node.address()).await?;
        part.line()?;
        let callers = people.callers(0).await?;
        part.line()?;
        let mut held = [0.0; 2];
        for (held, each) in held.iter_mut().zip(HISTORY) {
            tokio::time::sleep(THINKING).await;
            people.publish(callers.say(each)?).await?;
            *held = part.line()?.parse::<f64>()? / 1024.0;
        }
        Ok::<_, Error>(held)
    })?;
    drop(part);
    node.stop()?;
    let [floor, subject] = held;
    let rounds = [Round { subject, floor }];
    Ok(Figure::of_rounds("MiB", &rounds, Target::AtMost(1.2)))
}

/// The process of the bot: says when it is ready, when it has answered the first words of each, and the KiB that it holds when it has
/// answered their commands, the first ones and the later ones.
pub(crate) fn role(node: NodeAddress, folder: &Path) -> Result<(), Error> {
    runtime("bot")?.block_on(async {
        People::at(node.clone()).await?;
        let mut bot = RunningBot::start(node, folder).await?;
        writeln!(io::stdout(), "ready")?;
        bot.delivered(WALLETS).await?;
        writeln!(io::stdout(), "heard")?;
        for each in HISTORY {
            bot.delivered(WALLETS * each).await?;
            writeln!(io::stdout(), "{}", process::settled_kib("self").await?)?;
        }
        bot.stop().await
    })
}

/// A bot that lives in this process.
struct RunningBot {
    events: mpsc::Receiver<Event>,
    living: JoinSet<()>,
    shutdown: CancellationToken,
}

impl RunningBot {
    /// Starts it, its stores in the folder.
    async fn start(node: NodeAddress, folder: &Path) -> Result<Self, Error> {
        fs::create_dir_all(folder.join("data"))?;
        fs::write(folder.join("bot.yaml"), BOT)?;
        let (bot, shared, events) = people::bot_in(folder)?;
        let launch = people::launch(bot, BOT_NUMBER, node)?;
        let shutdown = CancellationToken::new();
        let runtime = Runtime::start(vec![launch], &shared, Started::OnCall, &shutdown);
        let (_changed, changes) = mpsc::channel(1);
        let mut living = JoinSet::new();
        living.spawn(runtime.live(changes));
        let mut bot = Self {
            events,
            living,
            shutdown,
        };
        while bot.next().await?.event != Kind::Ready {}
        Ok(bot)
    }

    /// Waits until so many answers are on the node.
    async fn delivered(&mut self, count: u32) -> Result<(), Error> {
        let mut open = count;
        while open > 0 {
            let event = self.next().await?;
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

    async fn next(&mut self) -> Result<Event, Error> {
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await?;
        Ok(event.ok_or("the bot has ended")?)
    }

    async fn stop(mut self) -> Result<(), Error> {
        self.shutdown.cancel();
        while let Some(ended) = self.living.join_next().await {
            ended?;
        }
        Ok(())
    }
}

/// Who writes to the bot, by way of one connection.
struct People {
    api: Api,
    authorization: String,
    node: NodeAddress,
}

impl People {
    /// Connects, and makes the bot known.
    async fn at(node: NodeAddress) -> Result<Self, Error> {
        let people = Self {
            api: Api::new(node.clone())?,
            authorization: token::bearer(&people::identity(BOT_NUMBER)?, herald::clock::now())?,
            node,
        };
        people.publish(vec![people::stored_identity(BOT_NUMBER)?]).await?;
        Ok(people)
    }

    /// Wallets that say their first words. Others for each number: a bot answers nobody without end.
    async fn callers(&self, number: u32) -> Result<Callers, Error> {
        let callers = callers(BOT_NUMBER + 1 + number * WALLETS)?;
        for number in 0..WALLETS {
            load::publish_contact(callers.first + number, &self.node).await?;
        }
        self.publish(callers.invitations.clone()).await?;
        self.publish(callers.say(1)?).await?;
        Ok(callers)
    }

    async fn publish(&self, envelopes: Vec<Envelope>) -> Result<(), Error> {
        for part in envelopes.chunks(AT_ONCE) {
            self.api.publish(part.to_vec(), &self.authorization).await?;
        }
        Ok(())
    }
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
/// Commands of each wallet before its bot is looked at first, and from then to the second look: with the first words as many as a wallet
/// is answered in an hour.
const HISTORY: [u32; 2] = [6, 12];
const ROUNDS: u32 = 3;
/// Messages of one request.
const AT_ONCE: usize = 100;
const THINKING: Duration = Duration::from_millis(1_500);
/// Without any event for so long, something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);
