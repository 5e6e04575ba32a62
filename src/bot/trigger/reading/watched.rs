//! Reads what a rule watches, a page of subjects at a time: all that they need is asked for together.

use std::sync::Arc;

use futures::{StreamExt as _, stream::FuturesOrdered};

use super::{Failure, Reader};
use crate::bot::{
    config::Rule,
    expression::{Scope, Value},
    fire::{self, Firing},
    outside::{Asking, CameUpon},
    running::Running,
    store::{NewOccurrence, Watched},
    trigger::{Each, Trigger, Watch, watch::Step},
};

/// Whose value it is.
struct Subject {
    /// A wallet, and of a row its id behind it; nothing for a value of its own.
    name: String,
    /// The name it has in expressions, and its record.
    record: Option<(&'static str, Value)>,
}

/// Behind whose place a page begins: a wallet's, or a row's of it.
type Place = (String, i64);

/// What became of a page of subjects.
#[derive(Default)]
struct Page {
    count: usize,
    states: Vec<(String, Watched)>,
    new: Vec<NewOccurrence>,
    /// How many could not be read, and why the first of them.
    failed: usize,
    reason: Option<String>,
}

impl Reader<'_> {
    /// Reads the values of all subjects. Those that cannot be read stay as they are.
    pub(super) async fn watch(&self, watch: &Watch) -> Result<(), Failure> {
        let (mut failed, mut count) = (0, 0);
        let mut reason: Option<String> = None;
        // While others answer for one page the next is made ready.
        let (mut open, mut place) = (FuturesOrdered::new(), Some(Place::default()));
        loop {
            while open.len() < AT_ONCE
                && let Some(after) = place.take()
            {
                let (subjects, next) = self.subjects(watch, &after).await?;
                place = next;
                open.push_back(self.read_page(watch, subjects));
            }
            let Some(page) = open.next().await.transpose()? else {
                break;
            };
            count += page.count;
            failed += page.failed;
            reason = reason.or(page.reason);
            let store = &self.running.store;
            let noted = store.note_watched(self.key(), (page.states, page.new)).await?;
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
    async fn subjects(&self, watch: &Watch, after: &Place) -> Result<(Vec<Subject>, Option<Place>), Failure> {
        let (store, bot) = (&self.running.store, &self.running.bot);
        let most = u32::try_from(PAGE).unwrap_or(u32::MAX);
        let (owner, id) = after;
        Ok(match &watch.each {
            None => {
                let (name, record) = (String::new(), None);
                (vec![Subject { name, record }], None)
            }
            Some(Each::List(list)) => {
                let members = store.members_in(None, &bot.name, list, (owner.clone(), most));
                let members = members.await?;
                let subjects = members.iter().map(|member| Subject {
                    name: member.wallet.to_string(),
                    record: Some(("sub", self.running.member_record(list, member))),
                });
                let end = members.last().filter(|_| members.len() == PAGE);
                let next = end.map(|member| (member.wallet.to_string(), 0));
                (subjects.collect(), next)
            }
            Some(Each::Table(name)) => {
                let rows = store.table_rows(&bot.name, name, (owner.clone(), *id), most);
                let rows = rows.await?;
                let table = bot.tables.get(name);
                let subjects = rows.iter().filter_map(|row| {
                    Some(Subject {
                        name: format!("{} {}", row.owner, row.id),
                        record: Some(("row", table?.record(row))),
                    })
                });
                let end = rows.last().filter(|_| rows.len() == PAGE);
                let next = end.map(|row| (row.owner.to_string(), row.id));
                (subjects.collect(), next)
            }
        })
    }

    async fn read_page(&self, watch: &Watch, subjects: Vec<Subject>) -> Result<Page, Failure> {
        let names = subjects.iter().map(|subject| subject.name.clone()).collect();
        let states = self.running.store.watched(self.key(), names).await?;
        let mut asking = Asking::of(self.running);
        let mut open: Vec<_> = subjects.into_iter().zip(states).collect();
        let mut page = Page {
            count: open.len(),
            ..Page::default()
        };
        while !open.is_empty() {
            let mut lacking = Vec::new();
            for (subject, before) in open {
                asking.begin();
                let mut state = before.clone();
                let read = read(asking.running(), watch, &subject, &mut state);
                if asking.came_upon() == CameUpon::Lacking {
                    lacking.push((subject, before));
                    continue;
                }
                match read {
                    Ok((step, names)) => {
                        page.new.extend(self.follow(step, &subject, &names));
                        if state != before {
                            page.states.push((subject.name, state));
                        }
                    }
                    Err(reason) => {
                        page.failed += 1;
                        page.reason.get_or_insert(reason);
                    }
                }
            }
            open = lacking;
            asking.ask().await;
        }
        Ok(page)
    }

    /// The occurrences that follow from a step.
    fn follow(&self, step: Step, subject: &Subject, names: &Scope) -> Vec<NewOccurrence> {
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
        let id = format!("{} edge {edge}", subject.name);
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

/// Reads the value of a subject and moves it on. Gives what follows, with the names that it gives.
fn read(
    running: &Arc<Running>,
    watch: &Watch,
    subject: &Subject,
    state: &mut Watched,
) -> Result<(Step, Scope), String> {
    let mut scope = running.scope();
    let mut names = Scope::new();
    if let Some((name, record)) = &subject.record {
        scope.insert(*name, record.clone());
        names.insert(*name, record.clone());
    }
    let value = watch.value.evaluate(&scope).map_err(|error| error.to_string())?;
    if value == Value::None {
        return Err("it gives nothing".to_owned());
    }
    scope.insert("value", value.clone());
    names.insert("value", value.clone());
    let reading = watch.read(&scope, state)?;
    let step = watch.step(state, reading, (&value, running.now()));
    Ok((step, names))
}

/// Subjects whose questions are asked together.
const PAGE: usize = 1_024;
/// Pages that are read at once.
const AT_ONCE: usize = 2;
