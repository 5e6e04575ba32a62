//! Runs bots: each with its planner, its schedules, and, once its node is reached, its deliveries and its inbox.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use herald_protocol::{
    address::Address,
    time::{Clock, TimestampNs},
    wallet::WalletKey,
};
use tokio::{
    sync::{Notify, OnceCell, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    audience::Ledgers,
    chain::Chains,
    config::Bot,
    dialog,
    event::{Event, Events, Kind},
    fire, outbox,
    project::Project,
    reload::Difference,
    running::Running,
    status::{Status, status},
    store::{self, Dead, Store},
    trigger,
    uploads::Uploads,
};
use crate::{
    client::{self, Cache, Client, Disposition, NodeAddress, Switchboard, jittered},
    fetch::{self, Fetch},
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
    /// The chains that can be asked, each with one reader of its height.
    pub chains: Chains,
    /// Who holds tokens on them.
    pub ledgers: Ledgers,
    /// Where files go that messages name.
    pub uploads: Uploads,
    /// What the bots must not forget.
    pub store: Store,
    /// What their clients read from the network once.
    pub cache: Cache,
    /// The wall clock.
    pub clock: Clock,
    /// Where events go.
    pub events: Events,
}

impl Shared {
    /// What bots of a project share.
    ///
    /// # Errors
    /// The client for what they name on the web cannot be set up.
    pub fn of(
        project: Project,
        (store, cache): (Store, Cache),
        clock: Clock,
        events: Events,
    ) -> Result<Self, fetch::Error> {
        let fetch = project.fetch()?;
        let chains = Chains::of(&project, &fetch);
        let project = Arc::new(project);
        Ok(Self {
            uploads: Uploads::of(Arc::clone(&project), fetch.clone()),
            fetch,
            chains,
            ledgers: Ledgers::of(store.clone()),
            project,
            store,
            cache,
            clock,
            events,
        })
    }
}

/// Bots that run; see [`Runtime::live`].
pub struct Runtime {
    bots: Bots,
    lives: BTreeMap<String, Life>,
    shared: Shared,
    /// Bots that use the same node share one connection and one stream.
    switchboard: Switchboard,
    shutdown: CancellationToken,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("bots", &self.bots)
            .finish_non_exhaustive()
    }
}

/// How `started` rules fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// At once, and again only when the file has changed.
    OnChange,
    /// When [`Bots::fire_started`] is called, every time; a changed file that is taken while the bot runs fires them, too.
    OnCall,
}

/// The bots of a runtime as they are now, for whoever fires their rules from outside; clones share them.
#[derive(Clone, Default)]
pub struct Bots {
    bots: Arc<RwLock<BTreeMap<String, Arc<Running>>>>,
}

impl std::fmt::Debug for Bots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.all().keys()).finish()
    }
}

impl Bots {
    /// Bots that do not run: their lists and people can be seen and changed, and what that causes goes out when they run next.
    pub fn aside(bots: Vec<(Bot, Address)>, shared: &Shared) -> Self {
        let aside = Self::default();
        for (bot, address) in bots {
            aside.put(running(
                shared,
                bot,
                (address, Arc::default()),
                <[Arc<Notify>; 5]>::default(),
            ));
        }
        aside
    }

    /// The store of all of them; none when there are none.
    pub(crate) fn store(&self) -> Option<Store> {
        self.all()
            .into_values()
            .next()
            .map(|running| running.store.clone())
    }

    pub(crate) fn find(&self, bot: &str) -> Option<Arc<Running>> {
        let bots = self.bots.read().unwrap_or_else(PoisonError::into_inner);
        bots.get(bot).map(Arc::clone)
    }

    pub(crate) fn put(&self, running: Arc<Running>) {
        let mut bots = self.bots.write().unwrap_or_else(PoisonError::into_inner);
        bots.insert(running.bot.name.clone(), running);
    }

