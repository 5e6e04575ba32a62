//! The bot under test and everybody around it, driven a round at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::try_join_all;
use tokio::task::JoinSet;

use super::{
    Ground, files,
    origin::Origins,
    people::{Person, Received},
    post,
};
use crate::{
    bot::{
        Brake,
        audience::Ledgers,
        chain::Chains,
        config::{
            self, Bot, Finding,
            testing::{Saying, Test},
        },
        dialog::{self, Inbox},
        event::{Event, Kind},
        expression::{Scope, Value},
        fire::{self, Firing},
        outbox::{self, Worker},
        reload,
        running::Running,
        runtime,
        source::{Answer, Answers, Given, Posted},
        store::{self, Callback, CallbackFilter, Delivery, Filter, Member, State, Store},
        trigger::{self, Trigger},
        uploads::Uploads,
    },
    client::{self, Cache, Client},
    fetch::Fetch,
};

/// Why a test did not go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A step did not do what it says; the next ones may.
    #[error("{0}")]
    Step(String),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error(transparent)]
    Deliveries(#[from] outbox::DeliveryError),
    #[error("the bot does not come to rest at {0}")]
    Restless(DateTime<Utc>),
    #[error("{0}")]
    Machine(String),
}

/// Rounds at one instant, far above what any test needs.
const ROUNDS: usize = 10_000;
/// How long a message may take through the node, by the clock on the wall.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Stage<'a> {
    ground: &'a Ground,
    people: BTreeMap<String, Person>,
    cache: Cache,
    told: Arc<Mutex<Vec<Event>>>,
    /// Asks nobody.
    closed: Fetch,
    /// What sources, upload targets and those who are called back answer.
    given: Arc<Given>,
    /// The lines of the steps that gave it.
    mocks: BTreeMap<String, usize>,
    /// What was given and replaced before anybody asked for it, with the lines of the steps.
    unused: Vec<(String, usize)>,
    origins: Origins,
    /// What feeds and polls have read before the test, by the rules that read them.
    seen: BTreeMap<String, Vec<Value>>,
    /// Who holds which tokens.
    ledgers: Ledgers,
    /// How often rules were fired by hand, and webhooks called.
    pub(super) count: usize,
    life: Option<Life>,
    listeners: JoinSet<()>,
}

/// What a restart ends and makes anew.
struct Life {
    running: Arc<Running>,
    worker: Worker,
    inbox: Inbox,
}

fn not_taken(findings: &[Finding]) -> Broken {
    let errors: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Broken::Step(format!("the file is not taken:\n{}", errors.join("\n")))
}

impl<'a> Stage<'a> {
    /// Gives what the test says, and starts the bot.
    pub(super) async fn set(bot: &Bot, test: &Test, ground: &'a Ground) -> Result<Self, Broken> {
        ground.time.move_to(test.given.now);
        let clock = ground.time.clock();
        let connecting = test.people.iter().map(|name| {
            let builder = Client::builder(super::wallet(name), ground.node.clone()).clock(clock.clone());
            async move { Ok::<_, client::Error>((name.clone(), builder.connect().await?)) }
        });
        let people = Box::pin(try_join_all(connecting)).await?;
        let mut stage = Self {
            ground,
            people: people
                .into_iter()
                .map(|(name, client)| (name.clone(), Person::new(name, client)))
                .collect(),
            cache: Cache::in_memory().map_err(client::Error::from)?,
            told: Arc::default(),
            closed: Fetch::builder()
                .closed()
                .build()
                .map_err(|error| Broken::Machine(error.to_string()))?,
            given: Arc::default(),
            mocks: BTreeMap::new(),
            unused: Vec::new(),
            origins: Origins::default(),
            seen: BTreeMap::new(),
            ledgers: Ledgers::given_by(test.given.holders.clone()),
            count: 0,
            life: None,
            listeners: JoinSet::new(),
        };
        let store = stage.open()?;
        stage.join(&store, bot, test).await?;
        let bot = post::with_own_secrets(bot.clone(), &ground.folder).map_err(Broken::Machine)?;
        let bot = files::with_files(bot, &test.given.files, &ground.folder.join("files"))
            .map_err(|error| Broken::Machine(format!("`given.files`: {error}")))?;
        stage.seen.clone_from(&test.given.seen);
        Box::pin(stage.start(bot, store)).await?;
        Ok(stage)
    }

