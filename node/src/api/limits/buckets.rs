//! Token buckets that refill evenly, in one number each: the time at which the bucket is full again.
//!
//! Spending moves that time ahead; it may lie at most a whole bucket's refill in the future. A bucket that is full again says
//! nothing and can be dropped, so the table is bounded: what finds no room in it shares one bucket with all that do not.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::Class;
use crate::{caller::Source, config};

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) account: Account,
    pub(super) class: Class,
    /// Buckets of allow-listed wallets are apart from everybody else's.
    pub(super) allow_listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Account {
    Address(Source),
    Wallet([u8; 20]),
    /// All addresses that found no room.
    OtherAddresses,
    /// All wallets that found no room.
    OtherWallets,
}

impl Key {
    fn shared(self) -> Self {
        let account = match self.account {
            Account::Address(_) | Account::OtherAddresses => Account::OtherAddresses,
            Account::Wallet(_) | Account::OtherWallets => Account::OtherWallets,
        };
        Self { account, ..self }
    }
}

/// Size and refill of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    burst: u64,
    /// Nanoseconds until one token is back.
    interval: u64,
}

impl Rate {
    pub(super) fn new(rate: config::Rate, factor: u32) -> Self {
        let per_minute = u64::from(rate.per_minute.get()) * u64::from(factor);
        Self {
            burst: u64::from(rate.burst.get()) * u64::from(factor),
            interval: (MINUTE / per_minute).max(1),
        }
    }

    fn capacity(self) -> u64 {
        self.burst.saturating_mul(self.interval)
    }
}

/// Why nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// After this time it would pass, if nobody else spends meanwhile.
    Wait { account: Account, wait: Duration },
    /// A full bucket holds less than that.
    Never { account: Account, burst: u64 },
}

/// The buckets of all callers. Times are nanoseconds on a clock that never goes back.
#[derive(Debug)]
pub(super) struct Buckets {
    hasher: RandomState,
    /// Most buckets in a part.
    room: usize,
    /// One lock: a charge takes from two buckets or from none, in well under a microsecond.
    parts: Mutex<Box<[Part]>>,
}

/// A part of the table, small enough to be swept while others wait.
#[derive(Debug, Default)]
struct Part {
    full_at: HashMap<Key, u64>,
    /// Not swept again before.
    sweep_after: u64,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            room: PART_BUCKETS,
            parts: Mutex::new((0..PARTS).map(|_| Part::default()).collect()),
        }
    }

    /// Takes `cost` tokens out of all of these buckets, or out of none.
    pub(super) fn charge<const N: usize>(
        &self,
        now: u64,
        from: [(Key, Rate); N],
        cost: u32,
    ) -> Result<(), Refused> {
        let cost = u64::from(cost);
        let mut parts = self.lock();
        let mut refused = None;
        let spent = from.map(|(key, rate)| {
            let (part, key) = self.place(&mut parts, key, now);
            let full_at = part.full_at.get(&key).copied().unwrap_or(0).max(now);
            let spent = full_at.saturating_add(cost.saturating_mul(rate.interval));
            let ahead = spent - now;
            if cost > rate.burst {
                refused = Some(Refused::Never {
                    account: key.account,
                    burst: rate.burst,
                });
            } else if ahead > rate.capacity() {
                let wait = Duration::from_nanos(ahead - rate.capacity());
                refused = later(refused, key.account, wait);
            }
            (key, spent)
        });
        if let Some(refused) = refused {
            return Err(refused);
        }
        for (key, spent) in spent {
            self.part(&mut parts, &key).full_at.insert(key, spent);
        }
        Ok(())
    }

    /// Puts `cost` tokens back that were taken and not used.
    pub(super) fn put_back(&self, now: u64, (key, rate): (Key, Rate), cost: u32) {
        let mut parts = self.lock();
        let (part, key) = self.place(&mut parts, key, now);
        if let Some(full_at) = part.full_at.get_mut(&key) {
            *full_at = full_at.saturating_sub(u64::from(cost).saturating_mul(rate.interval));
        }
    }

    /// Where the bucket is or may be made; the shared one where there is no room.
    fn place<'a>(&self, parts: &'a mut [Part], key: Key, now: u64) -> (&'a mut Part, Key) {
        let part = self.part(parts, &key);
        let has_room = part.full_at.contains_key(&key) || part.has_room(self.room, now);
        if has_room {
            (self.part(parts, &key), key)
        } else {
            let key = key.shared();
            (self.part(parts, &key), key)
        }
    }

    fn part<'a>(&self, parts: &'a mut [Part], key: &Key) -> &'a mut Part {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash do")]
        let index = self.hasher.hash_one(key) as usize % PARTS;
        &mut parts[index]
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Part]>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn has_room(&mut self, room: usize, now: u64) -> bool {
        if self.full_at.len() >= room && now >= self.sweep_after {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_after = now.saturating_add(SWEEP_PAUSE);
        }
        self.full_at.len() < room
    }
}

/// The longer of two waits; what never passes stays so.
fn later(refused: Option<Refused>, account: Account, wait: Duration) -> Option<Refused> {
    match refused {
        Some(Refused::Never { .. }) => refused,
        Some(Refused::Wait { wait: other, .. }) if other >= wait => refused,
        _ => Some(Refused::Wait { account, wait }),
    }
}

const MINUTE: u64 = 60_000_000_000;
const PARTS: usize = 64;
/// What a table of 2^14 slots takes before it grows. All parts together: 917,504 buckets of 32 bytes in 35 MiB.
const PART_BUCKETS: usize = 14_336;
/// A tenth of a second. A sweep takes some 50 microseconds.
const SWEEP_PAUSE: u64 = 100_000_000;

#[cfg(test)]
mod tests;
