//! What a call costs, and whether its caller has that.
//!
//! Publishing is charged to the address and to the wallet, together or not at all; everything else to the address. A refusal
//! costs nothing. A token that was not seen before is verified on a stake: one publish of the address, returned when it is good.

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use herald_protocol::address::Address;
use http::{Extensions, HeaderMap};

use self::buckets::{Account, Buckets, Key, Rate, Refused};
use crate::{
    caller::{Caller, Callers, Source},
    config, metrics,
    places::{Place, Places},
};

mod buckets;

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Envelopes.
    Publish,
    /// Queries, streams, and changes of their topics.
    Other,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Other => "other",
        }
    }
}

/// Why a call was too much.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{cost} exceeds rate limit {} per {per}; try again in {} s", class.name(), whole_seconds(*wait))]
    Rate {
        cost: u32,
        class: Class,
        per: Per,
        wait: Duration,
    },
    #[error("{cost} exceeds rate limit {} per {per}: no request may cost more than {burst}", class.name())]
    Burst {
        cost: u32,
        class: Class,
        per: Per,
        burst: u64,
    },
    #[error("too many streams from one address: at most {most} may be open")]
    Streams { most: usize },
}

impl Refusal {
    /// When the same call may pass, if ever.
    pub(crate) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Rate { wait, .. } => Some(*wait),
            Self::Burst { .. } | Self::Streams { .. } => None,
        }
    }
}

/// Whose limit it is, without saying who that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Address,
    Wallet,
}

impl fmt::Display for Per {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Address => "address",
            Self::Wallet => "wallet",
        })
    }
}

/// Rounded up, as `Retry-After` has it: who waits so long passes.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// The limits of one node, and what every caller has left.
#[derive(Debug)]
pub(crate) struct Limits {
    callers: Arc<Callers>,
    buckets: Buckets,
    streams: Arc<Places>,
    regular: Rates,
    allow_listed: Rates,
    started: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Rates {
    publish: Rate,
    other: Rate,
    wallet_publish: Rate,
}

impl Rates {
    fn new(limits: &config::Limits, publish: u32, other: u32) -> Self {
        Self {
            publish: Rate::new(limits.publish, publish),
            other: Rate::new(limits.other, other),
            wallet_publish: Rate::new(limits.wallet_publish, publish),
        }
    }
}

impl Limits {
    pub(crate) fn new(limits: &config::Limits, callers: Arc<Callers>) -> Self {
        let config::Factors { publish, other } = limits.allow_listed;
        Self {
            callers,
            buckets: Buckets::new(),
            streams: Arc::new(Places::new(limits.streams_per_address)),
            regular: Rates::new(limits, 1, 1),
            allow_listed: Rates::new(limits, publish.get(), other.get()),
            started: Instant::now(),
        }
    }

    pub(super) fn origin(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        self.callers.address(extensions, headers)
    }

    pub(super) fn caller(&self, extensions: &Extensions, headers: &HeaderMap) -> Caller {
        self.callers.caller(extensions, headers)
    }

    /// Takes what it costs to verify a token from the address, before that is done.
    pub(super) fn stake(&self, caller: Caller) -> Result<(), Refusal> {
        let Caller::At(source) = caller else { return Ok(()) };
        let bucket = self.address(source, Class::Publish, false);
        self.charge(Class::Publish, [bucket], STAKE)
    }

    /// The token was good.
    pub(super) fn return_stake(&self, caller: Caller) {
        if let Caller::At(source) = caller {
            let bucket = self.address(source, Class::Publish, false);
            self.buckets.put_back(self.now(), bucket, STAKE);
        }
    }

    pub(super) fn publish(
        &self,
        caller: Caller,
        wallet: &Address,
        allow_listed: bool,
        cost: u32,
    ) -> Result<(), Refusal> {
        let Caller::At(source) = caller else { return Ok(()) };
        let key = Key {
            account: Account::Wallet(*wallet.as_bytes()),
            class: Class::Publish,
            allow_listed,
        };
        let wallet = (key, self.rates(allow_listed).wallet_publish);
        let address = self.address(source, Class::Publish, allow_listed);
        self.charge(Class::Publish, [address, wallet], cost)
    }

    pub(super) fn other(&self, caller: Caller, allow_listed: bool, cost: u32) -> Result<(), Refusal> {
        let Caller::At(source) = caller else { return Ok(()) };
        let bucket = self.address(source, Class::Other, allow_listed);
        self.charge(Class::Other, [bucket], cost)
    }

    /// A live stream's place, which it keeps while it is open.
    pub(super) fn stream(&self, caller: Caller) -> Result<Option<Place>, Refusal> {
        let Caller::At(source) = caller else {
            return Ok(None);
        };
        let place = self.streams.take(source);
        if place.is_none() {
            metrics::stream_refused();
            return Err(Refusal::Streams {
                most: self.streams.most(),
            });
        }
        Ok(place)
    }

    fn charge<const N: usize>(
        &self,
        class: Class,
        buckets: [(Key, Rate); N],
        cost: u32,
    ) -> Result<(), Refusal> {
        let Err(refused) = self.buckets.charge(self.now(), buckets, cost) else {
            return Ok(());
        };
        metrics::rate_limited(class.name());
        Err(match refused {
            Refused::Wait { account, wait } => Refusal::Rate {
                cost,
                class,
                per: per(account),
                wait,
            },
            Refused::Never { account, burst } => Refusal::Burst {
                cost,
                class,
                per: per(account),
                burst,
            },
        })
    }

    fn address(&self, source: Source, class: Class, allow_listed: bool) -> (Key, Rate) {
        let rates = self.rates(allow_listed);
        let rate = match class {
            Class::Publish => rates.publish,
            Class::Other => rates.other,
        };
        let key = Key {
            account: Account::Address(source),
            class,
            allow_listed,
        };
        (key, rate)
    }

    fn rates(&self, allow_listed: bool) -> Rates {
        if allow_listed {
            self.allow_listed
        } else {
            self.regular
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn per(account: Account) -> Per {
    match account {
        Account::Address(_) | Account::OtherAddresses => Per::Address,
        Account::Wallet(_) | Account::OtherWallets => Per::Wallet,
    }
}

/// Publishes of an address that a token costs while it is verified, and for good when it is bad.
const STAKE: u32 = 1;
