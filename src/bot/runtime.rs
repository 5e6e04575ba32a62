//! Runs bots: each with its planner, its schedules, and, once its node is reached, its deliveries and its inbox.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use herald_protocol::{
    address::Address,
    time::{Clock, TimestampNs},
    wallet::WalletKey,
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    config::Bot,
    dialog,
    event::{Event, Events, Kind},
    fire, outbox,
    project::Project,
    running::Running,
    store::{self, Store},
    trigger,
};
use crate::{
    client::{Cache, Client, Disposition, NodeAddress, jittered},
    fetch::Fetch,
};

/// A bot with what it needs to run.
#[derive(Debug)]
pub struct Launch {
    /// What the file says.
    pub bot: Bot,
    /// The bot's wallet.
    pub wallet: WalletKey,
    /// The node it publishes to.
    pub node: NodeAddress,
    /// The node's name where its address changes from start to start: the built-in one's.
    pub network: Option<String>,
}

/// What all bots of a process share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// Where nodes, chains and upload targets are.
    pub project: Arc<Project>,
    /// The one client for what bots name on the web: [`Project::fetch`].
    pub fetch: Fetch,
    /// What the bots must not forget.
    pub store: Store,
    /// What their clients read from the network once.
    pub cache: Cache,
    /// The wall clock.
    pub clock: Clock,
    /// Where events go.
    pub events: Events,
}

/// Bots that run until [`Runtime::stopped`].
pub struct Runtime {
    bots: BTreeMap<String, Arc<Running>>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("bots", &self.bots.keys())
            .finish_non_exhaustive()
    }
}

/// How `started` rules fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// At once, and again only when the file has changed.
    OnChange,
    /// When [`Bots::fire_started`] is called, every time.
    OnCall,
}

/// The bots of a runtime, for whoever fires their rules from outside; clones share them.
#[derive(Clone)]
pub struct Bots {
    bots: BTreeMap<String, Arc<Running>>,
}

impl std::fmt::Debug for Bots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.bots.keys()).finish()
    }
}

impl Bots {
    pub(crate) fn find(&self, bot: &str) -> Option<&Arc<Running>> {
        self.bots.get(bot)
    }

    /// What each bot's file says, and its wallet.
    pub fn iter(&self) -> impl Iterator<Item = (&Bot, Address)> {
        self.bots.values().map(|running| (&running.bot, running.address))
    }

    /// Whether a bot has handled a message that was written to it.
    pub async fn has_handled(&self, bot: &str, message: [u8; 32]) -> Result<bool, store::Error> {
        match self.bots.get(bot) {
            Some(running) => running.store.handled(bot, message).await,
            None => Ok(false),
        }
    }

    /// Fires every `started` rule, whether its file changed or not.
    pub async fn fire_started(&self) -> Result<(), store::Error> {
        for running in self.bots.values() {
            let moment = running.now().timestamp_millis();
            fire::started(
                running,
                &format!("{}-{moment}", const_hex::encode(running.bot.file_digest)),
            )
            .await?;
        }
        Ok(())
    }
}

impl Runtime {
    /// Starts the bots. Each tells `ready` when it has reached its node; until then its triggers are recorded all the same.
    pub fn start(
        launches: Vec<Launch>,
        shared: &Shared,
        started: Started,
        shutdown: &CancellationToken,
    ) -> Self {
        let mut runtime = Self {
            bots: BTreeMap::new(),
            tasks: JoinSet::new(),
            shutdown: shutdown.child_token(),
        };
        for Launch {
            bot,
            wallet,
            node,
            network,
        } in launches
        {
            let running = Arc::new(Running {
                bot,
                project: Arc::clone(&shared.project),
                address: wallet.address(),
                store: shared.store.clone(),
                events: shared.events.clone(),
                clock: shared.clock.clone(),
                to_plan: Notify::new(),
                to_deliver: Notify::new(),
            });
            let name = running.bot.name.clone();
            runtime
                .tasks
                .spawn(outbox::plan(Arc::clone(&running), runtime.shutdown.clone()));
            runtime
                .tasks
                .spawn(trigger::run(Arc::clone(&running), runtime.shutdown.clone()));
            let life = Life {
                running: Arc::clone(&running),
                wallet,
                node,
                network,
                cache: shared.cache.clone(),
                started,
            };
            runtime.tasks.spawn(life.run(runtime.shutdown.clone()));
            runtime.bots.insert(name, running);
        }
        runtime
    }