    pub(crate) fn take(&self, bot: &str) {
        let mut bots = self.bots.write().unwrap_or_else(PoisonError::into_inner);
        bots.remove(bot);
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Arc<Running>> {
        self.bots.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What each bot's file says, and its wallet.
    pub fn list(&self) -> Vec<(Arc<Bot>, Address)> {
        let all = self.all().into_values();
        all.map(|running| (Arc::clone(&running.bot), running.address))
            .collect()
    }

    /// The name of the bot with this wallet.
    pub fn name_of(&self, wallet: Address) -> Option<String> {
        let mut all = self.all().into_values();
        all.find(|running| running.address == wallet)
            .map(|running| running.bot.name.clone())
    }

    /// Whether a bot has handled a message that was written to it.
    pub async fn has_handled(&self, bot: &str, message: [u8; 32]) -> Result<bool, store::Error> {
        match self.find(bot) {
            Some(running) => running.store.handled(bot, message).await,
            None => Ok(false),
        }
    }

    /// How each bot stands now.
    pub async fn status(&self) -> Result<Vec<Status>, store::Error> {
        let mut bots = Vec::new();
        for running in self.all().values() {
            bots.push(status(running).await?);
        }
        Ok(bots)
    }

    /// Makes rejected and expired deliveries due again, also those of bots that do not run now. Gives their ids.
    pub async fn replay(&self, dead: Dead) -> Result<Vec<i64>, store::Error> {
        let all = self.all();
        let Some(any) = all.values().next() else {
            return Ok(Vec::new());
        };
        let replayed = any.store.replay(dead, any.now()).await?;
        for (_, bot) in &replayed {
            if let Some(running) = all.get(bot) {
                running.to_deliver.notify_one();
            }
        }
        Ok(replayed.into_iter().map(|(id, _)| id).collect())
    }

    /// Fires every `started` rule, whether its file changed or not.
    pub async fn fire_started(&self) -> Result<(), store::Error> {
        for running in self.all().into_values() {
            let moment = running.now().timestamp_millis();
            fire::started(
                &running,
                &format!("{}-{moment}", const_hex::encode(running.bot.file_digest)),
            )
            .await?;
        }
        Ok(())
    }
}

fn running(
    shared: &Shared,
    bot: Bot,
    (address, client): (Address, Arc<OnceCell<Client>>),
    [to_plan, to_deliver, to_guard, to_call_back, to_keep_time]: [Arc<Notify>; 5],
) -> Arc<Running> {
    Arc::new(Running {
        bot: Arc::new(bot),
        project: Arc::clone(&shared.project),
        uploads: shared.uploads.clone(),
        address,
        client,
        store: shared.store.clone(),
        fetch: shared.fetch.clone(),
        chains: shared.chains.clone(),
        ledgers: shared.ledgers.clone(),
        answers: Arc::default(),
        outside: None,
        events: shared.events.clone(),
        clock: shared.clock.clone(),
        to_plan,
        to_deliver,
        to_guard,
        to_call_back,
        to_keep_time,
    })
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
            bots: Bots::default(),
            lives: BTreeMap::new(),
            shared: shared.clone(),
            switchboard: Switchboard::default(),
            shutdown: shutdown.child_token(),
        };
        for Launch {
            bot,
            wallet,
            node,
            network,
        } in launches
        {
            let wakes = <[Arc<Notify>; 5]>::default();
            let made = Arc::new(OnceCell::new());
            let running = running(shared, bot, (wallet.address(), Arc::clone(&made)), wakes);
            let connection = Arc::new(Connection {
                wallet,
                node,
                network,
                switchboard: runtime.switchboard.clone(),
                made,
            });
            runtime.begin(running, connection, started);
        }
        runtime
    }

    /// The bots, to fire their rules from outside.
    pub fn bots(&self) -> Bots {
        self.bots.clone()
    }

    /// Lives until the shutdown token, taking changed bots meanwhile, and then until every task has ended. One that takes longer
    /// than ten seconds (a node that does not answer) is cut off, which loses nothing: the store has what is not settled.
    pub async fn live(mut self, mut changed: mpsc::Receiver<Changed>) {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                Some(changed) = changed.recv() => self.reload(changed).await,
            }
        }
        let lives = std::mem::take(&mut self.lives);
        futures::future::join_all(lives.into_values().map(Life::end)).await;
    }

    fn begin(&mut self, running: Arc<Running>, connection: Arc<Connection>, started: Started) {
        let ends = self.shutdown.child_token();
        let mut tasks = JoinSet::new();
        tasks.spawn(outbox::plan(Arc::clone(&running), ends.clone()));
        tasks.spawn(outbox::guard(Arc::clone(&running), ends.clone()));
        tasks.spawn(outbox::call_back(Arc::clone(&running), ends.clone()));
        tasks.spawn(trigger::run(Arc::clone(&running), ends.clone()));
        tasks.spawn(trigger::read(Arc::clone(&running), ends.clone()));
        tasks.spawn(dialog::keep_time(Arc::clone(&running), ends.clone()));
        tasks.spawn(trigger::follow_logs(Arc::clone(&running), ends.clone()));
        let online = Online {
            running: Arc::clone(&running),
            connection: Arc::clone(&connection),
            cache: self.shared.cache.clone(),
            started,
        };
        tasks.spawn(online.run(ends.clone()));
        let name = running.bot.name.clone();
        self.bots.put(Arc::clone(&running));
        let life = Life {
            running,
            connection,
            ends,
            tasks,
        };
        self.lives.insert(name, life);
    }

    /// Ends a bot's tasks, whose rounds finish, and starts them with the new file on the same connection. What is recorded
    /// meanwhile waits in the store.
    async fn reload(&mut self, changed: Changed) {
        let Changed { bot, difference } = changed;
        let Some(life) = self.lives.remove(&bot.name) else {
            return;
        };
        let (old, connection) = (Arc::clone(&life.running), Arc::clone(&life.connection));
        life.end().await;
        let wakes = [
            &old.to_plan,
            &old.to_deliver,
            &old.to_guard,
            &old.to_call_back,
            &old.to_keep_time,
        ];
        let wakes = wakes.map(Arc::clone);
        let client = Arc::clone(&old.client);
        let running = running(&self.shared, bot, (old.address, client), wakes);
        let mut event = running.event(Kind::Reloaded);
        event.difference = Some(difference);
        running.tell(event).await;
        self.begin(running, connection, Started::OnChange);
    }
}

