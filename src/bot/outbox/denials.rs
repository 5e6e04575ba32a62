//! Follows the bot's own consent list, which every client of its wallet writes: a wallet that is denied there gets nothing any
//! more, also of what waits for it.

use std::{sync::Arc, time::Duration};

use herald_protocol::consent::{ConsentState, Subject};
use tokio_util::sync::CancellationToken;

use crate::{
    bot::{event::Kind, running::Running, store},
    client::{Client, jittered},
};

const RETRY: Duration = Duration::from_secs(10);

/// Brings the rows of each wallet that is denied before the judge, until shutdown.
pub(crate) async fn follow_denials(running: Arc<Running>, client: Client, shutdown: CancellationToken) {
    let mut changes = client.stream_consent();
    loop {
        let change = tokio::select! {
            () = shutdown.cancelled() => return,
            change = changes.next() => change,
        };
        let failure = match change {
            Ok(change) if change.subject == Subject::Address && change.state == ConsentState::Denied => {
                let Ok(wallet) = change.name.parse() else { continue };
                let (bot, now) = (running.bot.name.clone(), running.now());
                let recalled = running
                    .store
                    .write(move |transaction| store::recall(transaction, &bot, wallet, now))
                    .await;
                running.to_deliver.notify_one();
                recalled.err().map(|error| error.to_string())
            }
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(reason) = failure {
            let mut event = running.event(Kind::Error);
            event.reason = Some(format!("the bot's consent list cannot be followed: {reason}"));
            running.tell(event).await;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(jittered(RETRY)) => {}
            }
        }
    }
}
