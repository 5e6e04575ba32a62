//! What time does in flows: idle ones end, people come to work, and others take over where nobody answered.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::{TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{Answer, Incoming},
    case::again,
    inbox,
    stand::{Post, Stand},
};
use crate::{
    bot::{
        event::Kind,
        outside::Asking,
        running::Running,
        store::{self, OpenFlow},
    },
    fetch::Request,
};

/// Flows that are moved in one transaction.
const CHUNK: u32 = 100;
/// Longer is not slept, as the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);
/// When the store is tried again.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// Posts at once.
const POSTS: usize = 8;
/// Time for an answer to a post.
const WITHIN: Duration = Duration::from_secs(15);

/// Does what is due in flows until shutdown.
pub(crate) async fn keep_time(running: Arc<Running>, shutdown: CancellationToken) {
    if running.bot.flows.is_empty() {
        return;
    }
    loop {
        let wait = match flow_round(&running).await {
            Ok(next) => {
                let wait = next.map(|next| (next - running.now()).to_std().unwrap_or_default());
                wait.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
            }
            Err(error) => {
                let mut event = running.event(Kind::Error);
                event.reason = Some(format!("flows wait: {error}"));
                running.tell(event).await;
                STORE_PAUSE
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = running.to_keep_time.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Does what is due now, and gives the next instant at which something is.
pub(crate) async fn flow_round(running: &Arc<Running>) -> Result<Option<DateTime<Utc>>, store::Error> {
    let bot = &running.bot.name;
    while running
        .store
        .next_flow_due(bot)
        .await?
        .is_some_and(|due| due <= running.now())
    {
        // Who takes over may have a name.
        let moved = Asking::write(running, |transaction, shared| {
            let (mut effects, mut posts) = (Vec::new(), Vec::new());
            for open in store::due_flows(transaction, &shared.bot.name, shared.now(), CHUNK)? {
                let incoming = incoming(shared, &open);
                let mut answer = Answer::new(transaction, shared, &incoming);
                let wallet = open.wallet;
                answer.tick(open)?;
                effects.append(&mut answer.effects);
                if let Some(open) = store::open_flow(transaction, &shared.bot.name, wallet)? {
                    posts.extend(Stand::read(&open.stand).post.map(|post| (open, post)));
                }
            }
            Ok((effects, posts))
        });
        let (effects, posts) = moved.await?;
        inbox::tell(running, effects).await;
        let due = posts.into_iter().filter(|(_, post)| post.due <= running.now());
        stream::iter(due.map(Ok))
            .try_for_each_concurrent(POSTS, |(open, post)| async move {
                let outcome = send(running, &open, &post).await;
                note(running, open, post, outcome).await
            })
            .await?;
    }
    running.store.next_flow_due(bot).await
}

/// What stands in the place of a message.
fn incoming(running: &Running, open: &OpenFlow) -> Incoming {
    let due = open.due.unwrap_or_default().timestamp_millis();
    let id = format!("{}/{}/{}/{due}", running.bot.name, open.wallet, open.flow);
    Incoming {
        id: Sha256::digest(id).into(),
        text: String::new(),
        content_type: String::new(),
        from: open.wallet,
        sent: running.clock.now(),
        conversation: Stand::read(&open.stand).conversation,
    }
}

/// Posts once.
async fn send(running: &Running, open: &OpenFlow, post: &Post) -> Result<(), String> {
    let given = running.answers.post((&open.flow, open.wallet), &post.body);
    let status = if let Some(given) = given {
        given
    } else {
        let body = post.body.clone().into_bytes().into();
        let request = Request::post(&post.url, "application/json", body);
        let request = request
            .map_err(|error| error.to_string())?
            .within(WITHIN)
            .status_only();
        let answer = running.fetch.send(request).await;
        answer.map_err(|error| error.to_string())?.status
    };
    match status {
        200..300 => Ok(()),
        _ => Err(format!("it was answered with {status}, wanted 200 to 299")),
    }
}

/// Notes how a post went: it is tried again until it is taken, or too old.
async fn note(
    running: &Arc<Running>,
    open: OpenFlow,
    post: Post,
    outcome: Result<(), String>,
) -> Result<(), store::Error> {
    let (bot, now) = (running.bot.name.clone(), running.now());
    let left = outcome
        .as_ref()
        .err()
        .filter(|_| now < post.expires)
        .map(|_| Post {
            tries: post.tries + 1,
            due: again(post.tries, now),
            ..post
        });
    let is_given_up = outcome.is_err() && left.is_none();
    if let (Err(reason), true) = (&outcome, is_given_up) {
        let mut event = running.event(Kind::Error);
        event.rule = Some(format!("flow:{}", open.flow));
        event.reason = Some(format!("the escalation could not be told: {reason}"));
        running.tell(event).await;
    }
    let change = running.store.write(move |transaction| {
        // It may have ended meanwhile, or be another.
        let now_open = store::open_flow(transaction, &bot, open.wallet)?;
        let Some(mut current) = now_open.filter(|current| current.number == open.number) else {
            return Ok(());
        };
        let mut stand = Stand::read(&current.stand);
        stand.post = left;
        current.due = stand.due();
        current.stand = stand.write();
        store::keep_flow(transaction, &bot, &current)
    });
    change.await
}
