//! How a whole broadcast would go, wallet by wallet.

use herald_protocol::address::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BrokenShape, Error, OPENING, Rehearsal, asked};
use crate::{
    bot::outbox::{self, Foreseen},
    client::{NodeAddress, Reach},
};

/// How a broadcast would go. `wallets` is the sum of `reachable`, `not_on_network`, `denied`, `skipped` and `rejected`, once
/// `complete`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Why it would write to nobody.
    pub reason: Option<String>,
    /// Whether the rule has fired with this key before, so that nothing would happen.
    pub repeated: bool,
    /// The wallets of its audience.
    pub wallets: u64,
    /// Those that can be written to.
    pub reachable: u64,
    /// Those that have published no contact that can be used.
    pub not_on_network: u64,
    /// Those that denied the bot, left, or did not opt in.
    pub denied: u64,
    /// Those that a condition of the rule leaves out.
    pub skipped: u64,
    /// Those whose message cannot be made.
    pub rejected: u64,
    /// Of the reachable: those with a known conversation, whose messages take one envelope each.
    pub known: u64,
    /// Of the reachable: those whose first message takes three more.
    pub new: u64,
    /// Wallets whose proof of consent is too old for an invitation.
    pub old_proofs: u64,
    /// How many rows of the audience cannot be read.
    pub broken_rows: u64,
    /// The first of them.
    pub broken: Vec<BrokenShape>,
    /// Envelopes in all.
    pub envelopes: u64,
    /// About how long a node with the usual limits takes for them; none where the node does not limit this machine.
    pub seconds: Option<u64>,
    /// Whether every wallet was looked at.
    pub complete: bool,
}

/// Rows that are looked at in one go.
const CHUNK: u32 = 512;
/// What nodes let a wallet publish at once, and then in a minute.
const BURST: u64 = 1_000;
const PER_MINUTE: u64 = 200;

impl Rehearsal {
    /// Looks at every wallet, a part of the audience at a time.
    pub(crate) fn plan(self) -> Planning {
        let plan = Plan {
            reason: self.reason.clone(),
            repeated: self.repeated,
            wallets: self.wallets,
            broken_rows: self.broken_rows,
            broken: self.broken.clone(),
            ..Plan::default()
        };
        Planning {
            rehearsal: self,
            plan,
            last: None,
        }
    }
}

/// A plan under way.
pub(crate) struct Planning {
    rehearsal: Rehearsal,
    plan: Plan,
    /// The last message that was looked at, and its wallet.
    last: Option<(i64, Address)>,
}

impl Planning {
    /// The plan after another part of the audience; none once all of it was told.
    pub(crate) async fn next(&mut self) -> Result<Option<Plan>, Error> {
        if self.plan.complete {
            return Ok(None);
        }
        let running = &self.rehearsal.running;
        let client = running.client.get().ok_or(Error::Offline)?;
        let after = self.last.map_or(0, |(row, _)| row);
        let place = (after, CHUNK);
        let rows = running
            .store
            .rows_of(self.rehearsal.occurrence, None, place)
            .await?;
        self.plan.complete = rows.is_empty();
        let foreseen = outbox::foresee(running, rows).await?;
        let reach = client.reaches(&asked(&foreseen)).await?;
        for (foreseen, reach) in foreseen.iter().zip(reach) {
            let wallet = foreseen.row.wallet;
            let before = self.last.replace((foreseen.row.id, wallet));
            let is_first = before.is_none_or(|(_, before)| before != wallet);
            count(&mut self.plan, is_first, foreseen, reach);
        }
        self.plan.seconds = seconds(client.node(), self.plan.envelopes);
        Ok(Some(self.plan.clone()))
    }
}

/// Counts a message, and with the first of a wallet the wallet.
fn count(plan: &mut Plan, is_first: bool, foreseen: &Foreseen, reach: Reach) {
    let (outcome, ..) = foreseen.outcome();
    let goes = matches!(outcome, "sent" | "held");
    if goes && reach != Reach::Unreachable {
        plan.envelopes += 1;
    }
    if !is_first {
        return;
    }
    match (outcome, reach) {
        ("sent" | "held", Reach::Unreachable) => plan.not_on_network += 1,
        ("sent" | "held", reach) => {
            plan.reachable += 1;
            plan.old_proofs += u64::from(foreseen.has_old_proof && reach == Reach::New);
            match reach {
                Reach::New => {
                    plan.new += 1;
                    plan.envelopes += OPENING;
                }
                _ => plan.known += 1,
            }
        }
        _ if foreseen.is_denied => plan.denied += 1,
        ("skipped", _) => plan.skipped += 1,
        _ => plan.rejected += 1,
    }
}

/// How long a node with the usual limits takes for so many envelopes of one wallet.
fn seconds(node: &NodeAddress, envelopes: u64) -> Option<u64> {
    (!node.is_loopback()).then(|| envelopes.saturating_sub(BURST) * 60 / PER_MINUTE)
}
