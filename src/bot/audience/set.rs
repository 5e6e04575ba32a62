//! Which wallets a set of branches holds, told from the branches that named each.

use herald_protocol::address::Address;
use sha2::{Digest as _, Sha256};

use super::Audience;
use crate::bot::store::Named;

/// An audience as a set: its branches are bits, its samples are cutoffs of the wallets' ranks.
#[derive(Debug, Clone)]
pub(crate) struct Set<'a> {
    audience: &'a Audience,
    /// What the ranks are drawn from, so that every occurrence has samples of its own.
    seed: &'a str,
    /// The greatest rank of each sample, inner ones first; those that are not there yet take nobody.
    cutoffs: Vec<u64>,
}

/// How far a walk over the audience is.
#[derive(Default)]
struct Position {
    branch: u8,
    sample: usize,
}

impl<'a> Set<'a> {
    /// The set of an audience whose samples are drawn from `seed`, as far as these cutoffs are known.
    pub(crate) fn new(audience: &'a Audience, seed: &'a str, cutoffs: Vec<u64>) -> Self {
        Self {
            audience,
            seed,
            cutoffs,
        }
    }

    pub(crate) fn cutoffs(&self) -> &[u64] {
        &self.cutoffs
    }

    /// Whether the wallet is in it.
    pub(crate) fn holds(&self, named: &Named) -> bool {
        self.walk(self.audience, named, &mut Position::default(), None)
    }

    /// The samples, inner ones first: how many wallets each takes.
    pub(crate) fn samples(&self) -> Vec<u32> {
        fn visit(audience: &Audience, samples: &mut Vec<u32>) {
            match audience {
                Audience::List { .. }
                | Audience::Wallet(_)
                | Audience::Wallets(_)
                | Audience::Csv(_)
                | Audience::Source(_)
                | Audience::Sql(_)
                | Audience::Holders(_) => {}
                Audience::Any(parts) | Audience::All(parts) => {
                    for part in parts {
                        visit(part, samples);
                    }
                }
                Audience::Except { of, without } => {
                    visit(of, samples);
                    visit(without, samples);
                }
                Audience::Sample { of, count } => {
                    visit(of, samples);
                    samples.push(*count);
                }
            }
        }
        let mut samples = Vec::new();
        visit(self.audience, &mut samples);
        samples
    }

    /// The rank of a wallet in the next sample, if it is among those that the sample is drawn from.
    pub(crate) fn rank_in_next(&self, named: &Named) -> Option<u64> {
        let mut drawn = None;
        self.walk(self.audience, named, &mut Position::default(), Some(&mut drawn));
        drawn
    }

    /// Fixes the cutoff of the next sample.
    pub(crate) fn cut(&mut self, cutoff: u64) {
        self.cutoffs.push(cutoff);
    }

    /// Walks the whole audience, so that branches and samples are counted right. `drawn` is the rank in the next sample.
    fn walk(
        &self,
        audience: &Audience,
        named: &Named,
        at: &mut Position,
        mut drawn: Option<&mut Option<u64>>,
    ) -> bool {
        match audience {
            Audience::List { .. }
            | Audience::Wallet(_)
            | Audience::Wallets(_)
            | Audience::Csv(_)
            | Audience::Source(_)
            | Audience::Sql(_)
            | Audience::Holders(_) => {
                let branch = at.branch;
                at.branch = branch.saturating_add(1);
                named.branches.iter().any(|(known, _)| *known == branch)
            }
            Audience::Any(parts) => {
                let mut holds = false;
                for part in parts {
                    holds |= self.walk(part, named, at, drawn.as_deref_mut());
                }
                holds
            }
            Audience::All(parts) => {
                let mut holds = true;
                for part in parts {
                    holds &= self.walk(part, named, at, drawn.as_deref_mut());
                }
                holds
            }
            Audience::Except { of, without } => {
                let holds = self.walk(of, named, at, drawn.as_deref_mut());
                let is_left_out = self.walk(without, named, at, drawn);
                holds && !is_left_out
            }
            Audience::Sample { of, .. } => {
                let holds = self.walk(of, named, at, drawn.as_deref_mut());
                let sample = at.sample;
                at.sample += 1;
                if !holds {
                    return false;
                }
                let rank = self.rank(sample, named.wallet);
                if sample == self.cutoffs.len()
                    && let Some(drawn) = drawn
                {
                    *drawn = Some(rank);
                }
                self.cutoffs.get(sample).is_some_and(|cutoff| rank <= *cutoff)
            }
        }
    }

    /// A number that looks drawn by lot and is the same every time.
    fn rank(&self, sample: usize, wallet: Address) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.seed)
            .chain_update([0, u8::try_from(sample).unwrap_or(u8::MAX)])
            .chain_update(wallet.as_bytes())
            .finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |rank, byte| (rank << 8) | u64::from(*byte))
    }
}

/// Finds the cutoff of a sample in two passes over the ranks, in memory that does not grow with them.
#[derive(Debug)]
pub(crate) struct Draw {
    /// How many ranks begin with each 16 bits.
    counts: Vec<u32>,
}

impl Draw {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; 1 << 16],
        }
    }

    /// The first pass.
    pub(crate) fn count(&mut self, rank: u64) {
        if let Some(count) = self.counts.get_mut(start(rank)) {
            *count += 1;
        }
    }

    /// Where the sample ends: the start of its last rank, and how many of that start it takes. None when it takes all.
    pub(crate) fn bucket(&self, sample: u32) -> Option<Bucket> {
        let mut left = sample;
        for (start, count) in self.counts.iter().enumerate() {
            if *count >= left {
                return Some(Bucket { start, taken: left });
            }
            left -= count;
        }
        None
    }
}

/// The ranks that a sample takes a part of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    start: usize,
    /// How many of them, at least one.
    taken: u32,
}

impl Bucket {
    /// Whether a rank is one of them.
    pub(crate) fn has(self, rank: u64) -> bool {
        start(rank) == self.start
    }

    /// The greatest rank that the sample takes, from all ranks of the bucket.
    pub(crate) fn cutoff(self, mut ranks: Vec<u64>) -> u64 {
        ranks.sort_unstable();
        let last = usize::try_from(self.taken.saturating_sub(1)).unwrap_or(usize::MAX);
        ranks.get(last).copied().unwrap_or(u64::MAX)
    }
}

/// The first 16 bits of a rank.
fn start(rank: u64) -> usize {
    usize::try_from(rank >> 48).unwrap_or_default()
}

#[cfg(test)]
mod tests;
