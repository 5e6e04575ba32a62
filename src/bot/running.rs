//! A bot that runs: its file, its store, and the scopes its expressions and templates are evaluated in.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use herald_protocol::{
    address::Address,
    time::{Clock, TimestampNs},
};
use tokio::sync::{Notify, OnceCell};

use super::{
    audience::{Audience, Ledgers},
    chain::{Chains, NameError, WalletName},
    config::{Bot, Field, Let, Rule},
    event::{Event, Events, Kind},
    expression::{BLOCK_TIME, Outside, Scope, Shape, Type, Value},
    outside::{CameUpon, Round},
    project::Project,
    source,
    store::{Member, Occurrence, Standing, Store},
    uploads::Uploads,
};
use crate::{client::Client, fetch::Fetch};

/// What the tasks of one bot share.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) bot: Arc<Bot>,
    pub(crate) project: Arc<Project>,
    pub(crate) uploads: Uploads,
    /// The bot's wallet.
    pub(crate) address: Address,
    /// Its way to its node, once that is reached.
    pub(crate) client: Arc<OnceCell<Client>>,
    pub(crate) store: Store,
    /// The one client for what the bot names on the web.
    pub(crate) fetch: Fetch,
    /// The chains that can be asked.
    pub(crate) chains: Chains,
    /// Who holds tokens. A rehearsal has those of the bot itself.
    pub(crate) ledgers: Ledgers,
    /// Where the answers of its sources come from.
    pub(crate) answers: Arc<source::Answers>,
    /// What its expressions may ask, while somebody works who asks for it.
    pub(crate) outside: Option<(Outside, Arc<Round>)>,
    pub(crate) events: Events,
    pub(crate) clock: Clock,
    /// An occurrence was recorded. A bot that is reloaded keeps it, so that who knows the old one wakes the new.
    pub(crate) to_plan: Arc<Notify>,
    /// A row was planned.
    pub(crate) to_deliver: Arc<Notify>,
    /// A gate is to be moved.
    pub(crate) to_guard: Arc<Notify>,
    /// Something is to be told where a rule's `callback` says.
    pub(crate) to_call_back: Arc<Notify>,
    /// Time may do something in a flow sooner than before.
    pub(crate) to_keep_time: Arc<Notify>,
}

/// Names of a trigger as an occurrence keeps them.
pub(crate) fn to_json(names: &Scope) -> String {
    let names = names
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_json()));
    serde_json::Value::Object(names.collect()).to_string()
}