/// A bot as its file says now.
#[derive(Debug)]
pub struct Changed {
    /// It has the name and the wallet of one that runs; the loader of changed files sees to it.
    pub bot: Bot,
    /// What is told of it.
    pub difference: Difference,
}

/// One bot's tasks.
struct Life {
    running: Arc<Running>,
    connection: Arc<Connection>,
    ends: CancellationToken,
    tasks: JoinSet<()>,
}

impl Life {
    /// Ends the tasks as soon as their rounds are finished.
    async fn end(mut self) {
        self.ends.cancel();
        let ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, bot = self.running.bot.name, "a bot's task ended by itself");
                }
            }
        };
        if tokio::time::timeout(DRAIN, ended).await.is_err() {
            tracing::warn!(
                bot = self.running.bot.name,
                "a bot was cut off while it waited for its node"
            );
        }
        self.tasks.shutdown().await;
    }
}

/// A bot's way to its node: made once, whatever becomes of the file.
struct Connection {
    wallet: WalletKey,
    node: NodeAddress,
    network: Option<String>,
    switchboard: Switchboard,
    made: Arc<OnceCell<Client>>,
}

/// The part of a bot's life that needs its node.
struct Online {
    running: Arc<Running>,
    connection: Arc<Connection>,
    cache: Cache,
    started: Started,
}

impl Online {
    async fn run(self, shutdown: CancellationToken) {
        let is_new = !self.connection.made.initialized();
        let connected = tokio::select! {
            () = shutdown.cancelled() => return,
            client = self.connect() => client,
        };
        let Some((client, listening)) = connected else {
            return;
        };
        if is_new {
            let mut event = self.running.event(Kind::Ready);
            event.address = Some(client.address());
            self.running.tell(event).await;
        }
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
            let error = match self.try_to_connect().await {
                Ok(connected) => return Some(connected),
                Err(Unconnected::Never(error)) => {
                    self.failed(format!("cannot start: {error}")).await;
                    return None;
                }
                Err(Unconnected::Yet(error)) => error,
            };
            self.failed(format!("not connected yet: {error}")).await;
            tokio::time::sleep(jittered(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_to_connect(&self) -> Result<(Client, store::Listening), Unconnected> {
        let before = self.running.clock.now();
        let connection = &self.connection;
        let client = connection
            .made
            .get_or_try_init(|| connect(connection, self.cache.clone(), self.running.clock.clone()))
            .await?;
        let listening = listen(&self.running, client, before).await;
        let listening = listening.map_err(|error| Unconnected::Yet(error.to_string()))?;
        Ok((client.clone(), listening))
    }

    async fn failed(&self, reason: String) {
        let mut event = self.running.event(Kind::Error);
        event.reason = Some(reason);
        self.running.tell(event).await;
    }
}

/// Why a bot has not reached its node.
enum Unconnected {
    /// Another try can help.
    Yet(String),
    /// None can.
    Never(String),
}

impl From<client::Error> for Unconnected {
    fn from(error: client::Error) -> Self {
        match error.disposition() {
            Disposition::Reject => Self::Never(error.to_string()),
            Disposition::Retry(_) => Self::Yet(error.to_string()),
        }
    }
}

/// Connects a bot's wallet.
async fn connect(connection: &Connection, cache: Cache, clock: Clock) -> Result<Client, client::Error> {
    let mut builder = Client::builder(connection.wallet.clone(), connection.node.clone())
        .switchboard(&connection.switchboard)
        .cache(cache)
        .clock(clock);
    if let Some(network) = &connection.network {
        builder = builder.network(network);
    }
    builder.connect().await
}

/// From where a bot reads on. One that is new and began to connect `before` answers what was written since; a wallet that is new
/// on the network has no history, so no message is too old to be answered.
pub(crate) async fn listen(
    running: &Running,
    client: &Client,
    before: TimestampNs,
) -> Result<store::Listening, store::Error> {
    let from = if client.is_new_identity() {
        TimestampNs::from_ns(0)
    } else {
        before
    };
    let name = &running.bot.name;
    running.store.listen(name, client.address(), from).await
}

const DRAIN: Duration = Duration::from_secs(10);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A queue for events.
pub fn events() -> (Events, mpsc::Receiver<Event>) {
    mpsc::channel(super::event::EVENT_QUEUE)
}
