//! Reads what a rule watches, a page of subjects at a time: all that they need is asked for together.

use std::{fmt, pin::pin, sync::Arc};

use chrono::{DateTime, Utc};
use futures::{FutureExt as _, future::FusedFuture as _};
use herald_protocol::address::Address;
use tokio::task::JoinSet;

use super::{Failure, Reader};
use crate::bot::{
    config::Rule,
    expression::{EvaluationError, Scope, Value},
    fire::{self, Firing},
    outside::{Asking, CameUpon},
    store::{Member, NewOccurrence, TableRow, Watched},
    trigger::{Each, Trigger, Watch, watch::Step},
};

/// Whose value it is, and where that stands.
struct Subject {
    who: Who,
    /// The name it has in expressions, and its record.
    record: Option<(&'static str, Value)>,
    state: Watched,
}

enum Who {
    Nobody,
    Member(Address),
    /// The row of this id, which is somebody's.
    Row(Address, i64),
}

/// Behind whose place a page begins: a wallet's, or a row's of it.
type Place = (String, i64);

/// Why there is no value.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("it gives nothing")]
    Nothing,
    #[error(transparent)]
    Failed(#[from] EvaluationError),
}

/// What became of a page of subjects.
#[derive(Default)]
struct Page {
    count: usize,
    states: Vec<(String, Watched)>,
    /// What something follows for, and the value it follows from.
    steps: Vec<(Step, Subject, Value)>,
    /// How many could not be read, and why the first of them.
    failed: usize,
    reason: Option<String>,
}

impl Reader<'_> {
    /// Reads the values of all subjects. Those that cannot be read stay as they are.
    pub(super) async fn watch(&self, watch: &Watch) -> Result<(), Failure> {
        let (mut failed, mut count) = (0, 0);
        let mut reason: Option<String> = None;
        // While others answer for one page the next ones are made ready, on all cores.
        let shared = Arc::new(watch.clone());
        let mut open = JoinSet::new();
        let mut coming = pin!(self.subjects(watch, Place::default()).fuse());
        loop {
            let page = tokio::select! {
                Some(page) = open.join_next() => {
                    page.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
                }
                come = &mut coming, if open.len() < AT_ONCE && !coming.is_terminated() => {
                    let (subjects, next) = come?;
                    if let Some(after) = next {
                        coming.set(self.subjects(watch, after).fuse());
                    }
                    open.spawn(read_page(Asking::of(self.running), Arc::clone(&shared), subjects));
                    continue;
                }
                else => break,
            };
            count += page.count;
            failed += page.failed;
            reason = reason.or(page.reason);
            let store = &self.running.store;
            let steps = page.steps.into_iter();
            let new = steps.flat_map(|(step, subject, value)| self.follow(step, &subject, value));
            let noted = store
                .note_watched(self.key(), (page.states, new.collect()))
                .await?;
            for (new, planned) in noted {
                fire::tell(self.running, &new, &planned).await;
            }
        }
        let store = &self.running.store;
        if let Some(each) = &watch.each {
            store.forget_watched(self.key(), each.clone()).await?;
        }
        let now = self.running.now();
        store
            .note_reading(self.key(), now, (Vec::new(), Vec::new()))
            .await?;
        match reason {
            None => Ok(()),
            Some(reason) if count == 1 => Err(Failure::Value(reason)),
            Some(reason) => Err(Failure::Value(format!("{failed} of {count} values: {reason}"))),
        }
    }