impl Running {
    /// The time, for people.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        to_utc(self.clock.now())
    }

    /// Tells an event, waiting when its reader is slow. Nobody listening is no reason to stop.
    pub(crate) async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// The wallets of names, in their order, or why one has none.
    pub(crate) async fn wallets(&self, names: &[WalletName]) -> Vec<Result<Address, NameError>> {
        let given = names.iter().map(|name| self.answers.given_wallet(name));
        match given.collect::<Option<Vec<Address>>>() {
            Some(given) => given.into_iter().map(Ok).collect(),
            None => self.chains.wallets(&self.fetch, names).await,
        }
    }

    /// An event of this bot, now.
    pub(crate) fn event(&self, kind: Kind) -> Event {
        Event::new(kind, self.now(), &self.bot.name)
    }

    /// Why what was just evaluated could not ask what it needs.
    pub(crate) fn unanswered(&self) -> Option<String> {
        let (_, round) = self.outside.as_ref()?;
        match round.came_upon() {
            CameUpon::Failed(reason) => Some(reason),
            CameUpon::Nothing | CameUpon::Lacking => None,
        }
    }

    /// The names that exist everywhere.
    pub(crate) fn scope(&self) -> Scope {
        let mut scope = Scope::new();
        scope.insert("now", Value::Time(self.now()));
        scope.insert("vars", self.bot.vars.clone());
        if let Some((outside, _)) = &self.outside {
            scope.set_outside(outside.clone());
        }
        scope
    }

    /// The names that exist for an occurrence of a rule, read back from the store.
    pub(crate) fn occurrence_scope(&self, rule: &Rule, occurrence: &Occurrence) -> Result<Scope, String> {
        let mut given: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&occurrence.names)
                .map_err(|error| format!("the occurrence's names: {error}"))?;
        let mut scope = self.scope();
        // A name that only another of the rule's triggers gives is `none`.
        for (name, ty) in rule.names.iter() {
            let json = given.remove(name).unwrap_or_default();
            let value = ty.clone().optional().read_json(&json).map_err(|mismatch| {
                format!(
                    "`{name}{}` is {}, the file now wants {}",
                    mismatch.path, mismatch.found, mismatch.wanted
                )
            })?;
            scope.insert(name, value);
        }
        scope.insert("occurrence", occurrence_record(&occurrence.id, occurrence.at));
        for once in rule.lets.iter().filter(|once| !once.is_per_recipient()) {
            let stored = given.get(&once.name);
            let stored = stored.and_then(|json| once.expression.ty().read_json(json).ok());
            // What may have been an estimate is read again, where somebody is there to ask.
            let may_change = self.outside.is_some() && once.expression.names().contains(BLOCK_TIME);
            // A file that has changed since asks for it anew.
            let value = match stored.filter(|_| !may_change) {
                Some(value) => Some(value),
                None => self.computed(once, &scope)?,
            };
            if let Some(value) = value {
                scope.insert(&once.name, value);
            }
        }
        Ok(scope)
    }

    /// Computes the names of a rule that are the occurrence's, or those that are a recipient's, into a scope. Those that ask others are
    /// left out while nobody is there to ask.
    pub(crate) fn add_lets(&self, rule: &Rule, per_recipient: bool, scope: &mut Scope) -> Result<(), String> {
        let lets = rule.lets.iter();
        for own in lets.filter(|own| own.is_per_recipient() == per_recipient) {
            if let Some(value) = self.computed(own, scope)? {
                scope.insert(&own.name, value);
            }
        }
        Ok(())
    }

    fn computed(&self, own: &Let, scope: &Scope) -> Result<Option<Value>, String> {
        if own.expression.asks() && self.outside.is_none() {
            return Ok(None);
        }
        evaluate(own, scope).map(Some)
    }

    /// The record of a member of a list: `sub`, and `to` of a message to that list.
    pub(crate) fn member_record(&self, list: &str, member: &Member) -> Value {
        self.member_records(list)(member)
    }

    /// The records of many members of a list.
    pub(crate) fn member_records(&self, list: &str) -> impl Fn(&Member) -> Value {
        let declared = self
            .bot
            .list(list)
            .map(|list| list.fields.as_slice())
            .unwrap_or_default();
        let own = ["wallet", "name", "tz", "lang", "joined_at"];
        // A declared field stands in for one of its own of that name.
        let shape = Shape::new(
            own.into_iter()
                .chain(declared.iter().map(|field| field.name.as_str())),
        );
        move |member| {
            let own = [
                Value::Wallet(member.wallet),
                text_field(member, "name"),
                zone_field(member),
                text_field(member, "lang"),
                Value::Time(member.joined),
            ];
            let declared = declared.iter().map(|field| stored(field, member));
            shape.record(own.into_iter().chain(declared))
        }
    }

    /// The record of a wallet that may be on some of the lists: what any of them knows of it, the rest `none`.
    pub(crate) fn person_record(&self, wallet: Address, standing: &Standing) -> Value {
        let any = standing.lists.values().next();
        let mut fields = vec![
            ("wallet".to_owned(), Value::Wallet(wallet)),
            (
                "name".to_owned(),
                any.map_or(Value::None, |member| text_field(member, "name")),
            ),
            ("tz".to_owned(), any.map_or(Value::Tz(chrono_tz::UTC), zone_field)),
            (
                "lang".to_owned(),
                any.map_or(Value::None, |member| text_field(member, "lang")),
            ),
            (
                "joined_at".to_owned(),
                any.map_or(Value::None, |member| Value::Time(member.joined)),
            ),
        ];
        for (name, list) in &self.bot.lists {
            let member = standing.lists.get(name);
            for field in &list.fields {
                let value = member.map_or(Value::None, |member| stored(field, member));
                match fields.iter_mut().find(|(other, _)| *other == field.name) {
                    Some((_, known)) if *known == Value::None => *known = value,
                    Some(_) => {}
                    None => fields.push((field.name.clone(), value)),
                }
            }
        }
        Value::record(fields)
    }
}

