//! Looks at what bots name outside of their files: does it answer, and in the way the bot wants?
//!
//! Enters: a loaded bot and its project. Leaves: a [`Look`] at each thing, in words for people. Promised: nothing is changed, a
//! source is read by one GET through the guarded client, a query is prepared and not run, nothing secret is told, and each look
//! ends in time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use herald_protocol::{address::Address, contact, time::Clock, topic::Topic};

use super::{
    audience::{Audience, Sql},
    chain::Chains,
    config::Bot,
    expression::{Expression, Scope, Template, Value},
    project::{Project, Upload},
    running::{occurrence_record, to_utc},
    source::{Answers, Asker, Http, Pages, Source, read_feed},
    trigger::{Feed, Trigger},
    uploads::Uploads,
};
use crate::{
    client::{Api, NodeAddress, Range},
    fetch::Fetch,
};

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// It answers as it should.
    Fine(String),
    /// It does not.
    Wrong(String),
    /// It was not asked, and why.
    Skipped(String),
}

/// What looks need.
#[derive(Debug, Clone)]
pub struct Probe {
    project: Arc<Project>,
    fetch: Fetch,
    chains: Chains,
    /// The folder that no audience may read in.
    data: PathBuf,
    clock: Clock,
}

/// A place that a bot reads from.
#[derive(Debug, Clone, Copy)]
pub enum Place<'b> {
    /// A source of items.
    Source(&'b Http),
    /// A source of a value.
    Value(&'b Http),
    /// The feed of a rule.
    Feed {
        /// The rule's name.
        rule: &'b str,
        /// The feed.
        feed: &'b Feed,
    },
    /// The query of a rule.
    Query {
        /// The rule's name.
        rule: &'b str,
        /// The query.
        sql: &'b Sql,
    },
    /// The nodes of a chain.
    Chain {
        /// The chain's name.
        name: &'b str,
        /// Where the bot names it first.
        at: NamedAt<'b>,
    },
}

/// Where a bot names a chain.
#[derive(Debug, Clone, Copy)]
pub enum NamedAt<'b> {
    /// In the `log` of a rule.
    Log(&'b str),
    /// In a source.
    Source(&'b str),
    /// In the `holders` of a rule.
    Holders(&'b str),
}

/// What a node told of itself.
#[derive(Debug)]
pub struct NodeLook {
    /// How long the answer took, connecting included.
    pub took: Duration,
    /// The node's clock, if it told.
    pub date: Option<DateTime<Utc>>,
    /// Whether the wallet has a contact there that can be used.
    pub has_contact: bool,
}

impl<'b> Place<'b> {
    /// Every place that a bot reads from, each once.
    pub fn of(bot: &'b Bot) -> Vec<Self> {
        let mut sources = BTreeMap::<&str, &Http>::new();
        let mut chains = BTreeMap::<&str, NamedAt<'_>>::new();
        let mut places = Vec::new();
        for rule in bot.rules.values() {
            for trigger in &rule.triggers {
                match trigger {
                    Trigger::Feed(feed) => places.push(Place::Feed {
                        rule: &rule.name,
                        feed,
                    }),
                    Trigger::Poll(poll) => {
                        sources.insert(poll.source.name.as_str(), &poll.source);
                    }
                    Trigger::Log(log) => {
                        chains.entry(&log.chain).or_insert(NamedAt::Log(&rule.name));
                    }
                    _ => {}
                }
            }
            for branch in rule.audience.branches() {
                match branch.audience {
                    Audience::Source(source) => {
                        let known = sources.entry(source.http.name.as_str()).or_insert(&source.http);
                        if unknown_name(known).is_some() {
                            *known = &source.http;
                        }
                    }
                    Audience::Sql(sql) => places.push(Place::Query {
                        rule: &rule.name,
                        sql,
                    }),
                    Audience::Holders(holders) => {
                        chains
                            .entry(&holders.chain)
                            .or_insert(NamedAt::Holders(&rule.name));
                    }
                    _ => {}
                }
            }
        }
        for source in bot.sources.values() {
            match source {
                Source::Http(http) if sources.contains_key(http.name.as_str()) => {}
                Source::Http(http) => places.push(Place::Value(http)),
                Source::Call(call) => {
                    chains.entry(&call.chain).or_insert(NamedAt::Source(&call.name));
                }
            }
        }
        places.extend(chains.into_iter().map(|(name, at)| Place::Chain { name, at }));
        places.extend(sources.into_values().map(Place::Source));
        places
    }

    /// The keys of the bot's file that lead to it.
    pub fn keys(&self) -> Vec<&'b str> {
        match self {
            Self::Source(http) | Self::Value(http) => vec!["sources", http.name.as_str(), "http"],
            Self::Feed { rule, .. } => vec!["rules", rule, "when", "feed"],
            Self::Query { rule, .. } => vec!["rules", rule, "to", "sql"],
            Self::Chain { at, .. } => match at {
                NamedAt::Log(rule) => vec!["rules", rule, "when", "chain"],
                NamedAt::Source(source) => vec!["sources", source, "chain"],
                NamedAt::Holders(rule) => vec!["rules", rule, "to", "holders", "chain"],
            },
        }
    }

    /// The URL that is asked, where an occurrence does not change it.
    pub fn url(&self, bot: &Bot) -> Option<String> {
        let http = match self {
            Self::Source(http) | Self::Value(http) => http,
            Self::Feed { feed, .. } => return Some(feed.url.to_string()),
            Self::Query { .. } | Self::Chain { .. } => return None,
        };
        let scope: Scope = [("vars", bot.vars.clone())].into_iter().collect();
        http.url.render(&scope).ok()
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Source(http) | Self::Value(http) => format!("source `{}`", http.name),
            Self::Feed { rule, .. } => format!("the feed of rule `{rule}`"),
            Self::Query { rule, .. } => format!("the query of rule `{rule}`"),
            Self::Chain { name, .. } => format!("chain `{name}`"),
        }
    }
}

impl Probe {
    /// Looks for a project whose data is in this folder.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub fn of(project: Arc<Project>, data: &Path, clock: Clock) -> Result<Self, crate::fetch::Error> {
        let fetch = project.fetch()?;
        Ok(Self {
            chains: Chains::of(&project, &fetch),
            fetch,
            project,
            data: data.to_owned(),
            clock,
        })
    }

    /// The client for what the operator names.
    #[cfg(feature = "cli")]
    pub(crate) fn operators(&self) -> reqwest::Client {
        self.fetch.operators()
    }

    /// Looks at a place that a bot reads from.
    pub async fn place(&self, bot: &Bot, place: Place<'_>) -> Look {
        match place {
            Place::Source(http) => within(self.source(bot, http, true)).await,
            Place::Value(http) => within(self.source(bot, http, false)).await,
            Place::Feed { feed, .. } => within(self.feed(bot, feed)).await,
            Place::Chain { name, .. } => within(self.chain(name)).await,
            Place::Query { sql, .. } => {
                within(async {
                    match sql.prepare(bot.folder(), &self.data).await {
                        Ok(()) => Look::Fine("the database takes the query".to_owned()),
                        Err(error) => Look::Wrong(error.to_string()),
                    }
                })
                .await
            }
        }
    }

    /// Looks at each node of a chain: one that is wrong is told, also where the others are enough.
    async fn chain(&self, name: &str) -> Look {
        let chain = match self.chains.find(name) {
            Ok(chain) => chain,
            Err(reason) => return Look::Wrong(reason),
        };
        let heights = chain.heights().await;
        let wrong = heights.iter().filter_map(|(_, height)| height.as_ref().err());
        let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
        if !wrong.is_empty() {
            return Look::Wrong(wrong.join("; "));
        }
        let heights = heights
            .iter()
            .filter_map(|(place, height)| Some((place, height.as_ref().ok()?)));
        let heights: Vec<String> = heights
            .map(|(place, height)| format!("{place} is at block {height}"))
            .collect();
        Look::Fine(heights.join(", "))
    }

    async fn feed(&self, bot: &Bot, feed: &Feed) -> Look {
        let answers = Answers::default();
        match read_feed(&feed.url, self.asker(bot, &answers)).await {
            Ok(entries) => Look::Fine(format!("it has {} entries", entries.len())),
            Err(reason) => Look::Wrong(reason),
        }
    }

    fn asker<'a>(&'a self, bot: &'a Bot, answers: &'a Answers) -> Asker<'a> {
        Asker {
            fetch: &self.fetch,
            answers,
            folder: bot.folder(),
            fresh: Duration::ZERO,
        }
    }

    async fn source(&self, bot: &Bot, http: &Http, is_list: bool) -> Look {
        if http.post.is_some() {
            return Look::Skipped("it is asked by POST, which may change something".to_owned());
        }
        if let Some(name) = unknown_name(http) {
            return Look::Skipped(format!(
                "what is asked depends on `{name}`, which an occurrence gives"
            ));
        }
        let now = to_utc(self.clock.now());
        let mut scope = Scope::new();
        scope.insert("vars", bot.vars.clone());
        scope.insert("now", Value::Time(now));
        scope.insert("occurrence", occurrence_record("probe", now));
        let answers = Answers::default();
        let asker = self.asker(bot, &answers);
        if !is_list {
            return match http.value(asker, &scope).await {
                Ok(_) => Look::Fine("it answers".to_owned()),
                Err(reason) => Look::Wrong(reason),
            };
        }
        let first = async { Pages::of(http, asker, &scope)?.next().await };
        match first.await {
            Ok(items) => {
                let items = items.map_or(0, |items| items.len());
                Look::Fine(format!("its first page has {items} items"))
            }
            Err(reason) => Look::Wrong(reason),
        }
    }

    /// Looks at an upload target of the project.
    pub async fn upload(&self, name: &str) -> Look {
        match self.project.uploads.get(name) {
            None => Look::Wrong("the project has no such upload target".to_owned()),
            Some(Upload::Folder { folder, .. }) => look_at_folder(folder),
            Some(Upload::S3 { .. }) => within(self.bucket(name)).await,
        }
    }

    async fn bucket(&self, name: &str) -> Look {
        let uploads = Uploads::of(Arc::clone(&self.project), self.fetch.clone());
        let own = name.to_owned();
        let target = tokio::task::spawn_blocking(move || uploads.target(&own)).await;
        let target = match target {
            Ok(Ok(target)) => target,
            Ok(Err(error)) => return Look::Wrong(chain(&error)),
            Err(error) => return Look::Wrong(error.to_string()),
        };
        match target.look().await {
            Ok(()) => Look::Fine("the bucket answers".to_owned()),
            Err(reason) => Look::Wrong(reason.to_owned()),
        }
    }

    /// Asks a node for the contact of a wallet.
    ///
    /// # Errors
    /// Why it cannot be asked, for people.
    pub async fn node(&self, node: &NodeAddress, wallet: Address) -> Result<NodeLook, String> {
        let asking = async {
            let range = Range {
                topics: vec![Topic::contact(wallet).to_string()],
                descending: true,
                page: CONTACTS,
                ..Range::default()
            };
            Api::new(node.clone())?.look(&range).await
        };
        let answered = tokio::time::timeout(WITHIN, asking).await;
        let look = answered
            .map_err(|_| no_answer())?
            .map_err(|error| chain(&error))?;
        let newest_first = look.envelopes.iter().map(|envelope| envelope.message.as_ref());
        let found = contact::select(wallet, newest_first).contact;
        Ok(NodeLook {
            took: look.took,
            date: look
                .date
                .and_then(|date| DateTime::parse_from_rfc2822(&date).ok())
                .map(|date| date.to_utc()),
            has_contact: found.is_some_and(|contact| contact.verify().is_ok()),
        })
    }
}

