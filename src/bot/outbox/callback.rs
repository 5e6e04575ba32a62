//! Tells what became of deliveries where their rules' `callback` says: recorded in the transaction that made it so, posted until
//! it is taken.
//!
//! Enters: settled rows, replies. Leaves: signed requests as the Standard Webhooks specification describes, each with the id and
//! body of its first try until one is answered with 200 to 299. So a kill loses none, and a receiver tells a repeat by its id.

mod post;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream::FuturesUnordered};
use herald_protocol::address::Address;
use rusqlite::Transaction;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{publish, retry};
use crate::bot::{
    config::{Callback, CallbackEvent, Policy},
    event::{Kind, print_time},
    running::Running,
    store::{self, AwaitedReply, Delivery, NewCallback, Outcome, State},
};
use post::{Failed, post};

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    event: &'static str,
    bot: &'a str,
    rule: &'a str,
    delivery: i64,
    wallet: String,
    envelope: Option<String>,
    at: String,
    reason: Option<&'a str>,
}

/// The conversation of a message, and when it was sealed.
pub(super) struct Place {
    topic: String,
    sealed: DateTime<Utc>,
}

/// The places of delivered messages by their rows, where a reply to some is to be told.
pub(super) fn places(
    running: &Running,
    settled: &[(Delivery, State, Option<String>)],
) -> BTreeMap<i64, Place> {
    let mut places = BTreeMap::new();
    if !tells(running, CallbackEvent::Replied) {
        return places;
    }
    for (row, state, _) in settled {
        let sealed = row.sealed.as_ref().filter(|_| *state == State::Delivered);
        if let Some(sealed) = sealed
            && let Some(topic) = publish::topic_of(sealed.request.clone())
        {
            let sealed = sealed.sealed;
            places.insert(row.id, Place { topic, sealed });
        }
    }
    places
}

/// Records what is to be told of rows, inside the transaction that ended them.
pub(super) fn settled(
    transaction: &Transaction<'_>,
    running: &Running,
    (ended, places): (&[i64], &BTreeMap<i64, Place>),
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    if !CallbackEvent::ALL.into_iter().any(|event| tells(running, event)) {
        return Ok(());
    }
    for id in ended {
        let Some(outcome) = store::outcome(transaction, *id)? else {
            continue;
        };
        let event = match outcome.state {
            State::Delivered => CallbackEvent::Delivered,
            State::Rejected => CallbackEvent::Rejected,
            State::Expired => CallbackEvent::Expired,
            State::Planned | State::Held | State::Sealed | State::Skipped => continue,
        };
        add(transaction, running, (*id, &outcome, event), now)?;
        let is_awaited = callback_of(running, &outcome.rule)
            .is_some_and(|(callback, _)| callback.events.contains(&CallbackEvent::Replied));
        let place = places.get(&outcome.message).filter(|_| is_awaited);
        if let Some(place) = place {
            let awaited = AwaitedReply {
                delivery: *id,
                bot: &outcome.bot,
                wallet: outcome.wallet,
                topic: &place.topic,
                sealed: place.sealed,
            };
            if store::await_reply(transaction, &awaited)? {
                add(transaction, running, (*id, &outcome, CallbackEvent::Replied), now)?;
            }
        }
    }
    Ok(())
}

/// Records that deliveries were replied to, inside the transaction that handles the message: those that were sealed before it was
/// sent, in the same conversation.
pub(crate) fn replied(
    transaction: &Transaction<'_>,
    running: &Running,
    (wallet, topic, sent): (Address, &str, DateTime<Utc>),
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    if !tells(running, CallbackEvent::Replied) {
        return Ok(());
    }
    let bot = &running.bot.name;
    for id in store::take_replied(transaction, (bot, wallet, topic), sent, REPLIED)? {
        if let Some(outcome) = store::outcome(transaction, id)? {
            add(transaction, running, (id, &outcome, CallbackEvent::Replied), now)?;
        }
    }
    for row in store::on_their_way(transaction, bot, wallet)? {
        if row.sealed <= sent && publish::topic_of(row.request.clone()).as_deref() == Some(topic) {
            let awaited = AwaitedReply {
                delivery: row.delivery,
                bot,
                wallet,
                topic,
                sealed: row.sealed,
            };
            store::note_early_reply(transaction, &awaited, now)?;
        }
    }
    Ok(())
}

