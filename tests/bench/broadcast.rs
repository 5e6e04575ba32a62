//! A broadcast to wallets that the bot has written to before, on a node in the same process.
//!
//! The floor is what the cores seal when they do nothing else.

use std::{
    fs::{self, File},
    hint::black_box,
    io::{BufWriter, Write as _},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use herald::{
    bot::{Event, Kind, Runtime, Started},
    client::{Client, Conversation},
    content::Content,
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

/// Messages a second from the firing of a rule to the last acknowledged one, beside those that all cores seal.
pub(crate) fn known(folder: &Path) -> Result<Figure, Error> {
    let node = Node::start(folder)?;
    fs::create_dir_all(folder.join("data"))?;
    fs::write(folder.join("bot.yaml"), BOT)?;
    let mut file = BufWriter::new(File::create(folder.join("all.csv"))?);
    writeln!(file, "wallet")?;
    for number in 0..WALLETS {
        writeln!(file, "{}", people::identity(FIRST + number)?.address())?;
    }
    file.flush()?;
    let rounds = node.block_on(rounds(&node, folder))?;
    node.stop()?;
    Ok(Figure::of_rounds("/s", &rounds, Target::AtLeast(0.25)))
}

async fn rounds(node: &Node, folder: &Path) -> Result<Vec<Round>, Error> {
    for number in 0..WALLETS {
        load::publish_contact(FIRST + number, &node.address()).await?;
    }
    let (client, peer) = acquainted(node).await?;
    let (bot, shared, mut events) = people::bot_in(folder)?;
    let launch = people::launch(bot, 0, node.address())?;
    let shutdown = CancellationToken::new();
    let runtime = Runtime::start(vec![launch], &shared, Started::OnCall, &shutdown);
    let bots = runtime.bots();
    let (_changed, changes) = mpsc::channel(1);
    let mut living = JoinSet::new();
    living.spawn(runtime.live(changes));
    // The first one opens the conversations.
    bots.fire_started().await?;
    delivered(&mut events).await?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        bots.fire_started().await?;
        delivered(&mut events).await?;
        let subject = figure::rate(WALLETS, started.elapsed());
        let floor = tokio::task::block_in_place(|| sealed(&client, &peer))?;
        rounds.push(Round { subject, floor });
    }
    shutdown.cancel();
    while let Some(ended) = living.join_next().await {
        ended?;
    }
    Ok(rounds)
}

/// Waits until everybody has it.
async fn delivered(events: &mut mpsc::Receiver<Event>) -> Result<(), Error> {
    let mut count = 0;
    while count < WALLETS {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await?;
        let event = event.ok_or("the bot has ended")?;
        match event.event {
            Kind::Delivered => count += 1,
            Kind::Rejected | Kind::Expired | Kind::Error => {
                return Err(event.reason.unwrap_or_default().into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Another client, and a wallet it has written to.
async fn acquainted(node: &Node) -> Result<(Client, Conversation), Error> {
    let client = people::connect(FIRST + WALLETS, node.address()).await?;
    let reader = people::identity(FIRST)?.address();
    client.send(reader, text()).await?;
    let peer = client.reach(&[reader]).await?.remove(0)?;
    Ok((client, peer))
}

/// Messages a second that all cores seal.
fn sealed(client: &Client, peer: &Conversation) -> Result<f64, Error> {
    let cores = u32::try_from(thread::available_parallelism()?.get())?;
    let started = Instant::now();
    people::each(SEALS * cores, |_| {
        black_box(client.seal(peer, &text())?);
        Ok(())
    })?;
    Ok(figure::rate(SEALS * cores, started.elapsed()))
}

fn text() -> Content {
    Content::Text("gm, the drop is open".to_owned())
}

const BOT: &str = "herald: 1
bot: crier
identity: env:CRIER_KEY
rules:
  cry:
    when: { started: true }
    to: { csv: all.csv }
    consent: transactional
    send: gm, the drop is open
";
const WALLETS: u32 = 10_000;
/// The number of the first wallet.
const FIRST: u32 = 1;
const ROUNDS: usize = 5;
/// Seals of one core in a round of the floor.
const SEALS: u32 = 5_000;
/// Without any event for so long, something is wrong.
const PATIENCE: Duration = Duration::from_mins(2);
