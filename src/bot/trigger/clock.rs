//! Fires the rules of one bot whose triggers are times: `cron`, `every`, `at`, `silent`.
//!
//! Each trigger keeps the last instant it dealt with in the store, together with the occurrence, so an instant fires once
//! whatever restarts. After a standstill at most one late instant fires, when it is younger than the rule's `ttl`.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::Trigger;
use crate::bot::{
    config::Rule,
    event::Kind,
    expression::Scope,
    fire::{self, Firing},
    running::Running,
    store::{self, NewOccurrence, Schedule, ScheduleKey},
};

/// The longest sleep without a look at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// One timed trigger, or what it is in one time zone.
struct Clock<'a> {
    rule: &'a Rule,
    trigger: &'a Trigger,
    /// The zone of the members it addresses, where they are addressed by their own clocks.
    zone: Option<Tz>,
    key: ScheduleKey,
}

/// Fires the bot's timed rules until shutdown.
pub(crate) async fn run(running: Arc<Running>, shutdown: CancellationToken) {
    if !running
        .bot
        .rules
        .values()
        .flat_map(|rule| &rule.triggers)
        .any(is_timed)
    {
        return;
    }
    loop {
        let next = round(&running).await;
        let wait = next.and_then(|next| (next - running.now()).to_std().ok());
        let wait = match next {
            Some(_) => wait.unwrap_or_default().min(LONGEST_SLEEP),
            None => LONGEST_SLEEP,
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Fires what is due now and gives the next instant. What cannot be fired is told and waits for the next look.
pub(crate) async fn round(running: &Running) -> Option<DateTime<Utc>> {
    let mut next: Option<DateTime<Utc>> = None;
    for rule in running.bot.rules.values() {
        for trigger in rule.triggers.iter().filter(|trigger| is_timed(trigger)) {
            match fire_trigger(running, rule, trigger).await {
                Ok(due) => next = [next, due].into_iter().flatten().min(),
                Err(error) => {
                    let mut event = running.event(Kind::Error);
                    event.rule = Some(rule.name.clone());
                    event.reason = Some(format!("the schedule waits: {error}"));
                    running.tell(event).await;
                }
            }
        }
    }
    next
}

/// When each timed rule of the bot fires next; one that fires by its recipients' clocks has an instant for each of their zones.
pub(crate) async fn next_ticks(running: &Running) -> Result<Vec<(String, DateTime<Utc>)>, store::Error> {
    let now = running.now();
    let mut ticks = Vec::new();
    for rule in running.bot.rules.values().filter(|rule| !rule.paused) {
        for trigger in rule.triggers.iter().filter(|trigger| is_timed(trigger)) {
            let mut instants = Vec::new();
            if let (Trigger::CronOfRecipient(schedule), Some(list)) = (trigger, rule.audience.only_list()) {
                for zone in running.store.zones(&running.bot.name, list).await? {
                    let zone = zone.parse::<Tz>().ok();
                    instants.extend(zone.and_then(|zone| schedule.in_zone(zone).next_after(now)));
                }
            } else {
                let clock = Clock::new(running, rule, (trigger, None));
                let state = running.store.schedule(clock.key.clone(), now).await?;
                instants.extend(clock.next(&state, now));
            }
            ticks.extend(instants.into_iter().map(|at| (rule.name.clone(), at)));
        }
    }
    Ok(ticks)
}

fn is_timed(trigger: &Trigger) -> bool {
    matches!(
        trigger,
        Trigger::Cron(_)
            | Trigger::CronOfRecipient(_)
            | Trigger::Every { .. }
            | Trigger::At(_)
            | Trigger::Silent { .. }
    )
}

async fn fire_trigger(
    running: &Running,
    rule: &Rule,
    trigger: &Trigger,
) -> Result<Option<DateTime<Utc>>, store::Error> {
    let (Trigger::CronOfRecipient(schedule), Some(list)) = (trigger, rule.audience.only_list()) else {
        return Clock::new(running, rule, (trigger, None)).fire_due(running).await;
    };
    let mut next = None;
    // A zone counts from when its first member is seen in it.
    for zone in running.store.zones(&running.bot.name, list).await? {
        let Ok(zone) = zone.parse::<Tz>() else { continue };
        let local = Trigger::Cron(Box::new(schedule.in_zone(zone)));
        let clock = Clock::new(running, rule, (&local, Some(zone)));
        let due = clock.fire_due(running).await?;
        next = [next, due].into_iter().flatten().min();
    }
    Ok(next)
}

/// A timed trigger as text; another text is another schedule.
fn describe(trigger: &Trigger, zone: Option<Tz>) -> String {
    let of = if zone.is_some() { " of recipients" } else { "" };
    match trigger {
        Trigger::Cron(schedule) | Trigger::CronOfRecipient(schedule) => format!("cron{of} {schedule:?}"),
        // The delay is not part of it: who changes that does not want to count anew.
        Trigger::Every { span, .. } => format!("every {}ms", span.as_millis()),
        Trigger::At(instant) => format!("at {}", print(*instant)),
        Trigger::Silent { rule, span } => format!("silent {rule} for {}ms", span.as_millis()),
        _ => String::new(),
    }
}

/// An instant that is to be dealt with.
struct Due {
    instant: DateTime<Utc>,
    id: String,
    /// Whether it is worth firing however long ago it was due.
    at_any_time: bool,
}

impl<'a> Clock<'a> {
    fn new(running: &Running, rule: &'a Rule, (trigger, zone): (&'a Trigger, Option<Tz>)) -> Self {
        Self {
            rule,
            trigger,
            zone,
            key: ScheduleKey {
                bot: running.bot.name.clone(),
                rule: rule.name.clone(),
                trigger: describe(trigger, zone),
            },
        }
    }

    /// Fires what is due and gives the next instant.
    async fn fire_due(&self, running: &Running) -> Result<Option<DateTime<Utc>>, store::Error> {
        let now = running.now();
        let state = running.store.schedule(self.key.clone(), now).await?;
        let (due, next) = match self.trigger {
            Trigger::Silent { rule, span } => {
                let last = running.store.last_fired(&running.bot.name, rule).await?;
                silence(&state, last, *span, now)
            }
            _ => (self.due(&state, now), self.next(&state, now)),
        };
        if let Some(due) = due {
            self.deal_with(running, due, now).await?;
        }
        Ok(next)
    }

    /// Fires an instant, or passes over it when it is too old.
    async fn deal_with(&self, running: &Running, due: Due, now: DateTime<Utc>) -> Result<(), store::Error> {
        let Due {
            instant,
            id,
            at_any_time,
        } = due;
        let ttl = TimeDelta::from_std(self.rule.policy.ttl).unwrap_or(TimeDelta::MAX);
        if !at_any_time && now - instant > ttl {
            running.store.fire(self.key.clone(), instant, None).await?;
            let mut event = running.event(Kind::Skipped);
            event.rule = Some(self.rule.name.clone());
            event.key = Some(id);
            event.reason = Some("missed: it was due longer ago than the rule's ttl".to_owned());
            running.tell(event).await;
            return Ok(());
        }
        let firing = Firing {
            id,
            at: if at_any_time { now } else { instant },
            names: Scope::new(),
        };
        let new = NewOccurrence {
            zone: self.zone.map(|zone| zone.name().to_owned()),
            ..fire::occurrence(running, self.rule, &firing)
        };
        let planned = running
            .store
            .fire(self.key.clone(), instant, Some(new.clone()))
            .await?;
        if let Some(planned) = planned {
            fire::tell(running, &new, &planned).await;
        }
        Ok(())
    }

    /// The newest instant after the one dealt with last that is not in the future, and its occurrence id.
    fn due(&self, state: &Schedule, now: DateTime<Utc>) -> Option<Due> {
        let dealt_with = state.fired.unwrap_or(state.first);
        let (instant, id) = match self.trigger {
            Trigger::Cron(schedule) => {
                let instant = schedule
                    .last_at_or_before(now)
                    .filter(|instant| *instant > dealt_with)?;
                let zone = self.zone.map(|zone| format!(" {zone}")).unwrap_or_default();
                (instant, format!("{}{zone}", print(instant)))
            }
            Trigger::Every { span, .. } => {
                let (tick, instant) = self.last_tick(state.first, *span, now)?;
                (tick > 0 && instant > dealt_with)
                    .then(|| (instant, format!("tick {tick} since {}", print(state.first))))?
            }
            // It may be older than the first sight of the rule.
            Trigger::At(instant) => {
                (*instant <= now && state.fired.is_none()).then(|| (*instant, print(*instant)))?
            }
            _ => return None,
        };
        Some(Due {
            instant,
            id,
            at_any_time: false,
        })
    }

    fn next(&self, state: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.trigger {
            Trigger::Cron(schedule) => schedule.next_after(now),
            Trigger::Every { span, .. } => {
                let last = self.last_tick(state.first, *span, now);
                self.at_tick(state.first, *span, last.map_or(0, |(tick, _)| tick) + 1)
            }
            Trigger::At(instant) => (*instant > now).then_some(*instant),
            _ => None,
        }
    }

    /// The last tick of `every` that is not in the future, and its instant.
    fn last_tick(
        &self,
        first: DateTime<Utc>,
        span: Duration,
        now: DateTime<Utc>,
    ) -> Option<(u64, DateTime<Utc>)> {
        let elapsed = (now - first).to_std().unwrap_or_default();
        let tick = u64::try_from(elapsed.as_millis() / span.as_millis().max(1)).unwrap_or(u64::MAX - 1);
        // Its delay may not be over.
        [Some(tick), tick.checked_sub(1)]
            .into_iter()
            .flatten()
            .find_map(|tick| Some((tick, self.at_tick(first, span, tick).filter(|at| *at <= now)?)))
    }

    /// The instant of a tick: so many spans after the first sight, and a delay that is the same whenever it is computed.
    fn at_tick(&self, first: DateTime<Utc>, span: Duration, tick: u64) -> Option<DateTime<Utc>> {
        let millis = i64::try_from(span.as_millis())
            .ok()?
            .checked_mul(i64::try_from(tick).ok()?)?
            .checked_add(self.delay(tick))?;
        first.checked_add_signed(TimeDelta::try_milliseconds(millis)?)
    }

    /// Milliseconds, below the trigger's jitter.
    fn delay(&self, tick: u64) -> i64 {
        let Trigger::Every { jitter, .. } = self.trigger else {
            return 0;
        };
        let digest = Sha256::digest(format!("{}/{}/{tick}", self.key.bot, self.key.rule));
        let number = digest
            .iter()
            .take(8)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let bound = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX).max(1);
        i64::try_from(number % bound).unwrap_or_default()
    }
}

/// The end of a silence: when it is due, and when it will be. `last` is the watched rule's last occurrence.
fn silence(
    state: &Schedule,
    last: Option<(String, DateTime<Utc>)>,
    span: Duration,
    now: DateTime<Utc>,
) -> (Option<Due>, Option<DateTime<Utc>>) {
    let (id, since) = match last {
        Some((id, at)) => (format!("silent since {id}"), at),
        None => (format!("silent since {}", print(state.first)), state.first),
    };
    let ends = TimeDelta::from_std(span)
        .ok()
        .and_then(|span| since.checked_add_signed(span));
    let Some(instant) = ends else { return (None, None) };
    if instant > now {
        return (None, Some(instant));
    }
    let is_new = state.fired.is_none_or(|fired| instant > fired);
    let due = is_new.then_some(Due {
        instant,
        id,
        at_any_time: true,
    });
    (due, None)
}

fn print(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests;