/// Whether a rule of the bot tells this.
fn tells(running: &Running, event: CallbackEvent) -> bool {
    let mut rules = running.bot.rules.values();
    rules.any(|rule| {
        let callback = rule.policy.callback.as_ref();
        callback.is_some_and(|callback| callback.events.contains(&event))
    })
}

fn callback_of<'r>(running: &'r Running, rule: &str) -> Option<(&'r Callback, &'r Policy)> {
    let policy = &running.bot.rules.get(rule)?.policy;
    Some((policy.callback.as_ref()?, policy))
}

/// Records an event, if its rule tells it.
fn add(
    transaction: &Transaction<'_>,
    running: &Running,
    (id, outcome, event): (i64, &Outcome, CallbackEvent),
    now: DateTime<Utc>,
) -> Result<(), rusqlite::Error> {
    let callback = callback_of(running, &outcome.rule);
    let Some((_, policy)) = callback.filter(|(callback, _)| callback.events.contains(&event)) else {
        return Ok(());
    };
    let body = Body {
        event: event.as_str(),
        bot: &outcome.bot,
        rule: &outcome.rule,
        delivery: id,
        wallet: outcome.wallet.to_string(),
        envelope: outcome.envelope.map(const_hex::encode),
        at: print_time(now),
        // It says why it ended, and nothing of a reply.
        reason: outcome
            .reason
            .as_deref()
            .filter(|_| event != CallbackEvent::Replied),
    };
    let life = policy.retry.within.unwrap_or(policy.ttl).min(policy.ttl);
    let new = NewCallback {
        delivery: id,
        bot: outcome.bot.clone(),
        rule: outcome.rule.clone(),
        wallet: outcome.wallet,
        event,
        body: serde_json::to_string(&body)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
        created: now,
        life: TimeDelta::from_std(life).unwrap_or(TimeDelta::MAX),
    };
    store::add_callback(transaction, &new)
}