    fn open(&self) -> Result<Store, Broken> {
        // Apart from the bot's files, which herald's own are not among.
        let data = self.ground.folder.join("data");
        std::fs::create_dir_all(&data).map_err(|error| Broken::Machine(error.to_string()))?;
        Ok(Store::open(&data.join("herald.db"))?)
    }

    async fn join(&self, store: &Store, bot: &Bot, test: &Test) -> Result<(), Broken> {
        let (bot, joined) = (bot.name.clone(), test.given.now);
        let members = test.given.members.clone();
        let rows = test.given.rows.clone();
        store
            .write(move |transaction| {
                for (list, member) in members {
                    store::join(transaction, &bot, &list, &Member { joined, ..member })?;
                }
                for (table, row) in rows {
                    store::add_row(transaction, (&bot, &table), row.owner, row.columns, joined)?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    async fn start(&mut self, bot: Bot, store: Store) -> Result<(), Broken> {
        let wallet = super::wallet(&format!("bot {}", bot.name));
        let (events, mut told) = super::super::events();
        let listener = Arc::clone(&self.told);
        self.listeners.spawn(async move {
            while let Some(event) = told.recv().await {
                listener
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(event);
            }
        });
        let clock = self.ground.time.clock();
        let running = Arc::new(Running {
            bot: Arc::new(bot),
            project: Arc::clone(&self.ground.project),
            uploads: Uploads::of(Arc::clone(&self.ground.project), self.closed.clone())
                .answering(Arc::clone(&self.given)),
            address: wallet.address(),
            client: Arc::default(),
            store,
            fetch: self.closed.clone(),
            chains: Chains::default(),
            ledgers: self.ledgers.clone(),
            answers: Answers::Given(Arc::clone(&self.given)).into(),
            outside: None,
            events,
            clock: clock.clone(),
            to_plan: Arc::default(),
            to_deliver: Arc::default(),
            to_guard: Arc::default(),
            to_call_back: Arc::default(),
            to_keep_time: Arc::default(),
        });
        let before = clock.now();
        let client = Client::builder(wallet, self.ground.node.clone())
            .cache(self.cache.clone())
            .clock(clock)
            .connect();
        let client = Box::pin(client).await?;
        let listening = runtime::listen(&running, &client, before).await?;
        self.ground.bots.put(Arc::clone(&running));
        self.begin_reading(&running).await?;
        outbox::give_up_others(&running).await;
        fire::started(&running, &const_hex::encode(running.bot.file_digest)).await?;
        self.life = Some(Life {
            worker: Worker::new(Arc::clone(&running), client.clone()),
            inbox: Inbox::open(Arc::clone(&running), &client, listening).await,
            running,
        });
        self.settle().await.map(drop)
    }

    fn life(&mut self) -> Result<&mut Life, Broken> {
        let ended = || Broken::Machine("the bot has ended".to_owned());
        self.life.as_mut().ok_or_else(ended)
    }

    pub(super) fn running(&mut self) -> Result<Arc<Running>, Broken> {
        Ok(Arc::clone(&self.life()?.running))
    }

    pub(super) fn ground(&self) -> &'a Ground {
        self.ground
    }

    /// Lets what the bot reads begin with what the test gives, so that the first reading in the test is news.
    async fn begin_reading(&self, running: &Running) -> Result<(), Broken> {
        for reader in trigger::readers(running) {
            if reader.is_new().await? {
                let seen = self.seen.get(reader.rule()).map_or(&[][..], Vec::as_slice);
                reader.begin(seen, running.now()).await?;
            }
        }
        Ok(())
    }

    /// A feed, or the source of a poll, is read and gives this.
    pub(super) async fn read(&mut self, rules: &[String], items: &[Value]) -> Result<(), Broken> {
        let running = self.running()?;
        for reader in trigger::readers(&running) {
            if rules.iter().any(|rule| rule == reader.rule()) {
                reader.read_as(items).await?;
            }
        }
        self.settle().await.map(drop)
    }

    /// A contract logs this; the rule takes it where its `where` does, at a block of its own.
    pub(super) async fn log(&mut self, rule: &str, event: &Value) -> Result<(), Broken> {
        let running = self.running()?;
        let found = running.bot.rules.get(rule);
        let found = found.ok_or_else(|| Broken::Step(format!("the bot has no rule `{rule}` now")))?;
        let log = found.triggers.iter().find_map(|trigger| match trigger {
            Trigger::Log(log) => Some(log),
            _ => None,
        });
        let log = log.ok_or_else(|| Broken::Step(format!("rule `{rule}` waits for no log now")))?;
        self.count += 1;
        let firing = trigger::log_in_test(&running, log, event, self.count);
        let firing = firing.await.map_err(Broken::Step)?;
        if let Some(firing) = firing {
            fire::fire(&running, found, &firing).await?;
        }
        self.settle().await.map(drop)
    }

    /// Does what is due until nothing is left, and gives the next instant at which something is.
    pub(super) async fn settle(&mut self) -> Result<Option<DateTime<Utc>>, Broken> {
        let life = self.life()?;
        let running = &life.running;
        for _ in 0..ROUNDS {
            let scheduled = trigger::round(running).await;
            let to_read = trigger::read_given(running).await?;
            let flowing = dialog::flow_round(running).await?;
            let guarded = outbox::guard_once(running).await?;
            let is_planning = outbox::plan_next(running).await?;
            let is_delivering = life.worker.round().await? > 0;
            let (called_back, to_call_back) = outbox::call_back_once(running).await?;
            if !is_planning && !is_delivering && called_back == 0 {
                let now = running.now();
                let planned = running.store.next_plan_due(&running.bot.name, now).await?;
                let due = running.store.next_due(&running.bot.name, now).await?;
                let next = [scheduled, to_read, flowing, guarded, planned, due, to_call_back];
                return Ok(next.into_iter().flatten().min());
            }
        }
        Err(Broken::Restless(running.now()))
    }

    /// Lets time pass.
    pub(super) async fn wait(&mut self, span: Duration) -> Result<(), Broken> {
        let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
        let end = self.ground.time.now().checked_add_signed(span);
        let end = end.unwrap_or(DateTime::<Utc>::MAX_UTC);
        loop {
            match self.settle().await? {
                Some(due) if due <= end => self.ground.time.move_to(due),
                _ => break,
            }
        }
        self.ground.time.move_to(end);
        self.settle().await.map(drop)
    }

    /// Somebody writes; the bot reads it.
    pub(super) async fn say(&mut self, from: &str, text: &str, kind: Saying) -> Result<(), Broken> {
        let bot = self.running()?.address;
        let nobody = || Broken::Machine(format!("`{from}` has no client"));
        let person = self.people.get(from).ok_or_else(nobody)?;
        let Some(message) = person.say(bot, text, kind).await? else {
            return Err(Broken::Step(format!("the bot has written nothing to `{from}`")));
        };
        self.origins.note_said(message, text);
        let life = self.life()?;
        let read = async {
            loop {
                let next = life.inbox.next().await?;
                let id = *next.id.as_bytes();
                life.inbox.handle(next).await?;
                if id == message {
                    return Ok::<(), Broken>(());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(read) => read?,
            Err(_) => return Err(Broken::Machine("the bot does not see the message".to_owned())),
        }
        self.settle().await.map(drop)
    }

    /// A rule fires, whatever its triggers; it is approved, and its canary waited for.
    pub(super) async fn fire(&mut self, rule: &str) -> Result<(), Broken> {
        let running = self.running()?;
        // A reload may have taken it away.
        let gone = || Broken::Step(format!("the bot has no rule `{rule}` now"));
        let rule = running.bot.rules.get(rule).ok_or_else(gone)?;
        self.count += 1;
        let firing = Firing {
            id: format!("run {}", self.count),
            at: running.now(),
            names: Scope::new(),
        };
        fire::fire(&running, rule, &firing).await?;
        self.settle().await?;
        running.brake(rule, Brake::Approve).await?;
        match &rule.policy.canary {
            Some(canary) => self.wait(canary.wait).await,
            None => self.settle().await.map(drop),
        }
    }

    /// The broadcasts of a rule that await approval are let out.
    pub(super) async fn approve(&mut self, rule: &str) -> Result<(), Broken> {
        let running = self.running()?;
        let found = running.bot.rules.get(rule);
        let found = found.ok_or_else(|| Broken::Step(format!("the bot has no rule `{rule}` now")))?;
        if running.brake(found, Brake::Approve).await?.is_empty() {
            return Err(Broken::Step(format!("no broadcast of `{rule}` awaits approval")));
        }
        self.settle().await.map(drop)
    }

    /// Sources, upload targets and those who are called back answer this from now on.
    pub(super) fn mock(&mut self, answers: &[(String, Answer)], line: usize) {
        for (name, answer) in answers {
            let was_unused = self.given.put(name, answer.clone());
            let before = self.mocks.insert(name.clone(), line);
            self.unused
                .extend(before.filter(|_| was_unused).map(|line| (name.clone(), line)));
        }
    }

    /// What was given and nobody asked for, with the lines of the steps that gave it.
    pub(super) fn unused(&self) -> Vec<(String, usize)> {
        let mut unused = self.unused.clone();
        for name in self.given.unused() {
            let line = self.mocks.get(&name).copied().unwrap_or_default();
            unused.push((name, line));
        }
        unused.sort_by_key(|(_, line)| *line);
        unused
    }

    /// Ends the bot and starts it again.
    pub(super) async fn restart(&mut self) -> Result<(), Broken> {
        let bot = Bot::clone(&self.running()?.bot);
        self.again(bot).await
    }

    /// Starts the bot again with another text of its file.
    pub(super) async fn reload(&mut self, text: &str) -> Result<(), Broken> {
        let running = self.running()?;
        let file = &running.bot.file;
        let loaded = config::load_text(&self.ground.project, file, text.as_bytes().to_vec());
        let (bot, _) = loaded.map_err(|findings| not_taken(&findings))?;
        let refused = reload::refused(&running, &bot, text).await;
        if !refused.is_empty() {
            return Err(not_taken(&refused));
        }
        // The store is open as long as anybody has it.
        drop(running);
        let bot = post::with_own_secrets(bot, &self.ground.folder).map_err(Broken::Machine)?;
        self.again(bot).await
    }

    async fn again(&mut self, bot: Bot) -> Result<(), Broken> {
        self.note_origins().await?;
        // The store belongs to one process, and this is to be a new one.
        self.ground.bots.take(&bot.name);
        self.life = None;
        let store = self.open()?;
        Box::pin(self.start(bot, store)).await
    }

    /// Ends the bot. Gives what went wrong by its own account, and which rules wrote to nobody, and why.
    pub(super) async fn end(mut self) -> (Vec<String>, Vec<String>) {
        if let Some(life) = self.life.take() {
            self.ground.bots.take(&life.running.bot.name);
        }
        // Nobody tells anything any more, so that all of it is heard.
        let heard = async { while self.listeners.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, heard).await;
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let errors = told.iter().filter(|event| event.event == Kind::Error);
        let said = errors.map(|event| {
            let rule = event
                .rule
                .as_ref()
                .map(|rule| format!("{rule}: "))
                .unwrap_or_default();
            format!("error: {rule}{}", event.reason.as_deref().unwrap_or_default())
        });
        // What is tried again goes wrong again.
        let mut once = BTreeSet::new();
        let errors = said.filter(|said| once.insert(said.clone())).collect();
        let ended = told.iter().filter_map(|event| {
            let state = match event.event {
                Kind::Skipped => State::Skipped,
                Kind::Rejected => State::Rejected,
                _ => return None,
            };
            let (rule, reason) = (event.rule.as_ref()?, event.reason.as_ref()?);
            let for_nobody = event.wallet.is_none();
            for_nobody.then(|| format!("{rule} {}: {reason}", state.as_str()))
        });
        (errors, ended.collect())
    }

    /// Notes where messages come from, while the bot's file is the one they come from.
    async fn note_origins(&mut self) -> Result<(), Broken> {
        let running = self.running()?;
        let rows = self.rows().await?;
        self.origins.note(&running.bot, rows);
        Ok(())
    }

    /// Everything the test wallets decrypt, with the rules and parts it comes from.
    pub(super) async fn received(&mut self) -> Result<Vec<Received>, Broken> {
        self.note_origins().await?;
        let mut received = Vec::new();
        for person in self.people.values() {
            received.extend(person.received().await?);
        }
        for message in &mut received {
            self.origins.tell(message);
        }
        Ok(received)
    }

    /// Every row, oldest first.
    pub(super) async fn rows(&mut self) -> Result<Vec<Delivery>, Broken> {
        let store = self.running()?.store.clone();
        let filter = Filter {
            limit: u32::MAX,
            ..Filter::default()
        };
        let mut rows = store.deliveries(filter).await?;
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }

    /// What flows posted, oldest first.
    pub(super) fn posts(&self) -> Vec<Posted> {
        self.given.posts()
    }

    /// Every callback, oldest first.
    pub(super) async fn callbacks(&mut self) -> Result<Vec<Callback>, Broken> {
        let store = self.running()?.store.clone();
        let filter = CallbackFilter {
            limit: u32::MAX,
            ..CallbackFilter::default()
        };
        let mut callbacks = store.callbacks(filter).await?;
        callbacks.reverse();
        Ok(callbacks)
    }
}
