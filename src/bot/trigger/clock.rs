//! Fires the rules of one bot whose triggers are times: `cron`, `every`, `at`.
//!
//! Each trigger keeps the last instant it dealt with in the store, together with the occurrence, so an instant fires once
//! whatever restarts. After a standstill at most one late instant fires, when it is younger than the rule's `ttl`.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::Trigger;
use crate::bot::{
    config::Rule,
    event::Kind,
    expression::Scope,
    fire::{self, Firing},
    running::Running,
    store::{self, Schedule, ScheduleKey},
};

/// The longest sleep without a look at the wall clock, which may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

struct Clock<'a> {
    rule: &'a Rule,
    trigger: &'a Trigger,
    key: ScheduleKey,
}

/// Fires the bot's timed rules until shutdown.
pub(crate) async fn run(running: Arc<Running>, shutdown: CancellationToken) {
    while !clocks(&running).is_empty() {
        let next = round(&running).await;
        let wait = next
            .and_then(|next| (next - running.now()).to_std().ok())
            .unwrap_or_default();
        let wait = if next.is_none() {
            LONGEST_SLEEP
        } else {
            wait.min(LONGEST_SLEEP)
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Fires the timed rules that are due, and gives the next instant at which one is.
pub(crate) async fn round(running: &Running) -> Option<DateTime<Utc>> {
    let mut next: Option<DateTime<Utc>> = None;
    for clock in clocks(running) {
        match clock.fire_due(running).await {
            Ok(due) => next = [next, due].into_iter().flatten().min(),
            Err(error) => {
                let mut event = running.event(Kind::Error);
                event.rule = Some(clock.rule.name.clone());
                event.reason = Some(format!("the schedule waits: {error}"));
                running.tell(event).await;
            }
        }
    }
    next
}

fn clocks(running: &Running) -> Vec<Clock<'_>> {
    let mut clocks = Vec::new();
    for rule in running.bot.rules.values() {
        for trigger in &rule.triggers {
            let Some(text) = describe(trigger) else { continue };
            let (bot, rule_name) = (running.bot.name.clone(), rule.name.clone());
            clocks.push(Clock {
                rule,
                trigger,
                key: ScheduleKey {
                    bot,
                    rule: rule_name,
                    trigger: text,
                },
            });
        }
    }
    clocks
}

/// A timed trigger as text; another text is another schedule.
fn describe(trigger: &Trigger) -> Option<String> {
    match trigger {
        Trigger::Cron(schedule) => Some(format!("cron {schedule:?}")),
        Trigger::Every(span) => Some(format!("every {}ms", span.as_millis())),
        Trigger::At(instant) => Some(format!("at {}", print(*instant))),
        _ => None,
    }
}

impl Clock<'_> {
    /// Fires what is due and gives the next instant.
    async fn fire_due(&self, running: &Running) -> Result<Option<DateTime<Utc>>, store::Error> {
        let now = running.now();
        let state = running.store.schedule(self.key.clone(), now).await?;
        if let Some((instant, id)) = self.due(&state, now) {
            let ttl = TimeDelta::from_std(self.rule.policy.ttl).unwrap_or(TimeDelta::MAX);
            if now - instant <= ttl {
                let firing = Firing {
                    id,
                    at: instant,
                    names: Scope::new(),
                };
                let new = fire::occurrence(running, self.rule, &firing);
                let planned = running
                    .store
                    .fire(self.key.clone(), instant, Some(new.clone()))
                    .await?;
                if let Some(planned) = planned {
                    fire::tell(running, &new, &planned).await;
                }
            } else {
                running.store.fire(self.key.clone(), instant, None).await?;
                let mut event = running.event(Kind::Skipped);
                event.rule = Some(self.rule.name.clone());
                event.key = Some(id);
                event.reason = Some("missed: it was due longer ago than the rule's ttl".to_owned());
                running.tell(event).await;
            }
        }
        Ok(self.next(&state, now))
    }

    /// The newest instant after the one dealt with last that is not in the future, and its occurrence id.
    fn due(&self, state: &Schedule, now: DateTime<Utc>) -> Option<(DateTime<Utc>, String)> {
        let dealt_with = state.fired.unwrap_or(state.first);
        match self.trigger {
            Trigger::Cron(schedule) => {
                let instant = schedule
                    .last_at_or_before(now)
                    .filter(|instant| *instant > dealt_with)?;
                Some((instant, print(instant)))
            }
            Trigger::Every(span) => {
                let tick = ticks(*span, state.first, now);
                let instant = at_tick(*span, state.first, tick)?;
                (tick > 0 && instant > dealt_with)
                    .then(|| (instant, format!("tick {tick} since {}", print(state.first))))
            }
            // It may be older than the first sight of the rule.
            Trigger::At(instant) => {
                (*instant <= now && state.fired.is_none()).then(|| (*instant, print(*instant)))
            }
            _ => None,
        }
    }

    fn next(&self, state: &Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.trigger {
            Trigger::Cron(schedule) => schedule.next_after(now),
            Trigger::Every(span) => at_tick(*span, state.first, ticks(*span, state.first, now) + 1),
            Trigger::At(instant) => (*instant > now).then_some(*instant),
            _ => None,
        }
    }
}

fn ticks(span: Duration, first: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    let elapsed = (now - first).to_std().unwrap_or_default();
    u64::try_from(elapsed.as_millis() / span.as_millis().max(1)).unwrap_or(u64::MAX - 1)
}

fn at_tick(span: Duration, first: DateTime<Utc>, tick: u64) -> Option<DateTime<Utc>> {
    let millis = i64::try_from(span.as_millis())
        .ok()?
        .checked_mul(i64::try_from(tick).ok()?)?;
    first.checked_add_signed(TimeDelta::try_milliseconds(millis)?)
}

fn print(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use herald_protocol::{address::Address, time::TimestampNs};
    use tokio::sync::mpsc;

    use super::*;
    use crate::bot::{config, event::Event, store::Store};

    /// The time in seconds; tests of this module that set it hold the lock.
    static NOW: AtomicI64 = AtomicI64::new(0);
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    fn now() -> TimestampNs {
        TimestampNs::from_ns(NOW.load(Ordering::SeqCst).unsigned_abs() * 1_000_000_000)
    }

    /// 2026-03-29 00:00 UTC: the night in which Berlin's clock skips from 02:00 to 03:00, at 01:00 UTC.
    const NIGHT: i64 = 1_774_742_400;

    struct Scene {
        running: Arc<Running>,
        events: mpsc::Receiver<Event>,
        _folder: tempfile::TempDir,
    }

    fn scene(when: &str, ttl: &str) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bot.yaml");
        let text = format!(
            "herald: 1\nbot: tester\nidentity: env:NONE\nrules:\n  ru:\n    when: {when}\n    to: {{ wallet: 0x0000000000000000000000000000000000000001 }}\n    \
             ttl: {ttl}\n    send: x\n"
        );
        std::fs::write(&file, text).unwrap();
        let (bot, _) = config::load(&file).unwrap();
        let (sender, events) = mpsc::channel(100);
        let running = Arc::new(Running {
            project: Arc::default(),
            bot,
            address: Address::from_bytes([0; 20]),
            store: Store::open(&folder.path().join("herald.db")).unwrap(),
            events: sender,
            clock: now.into(),
            to_plan: Arc::default(),
            to_deliver: Arc::default(),
        });
        Scene {
            running,
            events,
            _folder: folder,
        }
    }

    impl Scene {
        /// What fires, or is said to be missed, when the clock shows each of the times, in seconds after `NIGHT`.
        async fn at(&mut self, seconds: &[i64]) -> Vec<String> {
            let mut told = Vec::new();
            for second in seconds {
                NOW.store(NIGHT + second, Ordering::SeqCst);
                for clock in clocks(&self.running) {
                    clock.fire_due(&self.running).await.unwrap();
                }
                while let Ok(event) = self.events.try_recv() {
                    told.push(format!("{:?} {}", event.event, event.key.unwrap_or_default()));
                }
            }
            told
        }
    }

    #[tokio::test]
    async fn a_cron_line_fires_once_an_instant_and_at_most_one_late_run_after_a_standstill() {
        let _turn = TURN.lock().await;
        let mut scene = scene(r#"{ cron: "0 * * * *", tz: UTC }"#, "30m");
        assert!(scene.at(&[10, 3_599]).await.is_empty());
        assert_eq!(
            scene.at(&[3_600, 3_600, 3_601]).await,
            ["Occurrence 2026-03-29T01:00:00Z"]
        );
        assert_eq!(
            scene.at(&[3_500, 3_650]).await,
            Vec::<String>::new(),
            "the clock went back and on again"
        );
        let late = scene.at(&[4 * 3_600 + 60, 4 * 3_600 + 61]).await;
        assert_eq!(
            late,
            ["Occurrence 2026-03-29T04:00:00Z"],
            "02:00 and 03:00 are gone"
        );
        let missed = scene.at(&[7 * 3_600 + 1_801, 7 * 3_600 + 1_802]).await;
        assert_eq!(
            missed,
            ["Skipped 2026-03-29T07:00:00Z"],
            "older than its ttl: said once, never run"
        );
    }

    #[tokio::test]
    async fn an_hour_that_the_clock_skips_fires_at_the_first_instant_after_it() {
        let _turn = TURN.lock().await;
        let mut scene = scene(r#"{ cron: "30 2 * * *", tz: Europe/Berlin }"#, "1d");
        let told = scene.at(&[60, 3_599, 3_600, 5_400, 7_200]).await;
        assert_eq!(told, ["Occurrence 2026-03-29T01:00:00Z"]);
    }

    #[tokio::test]
    async fn every_counts_from_the_first_sight_and_runs_one_late_tick() {
        let _turn = TURN.lock().await;
        let mut scene = scene("{ every: 10s }", "1d");
        assert!(scene.at(&[5, 14]).await.is_empty());
        let told = scene.at(&[15, 16, 24, 25, 58]).await;
        let ticks: Vec<&str> = told
            .iter()
            .filter_map(|told| told.split_whitespace().nth(2))
            .collect();
        assert_eq!(ticks, ["1", "2", "5"], "{told:?}");
    }

    #[tokio::test]
    async fn an_instant_older_than_its_ttl_at_first_sight_is_said_and_never_run() {
        let _turn = TURN.lock().await;
        let mut late = scene("{ at: 2026-03-29T01:00:00Z }", "1h");
        assert_eq!(
            late.at(&[2 * 3_600, 2 * 3_600 + 30]).await,
            ["Occurrence 2026-03-29T01:00:00Z"]
        );
        let mut missed = scene("{ at: 2026-03-29T01:00:00Z }", "1h");
        assert_eq!(
            missed.at(&[2 * 3_600 + 1, 2 * 3_600 + 30]).await,
            ["Skipped 2026-03-29T01:00:00Z"]
        );
    }
}
