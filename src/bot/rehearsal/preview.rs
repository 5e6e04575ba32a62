//! The first messages of a rule, as their wallets would get them.

use herald_protocol::address::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BrokenShape, Error, OPENING, Rehearsal, asked};
use crate::{
    bot::{
        config::PartContent,
        event::print_time,
        outbox::{self, Foreseen},
    },
    client::Reach,
};

/// A message that a wallet would get, or why it would not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewMessage {
    /// The wallet.
    pub wallet: String,
    /// Which of the rule's messages, from 0.
    pub part: usize,
    /// `sent`, `held`, `skipped` or `rejected`.
    pub outcome: String,
    /// Why it is not sent at once.
    pub reason: Option<String>,
    /// Until when it is held.
    pub until: Option<String>,
    /// The key of `send`: `text`, `markdown`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says, or names.
    pub text: Option<String>,
    /// The size of its content, before it is sealed.
    pub bytes: Option<usize>,
    /// The id of its conversation.
    pub thread: Option<String>,
    /// Envelopes that it takes, where the node is reached: 1 in a known conversation.
    pub envelopes: Option<u64>,
}

/// What a rule would do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// Why it would write to nobody.
    pub reason: Option<String>,
    /// Whether it has fired with this key before, so that nothing would happen.
    pub repeated: bool,
    /// The wallets of its audience.
    pub wallets: u64,
    /// Rows of the audience that cannot be read, the first of them.
    pub broken: Vec<BrokenShape>,
    /// The first messages.
    pub messages: Vec<PreviewMessage>,
}

impl Rehearsal {
    /// The first `limit` messages, of one wallet or of all.
    pub(crate) async fn preview(&self, wallet: Option<Address>, limit: u32) -> Result<Preview, Error> {
        let rows = self
            .running
            .store
            .rows_of(self.occurrence, wallet, (0, limit))
            .await?;
        let foreseen = outbox::foresee(&self.running, rows).await?;
        let reach = match self.running.client.get() {
            Some(client) => Some(client.reaches(&asked(&foreseen)).await?),
            None => None,
        };
        let mut messages = Vec::with_capacity(foreseen.len());
        for (at, foreseen) in foreseen.iter().enumerate() {
            let reach = reach.as_ref().and_then(|reach| reach.get(at)).copied();
            messages.push(self.message(foreseen, reach));
        }
        Ok(Preview {
            reason: self.reason.clone(),
            repeated: self.repeated,
            wallets: self.wallets,
            broken: self.broken.clone(),
            messages,
        })
    }

    fn message(&self, foreseen: &Foreseen, reach: Option<Reach>) -> PreviewMessage {
        let number = foreseen.row.part.number();
        let rule = self.running.bot.rules.get(&self.rule);
        let part = rule.and_then(|rule| rule.parts.get(number));
        let (outcome, reason, until) = foreseen.outcome();
        let thread = foreseen.thread().map(str::to_owned);
        let unreached = matches!((outcome, reach), ("sent", Some(Reach::Unreachable)));
        PreviewMessage {
            wallet: foreseen.row.wallet.to_string(),
            part: number,
            outcome: if unreached { "held" } else { outcome }.to_owned(),
            reason: reason.or_else(|| unreached.then(|| "the wallet is not on the network".to_owned())),
            until: until.map(print_time),
            kind: part
                .map(|part| PartContent::key(&part.content))
                .unwrap_or_default()
                .to_owned(),
            text: foreseen.text(),
            bytes: foreseen.bytes(),
            thread,
            envelopes: match reach {
                Some(Reach::New) if number == 0 => Some(1 + OPENING),
                Some(Reach::New | Reach::Known) => Some(1),
                _ => None,
            },
        }
    }
}