/// A name that a request needs and that only an occurrence gives.
fn unknown_name(http: &Http) -> Option<&str> {
    let known = ["vars", "now", "occurrence", "body"];
    let headers = http.headers.iter().filter_map(|(_, header)| header.template());
    let of_templates = headers.chain([&http.url]).flat_map(Template::names);
    let answers = http.pick.iter().chain(&http.next);
    let of_answers = answers.flat_map(Expression::names);
    // `body` is the answer in `pick` and `next`, and an occurrence's in the URL.
    let mut in_request = of_templates.filter(|name| !known.iter().take(3).any(|known| known == name));
    let mut in_answer = of_answers.filter(|name| !known.contains(&name.as_str()));
    in_request.next().or_else(|| in_answer.next()).map(String::as_str)
}

/// Whether files can be put into a folder, or whether it can be made; without doing either.
fn look_at_folder(folder: &Path) -> Look {
    let here = Path::new(".");
    let there = folder
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .unwrap_or(here);
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    match (there.is_dir(), rustix::fs::access(there, access)) {
        (false, _) => Look::Wrong(format!("{} is no folder", there.display())),
        (true, Err(error)) => Look::Wrong(format!("cannot write into {}: {error}", there.display())),
        (true, Ok(())) if there == folder => Look::Fine("the folder can be written".to_owned()),
        (true, Ok(())) => Look::Fine("the folder is made when it is needed".to_owned()),
    }
}

async fn within(look: impl Future<Output = Look>) -> Look {
    let looked = tokio::time::timeout(WITHIN, look).await;
    looked.unwrap_or_else(|_| Look::Wrong(no_answer()))
}

fn no_answer() -> String {
    format!("no answer within {} s", WITHIN.as_secs())
}

/// An error and what is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// How long a look may take.
const WITHIN: Duration = Duration::from_secs(20);
/// Envelopes that are asked for a contact: as many as readers look at.
const CONTACTS: u32 = 5;