    /// A page of subjects, and where the next one begins, if there is one.
    async fn subjects(
        &self,
        watch: &Watch,
        (owner, id): Place,
    ) -> Result<(Vec<Subject>, Option<Place>), Failure> {
        let (store, bot, key) = (&self.running.store, &self.running.bot, self.key());
        let most = u32::try_from(PAGE).unwrap_or(u32::MAX);
        let subjects: Vec<Subject> = match &watch.each {
            None => vec![Subject {
                who: Who::Nobody,
                record: None,
                state: store.watched_alone(key).await?,
            }],
            Some(Each::List(list)) => {
                let members = store.watched_members(key, list.clone(), (owner, most)).await?;
                let record = self.running.member_records(list);
                let subject = |(member, state): (Member, Watched)| Subject {
                    who: Who::Member(member.wallet),
                    record: Some(("sub", record(&member))),
                    state,
                };
                members.into_iter().map(subject).collect()
            }
            Some(Each::Table(name)) => {
                let rows = store.watched_rows(key, name.clone(), ((owner, id), most)).await?;
                let Some(table) = bot.tables.get(name) else {
                    return Ok((Vec::new(), None));
                };
                let subject = |(row, state): (TableRow, Watched)| Subject {
                    who: Who::Row(row.owner, row.id),
                    record: Some(("row", table.record(&row))),
                    state,
                };
                rows.into_iter().map(subject).collect()
            }
        };
        let last = subjects.last().filter(|_| subjects.len() == PAGE);
        let next = last.and_then(|last| match last.who {
            Who::Nobody => None,
            Who::Member(wallet) => Some((wallet.to_string(), 0)),
            Who::Row(owner, id) => Some((owner.to_string(), id)),
        });
        Ok((subjects, next))
    }

    /// The occurrences that follow from a step.
    fn follow(&self, step: Step, subject: &Subject, value: Value) -> Vec<NewOccurrence> {
        let (edge, rules): (u32, Vec<&Rule>) = match step {
            Step::Stays => return Vec::new(),
            Step::Fires(edge) => (edge, vec![self.rule]),
            Step::Clears(edge) => {
                let own = &self.rule.name;
                let is_of = |trigger: &Trigger| matches!(trigger, Trigger::Cleared(rule) if rule == own);
                let rules = self.running.bot.rules.values();
                (
                    edge,
                    rules.filter(|rule| rule.triggers.iter().any(is_of)).collect(),
                )
            }
        };
        let names: Scope = [("value", value)]
            .into_iter()
            .chain(subject.record.clone())
            .collect();
        let id = format!("{} edge {edge}", subject.who);
        let firing = Firing {
            id: id.trim_start().to_owned(),
            at: self.running.now(),
            names: names.clone(),
        };
        let new = rules
            .into_iter()
            .map(|rule| fire::occurrence(self.running, rule, &firing));
        new.collect()
    }
}

impl fmt::Display for Who {
    /// As the store names it: a wallet, and of a row its id behind it; nothing for a value of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => Ok(()),
            Self::Member(wallet) => write!(f, "{wallet}"),
            Self::Row(owner, id) => write!(f, "{owner} {id}"),
        }
    }
}

/// Reads the values of a page of subjects.
async fn read_page(mut asking: Asking, watch: Arc<Watch>, subjects: Vec<Subject>) -> Page {
    let mut scope = asking.running().scope();
    let mut open = subjects;
    let mut page = Page {
        count: open.len(),
        ..Page::default()
    };
    while !open.is_empty() {
        let mut lacking = Vec::new();
        for mut subject in open {
            asking.begin();
            let before = subject.state.clone();
            let read = read(&watch, &mut subject, &mut scope, asking.running().now());
            if asking.came_upon() == CameUpon::Lacking {
                subject.state = before;
                lacking.push(subject);
                continue;
            }
            match read {
                Ok((step, value)) => {
                    if subject.state != before {
                        page.states.push((subject.who.to_string(), subject.state.clone()));
                    }
                    if step != Step::Stays {
                        page.steps.push((step, subject, value));
                    }
                }
                Err(unread) => {
                    page.failed += 1;
                    page.reason.get_or_insert_with(|| unread.to_string());
                }
            }
        }
        open = lacking;
        asking.ask().await;
    }
    page
}

/// Reads the value of a subject and moves it on. Gives what follows, and the value. The scope is one for all subjects of a page.
fn read(
    watch: &Watch,
    subject: &mut Subject,
    scope: &mut Scope,
    now: DateTime<Utc>,
) -> Result<(Step, Value), Unread> {
    if let Some((name, record)) = &subject.record {
        scope.insert(*name, record.clone());
    }
    let value = watch.value.evaluate(scope)?;
    if value == Value::None {
        return Err(Unread::Nothing);
    }
    scope.insert("value", value.clone());
    let reading = watch.read(scope, &subject.state)?;
    let step = watch.step(&mut subject.state, reading, (&value, now));
    Ok((step, value))
}

/// Subjects whose questions are asked together: as many as one call of a chain takes.
const PAGE: usize = 200;
/// Pages that are read at once.
const AT_ONCE: usize = 4;
