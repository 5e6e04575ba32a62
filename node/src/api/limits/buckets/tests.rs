use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering},
};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn rate(burst: u32, per_minute: u32, factor: u32) -> Rate {
    Rate::new(config::Rate::of(burst, per_minute), factor)
}

fn address(number: u32) -> Key {
    Key {
        account: Account::Address(Source::V4(number.to_be_bytes())),
        class: Class::Publish,
        allow_listed: false,
    }
}

fn wallet(number: u8) -> Key {
    Key {
        account: Account::Wallet([number; 20]),
        ..address(0)
    }
}

/// How many single tokens can be taken at once.
fn spend_all(buckets: &Buckets, now: u64, from: (Key, Rate)) -> usize {
    let mut spent = 0;
    while buckets.charge(now, [from], 1).is_ok() {
        spent += 1;
    }
    spent
}

fn wait_of(refused: Result<(), Refused>) -> Duration {
    match refused {
        Err(Refused::Wait { wait, .. }) => wait,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bucket_of_one_is_empty_after_one() {
    let buckets = Buckets::new();
    let bucket = (address(1), rate(1, 1, 1));
    assert_eq!(buckets.charge(0, [bucket], 1), Ok(()));
    assert_eq!(wait_of(buckets.charge(0, [bucket], 1)), Duration::from_mins(1));
    assert!(
        buckets.charge(0, [(address(2), bucket.1)], 1).is_ok(),
        "others have their own"
    );
    let other = Key {
        class: Class::Other,
        ..bucket.0
    };
    assert!(
        buckets.charge(0, [(other, bucket.1)], 1).is_ok(),
        "classes are apart"
    );
    let allow_listed = Key {
        allow_listed: true,
        ..bucket.0
    };
    assert!(buckets.charge(0, [(allow_listed, bucket.1)], 1).is_ok());
}

#[test]
fn tokens_flow_back_evenly_and_no_further_than_the_brim() {
    let buckets = Buckets::new();
    let bucket = (address(1), rate(10_000, 1, 1));
    assert_eq!(spend_all(&buckets, 0, bucket), 10_000);
    let mut now = 60 * SECOND;
    assert_eq!(spend_all(&buckets, now, bucket), 1);
    // A caller who keeps knocking gets what is due all the same: 200 a minute are one each 300 ms.
    let busy = (address(2), rate(1_000, 200, 1));
    assert_eq!(spend_all(&buckets, now, busy), 1_000);
    let mut passed = 0;
    for _ in 0..600 {
        now += SECOND / 10;
        passed += usize::from(buckets.charge(now, [busy], 1).is_ok());
    }
    assert_eq!(passed, 200);
    let idle = (address(3), rate(10_000, 2_000, 1));
    assert_eq!(spend_all(&buckets, now, idle), 10_000);
    assert_eq!(spend_all(&buckets, now + 500 * 60 * SECOND, idle), 10_000);
}

#[test]
fn allow_listed_wallets_have_a_multiple() {
    let buckets = Buckets::new();
    for (bucket, full, in_five_minutes) in [
        ((address(1), rate(10_000, 2_000, 5)), 50_000, 5 * 2_000 * 5),
        ((address(2), rate(1_000, 200, 25)), 25_000, 5 * 200 * 25),
    ] {
        assert_eq!(spend_all(&buckets, 0, bucket), full);
        assert_eq!(
            spend_all(&buckets, 5 * 60 * SECOND, bucket),
            in_five_minutes.min(full)
        );
    }
}

#[test]
fn time_and_rates_of_any_size_do_not_overflow() {
    let buckets = Buckets::new();
    let bucket = (address(1), rate(10_000, 2_000, 5));
    assert_eq!(spend_all(&buckets, 0, bucket), 50_000);
    assert_eq!(spend_all(&buckets, 1_000_000 * 60 * SECOND, bucket), 50_000);
    let huge = (address(2), rate(u32::MAX, 1, u32::MAX));
    assert_eq!(buckets.charge(u64::MAX - 1, [huge], u32::MAX), Ok(()));
    let slow = (address(3), rate(u32::MAX, 1, 1));
    for now in [0, SECOND, u64::MAX] {
        // Refused or not, it is decided.
        let _ = buckets.charge(now, [slow], u32::MAX);
    }
}

#[test]
fn what_never_passes_is_told_apart_from_what_must_wait() {
    let buckets = Buckets::new();
    let bucket = (address(1), rate(10, 60, 1));
    let never = Refused::Never {
        account: bucket.0.account,
        burst: 10,
    };
    assert_eq!(buckets.charge(0, [bucket], 11), Err(never));
    assert_eq!(buckets.charge(0, [bucket], 10), Ok(()));
    let wait = wait_of(buckets.charge(0, [bucket], 4));
    assert_eq!(wait, Duration::from_secs(4));
}

#[test]
fn two_buckets_are_charged_together_or_not_at_all() {
    let buckets = Buckets::new();
    let (roomy, tight) = ((address(1), rate(10, 60, 1)), (wallet(1), rate(2, 60, 1)));
    assert_eq!(buckets.charge(0, [roomy, tight], 2), Ok(()));
    for _ in 0..20 {
        let refused = buckets.charge(0, [roomy, tight], 1).unwrap_err();
        assert!(
            matches!(
                refused,
                Refused::Wait {
                    account: Account::Wallet(_),
                    ..
                }
            ),
            "{refused:?}"
        );
        assert!(buckets.charge(0, [tight, roomy], 1).is_err());
    }
    assert_eq!(spend_all(&buckets, 0, roomy), 8, "refusals cost nothing");
    // The wait is the longer one.
    let wait = wait_of(buckets.charge(0, [roomy, tight], 2));
    assert_eq!(wait, Duration::from_secs(2));
}

#[test]
fn what_is_put_back_can_be_spent_again_and_no_more_than_that() {
    let buckets = Buckets::new();
    let bucket = (address(1), rate(3, 60, 1));
    buckets.charge(0, [bucket], 2).unwrap();
    buckets.put_back(0, bucket, 2);
    assert_eq!(spend_all(&buckets, 0, bucket), 3);
    buckets.put_back(0, (address(2), bucket.1), 2);
    assert_eq!(spend_all(&buckets, 0, (address(2), bucket.1)), 3);
}

#[test]
fn a_thousand_spend_a_thousand_at_once() {
    let buckets = Buckets::new();
    let bucket = (address(1), rate(1_000, 1, 1));
    let spent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let passed = buckets.charge(0, [bucket], 1).is_ok();
                    spent.fetch_add(passed.into(), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(spent.into_inner(), 1_000);
}

#[test]
fn the_table_is_bounded_and_forgets_buckets_that_are_full_again() {
    assert_eq!(size_of::<(Key, u64)>(), 32, "the memory that is promised");
    let room = 100;
    let buckets = Buckets {
        room,
        ..Buckets::new()
    };
    let held = || -> usize {
        let parts = buckets.lock();
        parts.iter().map(|part| part.full_at.len()).sum()
    };
    let rate = rate(2, 1, 1);
    let many = 20_000;
    for number in 0..many {
        // Those without room share a bucket, and run dry together.
        let _ = buckets.charge(0, [(address(number), rate)], 1);
    }
    // A few shared ones come on top.
    assert!((PARTS * room - 100..PARTS * room + 10).contains(&held()));
    let refused = buckets.charge(0, [(address(u32::MAX), rate)], 1).unwrap_err();
    assert!(matches!(
        refused,
        Refused::Wait {
            account: Account::OtherAddresses,
            ..
        }
    ));
    assert!(
        buckets.charge(0, [(address(1), rate)], 1).is_ok(),
        "who has a bucket keeps it"
    );
    // All are full again, so there is room for others.
    let now = 10 * 60 * SECOND;
    for number in 0..2_000 {
        buckets
            .charge(now, [(address(u32::MAX - number), rate)], 1)
            .unwrap();
    }
    assert!(held() < PARTS * room / 2, "{}", held());
}

/// The obvious bucket: a level that rises with time.
struct Model {
    level: Vec<u64>,
    at: u64,
}

proptest! {
    #[test]
    fn buckets_do_what_the_obvious_ones_do(
        burst in 1_u32..20,
        per_minute in 1_u32..10_000,
        calls in prop::collection::vec((0_u64..30 * SECOND, 0_u32..2, 0_u8..2, 1_u32..12), 1..60),
    ) {
        let buckets = Buckets::new();
        let rate = Rate::new(
            config::Rate {
                burst: NonZeroU32::new(burst).unwrap(),
                per_minute: NonZeroU32::new(per_minute).unwrap(),
            },
            1,
        );
        let capacity = u64::from(burst) * rate.interval;
        // Two addresses, then two wallets.
        let mut model = Model { level: vec![capacity; 4], at: 0 };
        for (pause, caller, signer, cost) in calls {
            let now = model.at + pause;
            for level in &mut model.level {
                *level = (*level + pause).min(capacity);
            }
            model.at = now;
            let needed = u64::from(cost) * rate.interval;
            let used = [caller as usize, 2 + signer as usize];
            let short = used.map(|bucket| needed.saturating_sub(model.level[bucket]));
            let charged = buckets.charge(now, [(address(caller), rate), (wallet(signer), rate)], cost);
            match charged {
                Ok(()) => {
                    prop_assert_eq!(short, [0, 0]);
                    for bucket in used {
                        model.level[bucket] -= needed;
                    }
                }
                Err(Refused::Never { .. }) => prop_assert!(cost > burst),
                Err(Refused::Wait { wait, .. }) => {
                    let longest = short.into_iter().max().unwrap();
                    prop_assert!(longest > 0);
                    prop_assert_eq!(wait, Duration::from_nanos(longest));
                }
            }
        }
    }
}
