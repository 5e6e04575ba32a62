//! The gates of broadcasts: approval, the canary, `stop_if`, and what people ask for with `herald broadcast`.
//!
//! Rows behind a gate are parked in the store; this task lets them out, takes them back and ends them in chunks, so that a
//! kill at any point goes on where it was.

use std::{sync::Arc, time::Duration};

use bigdecimal::BigDecimal;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::bot::{
    config::{Canary, Rule},
    event::Kind,
    expression::{Expression, Value},
    running::Running,
    store::{self, Broadcast, Gate, Progress},
};

/// Rows that are moved in one transaction.
const CHUNK: u32 = 5_000;
/// How often counts are looked at while a broadcast may be stopped by them.
const LOOK: Duration = Duration::from_secs(1);

/// Moves gates until shutdown.
pub(crate) async fn guard(running: Arc<Running>, shutdown: CancellationToken) {
    let may_stop = running
        .bot
        .rules
        .values()
        .any(|rule| rule.policy.stop_if.is_some());
    loop {
        let wait = match guard_once(&running).await {
            Ok(next) => next.map(|next| (next - running.now()).to_std().unwrap_or_default()),
            Err(error) => {
                let mut event = running.event(Kind::Error);
                event.reason = Some(format!("broadcasts wait: {error}"));
                running.tell(event).await;
                Some(LOOK)
            }
        };
        let wait = if may_stop {
            Some(wait.map_or(LOOK, |wait| wait.min(LOOK)))
        } else {
            wait
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = running.to_guard.notified() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

/// Moves every gate that can move now. Gives the instant at which another may.
pub(crate) async fn guard_once(running: &Running) -> Result<Option<DateTime<Utc>>, store::Error> {
    let mut next = None;
    for broadcast in running.store.moving(&running.bot.name).await? {
        let again = match broadcast.gate {
            Gate::Canary => canary(running, &broadcast).await?,
            Gate::Opening => {
                let_out(running, &broadcast).await?;
                None
            }
            Gate::Paused => {
                while running.store.take_back(broadcast.row, CHUNK).await? > 0 {}
                None
            }
            Gate::Cancelled => {
                let now = running.now();
                while running.store.cancel(broadcast.row, CHUNK, now).await? > 0 {}
                // More of it may be planned still.
                (!broadcast.is_planned).then(|| now + LOOK)
            }
            Gate::Open | Gate::Approval => None,
        };
        next = [next, again].into_iter().flatten().min();
    }
    for rule in running.bot.rules.values() {
        if let Some(stop_if) = &rule.policy.stop_if {
            for broadcast in running.store.under_way(&running.bot.name, &rule.name).await? {
                stop(running, &broadcast, (stop_if, None)).await?;
            }
        }
    }
    Ok(next)
}

/// Lets out all that is parked.
async fn let_out(running: &Running, broadcast: &Broadcast) -> Result<(), store::Error> {
    while running.store.let_out(broadcast.row, CHUNK, running.now()).await? > 0 {
        running.to_deliver.notify_one();
    }
    // What is planned later is not parked; what was planned meanwhile is let out now.
    running.store.move_gate(broadcast, Gate::Open, None).await?;
    running
        .store
        .let_out(broadcast.row, u32::MAX, running.now())
        .await?;
    running.to_deliver.notify_one();
    Ok(())
}

/// Lets the canary out once the audience is known, and after its wait all others, unless the counts say to stop.
async fn canary(running: &Running, broadcast: &Broadcast) -> Result<Option<DateTime<Utc>>, store::Error> {
    let rule = running.bot.rules.get(&broadcast.rule);
    let Some(canary) = rule.and_then(|rule| rule.policy.canary.as_ref()) else {
        // The file has none any more.
        running.store.move_gate(broadcast, Gate::Opening, None).await?;
        running.to_guard.notify_one();
        return Ok(None);
    };
    if !broadcast.is_planned {
        return Ok(Some(running.now() + LOOK));
    }
    let Some(since) = broadcast.canary_since else {
        running
            .store
            .let_canary_out(broadcast.row, canary.first, running.now())
            .await?;
        running.to_deliver.notify_one();
        return Ok(Some(ends(canary, running.now())));
    };
    let ends = ends(canary, since);
    if let Some(stop_if) = &canary.stop_if
        && stop(running, broadcast, (stop_if, broadcast.canary_to)).await?
    {
        return Ok(None);
    }
    if running.now() < ends {
        let look = running.now() + LOOK;
        return Ok(Some(if canary.stop_if.is_some() {
            look.min(ends)
        } else {
            ends
        }));
    }
    running.store.move_gate(broadcast, Gate::Opening, None).await?;
    running.to_guard.notify_one();
    Ok(Some(running.now()))
}

fn ends(canary: &Canary, since: DateTime<Utc>) -> DateTime<Utc> {
    let wait = TimeDelta::from_std(canary.wait).unwrap_or(TimeDelta::MAX);
    since.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Pauses a broadcast whose counts say so.
async fn stop(
    running: &Running,
    broadcast: &Broadcast,
    (stop_if, up_to): (&Expression, Option<i64>),
) -> Result<bool, store::Error> {
    let progress = running.store.progress(broadcast.row, up_to).await?;
    let mut scope = running.scope();
    for (name, value) in counts(&progress) {
        scope.insert(name, value);
    }
    let told = match stop_if.evaluate(&scope) {
        Ok(value) if !value.is_truthy() => return Ok(false),
        Ok(_) => "`stop_if` is true".to_owned(),
        // What cannot be judged must not go on.
        Err(error) => format!("`stop_if`: {error}"),
    };
    let Progress {
        delivered,
        rejected,
        expired,
        ..
    } = progress;
    let reason = format!("{told} after {delivered} delivered, {rejected} rejected, {expired} expired");
    if running
        .store
        .move_gate(broadcast, Gate::Paused, Some(reason.clone()))
        .await?
    {
        let mut event = running.event(Kind::Paused);
        event.rule = Some(broadcast.rule.clone());
        event.key = Some(broadcast.id.clone());
        event.reason = Some(reason);
        running.tell(event).await;
        running.to_guard.notify_one();
    }
    Ok(true)
}

/// The names of `stop_if`: fractions of what is settled, and how much that is.
fn counts(progress: &Progress) -> [(&'static str, Value); 5] {
    let settled = progress.delivered + progress.rejected + progress.expired;
    let fraction = |count: u32| {
        let whole = BigDecimal::from(settled.max(1));
        Value::Decimal((BigDecimal::from(count) / whole).round(6))
    };
    [
        ("delivered", fraction(progress.delivered)),
        ("failed", fraction(progress.rejected + progress.expired)),
        ("rejected", fraction(progress.rejected)),
        ("expired", fraction(progress.expired)),
        ("settled", Value::Int(settled.into())),
    ]
}

/// The gate that a new occurrence of a rule stands behind.
pub(crate) fn first_gate(rule: &Rule) -> Gate {
    match (rule.policy.approve, &rule.policy.canary) {
        (true, _) => Gate::Approval,
        (false, Some(_)) => Gate::Canary,
        (false, None) => Gate::Open,
    }
}

/// The gate behind that of the approval.
pub(crate) fn approved_gate(rule: &Rule) -> Gate {
    if rule.policy.canary.is_some() {
        Gate::Canary
    } else {
        Gate::Opening
    }
}