/// Posts the callbacks of a bot until shutdown. Those that are on their way then are cut off soon, and go out again later.
pub(crate) async fn call_back(running: Arc<Running>, shutdown: CancellationToken) {
    let mut is_tidy = false;
    let mut busy: BTreeMap<i64, String> = BTreeMap::new();
    let mut on_their_way = FuturesUnordered::new();
    while !shutdown.is_cancelled() {
        if !is_tidy {
            is_tidy = give_up_others(&running).await;
        }
        let wait = match due(&running, &busy).await {
            Ok((callbacks, next)) => {
                for callback in callbacks {
                    busy.insert(callback.id, callback.rule.clone());
                    on_their_way.push(call(&running, callback));
                }
                let wait = next.map(|next| (next - running.now()).to_std().unwrap_or_default());
                wait.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
            }
            Err(error) => {
                tracing::error!(%error, bot = running.bot.name, "callbacks cannot be read");
                STORE_PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(id) = on_their_way.next() => {
                busy.remove(&id);
            }
            () = running.to_call_back.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    let last = async { while on_their_way.next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, last).await;
}

/// Posts what is due now, one after another. Gives how many were, and the instant at which more is due.
pub(crate) async fn call_back_once(
    running: &Running,
) -> Result<(usize, Option<DateTime<Utc>>), store::Error> {
    let (callbacks, next) = due(running, &BTreeMap::new()).await?;
    let count = callbacks.len();
    for callback in callbacks {
        call(running, callback).await;
    }
    Ok((count, next))
}

/// Gives up what rules have to tell that the file does not let any more. Says whether that is done.
pub(crate) async fn give_up_others(running: &Running) -> bool {
    let bot = &running.bot.name;
    let telling = running
        .bot
        .rules
        .values()
        .filter(|rule| rule.policy.callback.is_some());
    let telling = telling.map(|rule| rule.name.clone()).collect();
    let reason = "the rule has no `callback` now";
    let given_up = running
        .store
        .give_up_callbacks(bot, telling, reason, running.now());
    match given_up.await {
        Ok(given_up) => {
            for callback in given_up {
                tell_dead(running, &callback, reason.to_owned()).await;
            }
            true
        }
        Err(error) => {
            tracing::error!(%error, bot, "callbacks cannot be given up");
            false
        }
    }
}

/// What is due, as far as each rule has room, and when more is.
async fn due(
    running: &Running,
    busy: &BTreeMap<i64, String>,
) -> Result<(Vec<store::Callback>, Option<DateTime<Utc>>), store::Error> {
    let mut rules = Vec::new();
    for rule in running
        .bot
        .rules
        .values()
        .filter(|rule| rule.policy.callback.is_some())
    {
        let own = busy.iter().filter(|(_, of)| **of == rule.name);
        let own: Vec<i64> = own.map(|(id, _)| *id).collect();
        let room = AT_ONCE.saturating_sub(u32::try_from(own.len()).unwrap_or(AT_ONCE));
        rules.push((rule.name.clone(), room, own));
    }
    if rules.is_empty() {
        return Ok((Vec::new(), None));
    }
    let now = running.now();
    running.store.due_callbacks(&running.bot.name, rules, now).await
}

/// Tries a callback once and notes how it went. Gives its id.
async fn call(running: &Running, callback: store::Callback) -> i64 {
    let id = callback.id;
    let failed = post(running, &callback).await.err();
    let now = running.now();
    let store = &running.store;
    let (noted, dead) = match failed {
        None => (store.end_callback(id, None, now).await, None),
        Some(Failed::Yet(reason, after)) if now < callback.expires => {
            let retry = callback_of(running, &callback.rule).map(|(_, policy)| policy.retry);
            let wait = retry::wait(callback.tries + 1, retry.unwrap_or_default());
            let due = (now + wait.max(after.unwrap_or_default())).min(callback.expires);
            (store.callback_tried(id, due, reason).await, None)
        }
        Some(Failed::Yet(reason, _) | Failed::Never(reason)) => (
            store.end_callback(id, Some(reason.clone()), now).await,
            Some(reason),
        ),
    };
    match (noted, dead) {
        (Err(error), _) => {
            tracing::error!(%error, bot = running.bot.name, "a callback's try cannot be noted");
            // It is due still; a store that fails is not asked at once again.
            tokio::time::sleep(STORE_PAUSE).await;
        }
        (Ok(()), Some(reason)) => tell_dead(running, &callback, reason).await,
        (Ok(()), None) => {}
    }
    id
}

async fn tell_dead(running: &Running, callback: &store::Callback, reason: String) {
    let mut event = running.event(Kind::CallbackDead);
    event.rule = Some(callback.rule.clone());
    event.wallet = Some(callback.wallet);
    event.delivery = Some(callback.delivery);
    event.callback = Some(callback.id);
    event.reason = Some(format!(
        "`{}` could not be told: {reason}",
        callback.event.as_str()
    ));
    running.tell(event).await;
}

/// Deliveries that one message replies to at the most, the newest. Ours: a bot writes 20 times a day unless its project says more.
const REPLIED: usize = 100;
/// Callbacks of one rule that are on their way at once, so that one receiver holds up no other rule's.
const AT_ONCE: u32 = 8;
/// Time for those that are on their way when the bot ends; a changed file is taken meanwhile.
const GRACE: Duration = Duration::from_millis(500);
/// The longest sleep without a look at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// The pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(5);