/// The record `to` of a recipient: what the bot knows of it, overlaid by the variables that its audience gave.
pub(crate) fn overlaid(known: Value, vars: &str, audience: &Audience) -> Result<Value, String> {
    let given: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(vars).map_err(|error| format!("the recipient's variables: {error}"))?;
    let Value::Record(known) = known else {
        return Ok(known);
    };
    let mut overlay = Vec::with_capacity(given.len());
    for (name, json) in given {
        let ty = match name.as_str() {
            "wallet" => continue,
            "name" | "lang" => Type::Text.optional(),
            "tz" => Type::Tz,
            // Before a reload another audience may have given it.
            name => match audience.variable(name) {
                ty if ty.read_json(&json).is_ok() => ty,
                _ => Type::Any,
            },
        };
        let value = ty.read_json(&json);
        let value = value
            .map_err(|mismatch| format!("`to.{name}` is {}, wanted {}", mismatch.found, mismatch.wanted))?;
        overlay.push((name, value));
    }
    let overlay = overlay.iter().map(|(name, value)| (name.as_str(), value));
    let fields = known.iter().chain(overlay);
    Ok(Value::record(fields.map(|(name, value)| (name, value.clone()))))
}

/// The names of an occurrence with those that others were asked for once; none where that is all there already.
pub(crate) fn with_asked(rule: &Rule, names: &str, scope: &Scope) -> Option<String> {
    let mut asked = rule
        .lets
        .iter()
        .filter(|own| own.expression.asks() && !own.is_per_recipient())
        .peekable();
    asked.peek()?;
    let mut names: serde_json::Map<String, serde_json::Value> = serde_json::from_str(names).ok()?;
    for own in asked {
        names.insert(own.name.clone(), scope.get(&own.name)?.to_json());
    }
    Some(serde_json::Value::Object(names).to_string())
}

fn evaluate(own: &Let, scope: &Scope) -> Result<Value, String> {
    let value = own.expression.evaluate(scope);
    value.map_err(|error| format!("`let` {}: {error}", own.name))
}

/// A member's value of a field: its own, else the field's default.
fn stored(field: &Field, member: &Member) -> Value {
    let stored = member
        .fields
        .get(&field.name)
        .and_then(|json| field.ty.read_json(json).ok());
    stored.or_else(|| field.default.clone()).unwrap_or(Value::None)
}

/// The record `occurrence`.
pub(crate) fn occurrence_record(id: &str, at: DateTime<Utc>) -> Value {
    Value::record([("id", Value::text(id)), ("at", Value::Time(at))])
}

fn text_field(member: &Member, name: &str) -> Value {
    member
        .fields
        .get(name)
        .and_then(serde_json::Value::as_str)
        .map_or(Value::None, Value::text)
}

fn zone_field(member: &Member) -> Value {
    let zone = member
        .fields
        .get("tz")
        .and_then(serde_json::Value::as_str)
        .and_then(|zone| zone.parse().ok());
    Value::Tz(zone.unwrap_or(chrono_tz::UTC))
}

/// A protocol time for people.
pub fn to_utc(time: TimestampNs) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(time.as_ns()).unwrap_or(i64::MAX))
}
