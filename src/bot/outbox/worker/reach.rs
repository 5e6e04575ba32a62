//! How wallets are reached: the conversation of each, and rows that wait for a contact.

use chrono::{DateTime, Utc};
use herald_protocol::{consent::ConsentProof, limits};

use super::{Error, Loaded, Worker, looked_at_again};
use crate::{
    bot::{
        config::Unreached,
        store::{Delivery, State},
    },
    client::{self, Asked, Conversation, Disposition, InvitationContext},
};

impl Worker {
    /// What a new conversation says of itself: its id, and the bot's profile.
    fn context(&self, thread: Option<&str>) -> Option<InvitationContext> {
        let context = InvitationContext {
            conversation_id: thread.unwrap_or_default().to_owned(),
            metadata: self.running.bot.profile.metadata(),
        };
        (context != InvitationContext::default()).then_some(context)
    }

    /// Finds how each wallet is reached; one without a contact that can be used waits for it.
    pub(super) async fn reach(
        &self,
        ready: Vec<Loaded>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Loaded, Conversation)>, Error> {
        if ready.is_empty() {
            return Ok(Vec::new());
        }
        // An answer goes where it was asked for, everything else to the conversation of its thread.
        let (mut reached, mut others) = (Vec::new(), Vec::new());
        let (mut held, mut settled) = (Vec::new(), Vec::new());
        for ready in ready {
            let topic = ready.conversation.as_deref();
            let Some(conversation) = topic.and_then(|topic| self.client.conversation(topic)) else {
                others.push(ready);
                continue;
            };
            match conversation.make_ready().await {
                Ok(()) => reached.push((ready, conversation)),
                Err(error) if error.disposition() == Disposition::Reject => {
                    settled.push((ready.row, State::Rejected, Some(error.to_string())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        // A reader's client takes no proof that is too old.
        let now_ms = self.running.clock.now().as_ms();
        let is_fresh = |proof: &ConsentProof| {
            now_ms.saturating_sub(proof.timestamp_ms) <= limits::CONSENT_PROOF_AGE_SECONDS * 1_000
        };
        let asked = others.iter_mut().map(|ready| Asked {
            wallet: ready.row.wallet,
            context: self.context(ready.thread.as_deref()),
            consent_proof: ready.proof.take().filter(is_fresh),
        });
        let peers = self.client.reach_as(asked.collect()).await?;
        for (ready, peer) in others.into_iter().zip(peers) {
            match peer {
                Ok(peer) => reached.push((ready, peer)),
                Err(error) => match awaited(&error) {
                    Some(reason) if self.skips_unreached(&ready.row) => {
                        settled.push((ready.row, State::Skipped, Some(reason)));
                    }
                    Some(reason) => held.push(looked_at_again(ready.row, reason, now)),
                    None => settled.push((ready.row, State::Rejected, Some(error.to_string()))),
                },
            }
        }
        self.hold(held).await?;
        self.settle(settled).await?;
        Ok(reached)
    }

    fn skips_unreached(&self, row: &Delivery) -> bool {
        let rule = self.running.bot.rules.get(&row.rule);
        rule.is_some_and(|rule| rule.policy.unreached == Unreached::Skip)
    }
}

/// Why a wallet cannot be written to before it publishes a contact; nothing for errors that no contact would end.
fn awaited(error: &client::Error) -> Option<String> {
    match error {
        client::Error::NotOnNetwork { .. } => Some("the wallet is not on the network".to_owned()),
        client::Error::Contact { source, .. } => Some(format!(
            "the wallet has published no contact that can be used: {source}"
        )),
        _ => None,
    }
}