    /// The bots, to fire their rules from outside.
    pub fn bots(&self) -> Bots {
        Bots {
            bots: self.bots.clone(),
        }
    }

    /// Waits for the shutdown token, then until every task has ended. One that takes longer than ten seconds (a node that
    /// does not answer) is cut off, which loses nothing: the store has what is not settled.
    pub async fn stopped(mut self) {
        self.shutdown.cancelled().await;
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a bot's task ended by itself");
                }
            }
        };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!("a bot was cut off while it waited for its node");
        }
        self.tasks.shutdown().await;
    }
}

/// The part of a bot's life that needs its node.
struct Life {
    running: Arc<Running>,
    wallet: WalletKey,
    node: NodeAddress,
    network: Option<String>,
    cache: Cache,
    started: Started,
}

impl Life {
    async fn run(self, shutdown: CancellationToken) {
        let connected = tokio::select! {
            () = shutdown.cancelled() => return,
            client = self.connect() => client,
        };
        let Some((client, listening)) = connected else {
            return;
        };
        let mut event = self.running.event(Kind::Ready);
        event.address = Some(client.address());
        self.running.tell(event).await;
        if self.started == Started::OnChange {
            let digest = const_hex::encode(self.running.bot.file_digest);
            if let Err(error) = fire::started(&self.running, &digest).await {
                self.failed(format!("`started` rules did not fire: {error}"))
                    .await;
            }
        }
        let deliveries = outbox::deliver(Arc::clone(&self.running), client.clone(), shutdown.clone());
        let denials = outbox::follow_denials(Arc::clone(&self.running), client.clone(), shutdown.clone());
        let inbox = dialog::listen(Arc::clone(&self.running), client, listening, shutdown);
        tokio::join!(deliveries, denials, inbox);
    }

    /// Connects, however long the node is away. None when it never can.
    async fn connect(&self) -> Option<(Client, store::Listening)> {
        let mut wait = FIRST_WAIT;
        loop {
            let before = self.running.clock.now();
            let mut builder = Client::builder(self.wallet.clone(), self.node.clone())
                .cache(self.cache.clone())
                .clock(self.running.clock.clone());
            if let Some(network) = &self.network {
                builder = builder.network(network);
            }
            let error = match builder.connect().await {
                Ok(client) => {
                    // A wallet that is new on the network has no history, so no message is too old to be answered.
                    let from = if client.is_new_identity() {
                        TimestampNs::from_ns(0)
                    } else {
                        before
                    };
                    match self
                        .running
                        .store
                        .listen(&self.running.bot.name, client.address(), from)
                        .await
                    {
                        Ok(listening) => return Some((client, listening)),
                        Err(error) => error.to_string(),
                    }
                }
                Err(error) if error.disposition() == Disposition::Reject => {
                    self.failed(format!("cannot start: {error}")).await;
                    return None;
                }
                Err(error) => error.to_string(),
            };
            self.failed(format!("not connected yet: {error}")).await;
            tokio::time::sleep(jittered(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn failed(&self, reason: String) {
        let mut event = self.running.event(Kind::Error);
        event.reason = Some(reason);
        self.running.tell(event).await;
    }
}

const DRAIN: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A queue for events.
pub fn events() -> (Events, mpsc::Receiver<Event>) {
    mpsc::channel(super::event::EVENT_QUEUE)
}
