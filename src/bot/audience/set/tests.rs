use herald_protocol::address::Address;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{Draw, Set};
use crate::bot::{audience::Audience, store::Named};

fn branch() -> Audience {
    Audience::Wallets(Vec::new())
}

fn except(of: Audience, without: Audience) -> Audience {
    Audience::Except {
        of: Box::new(of),
        without: Box::new(without),
    }
}

fn sample(of: Audience, count: u32) -> Audience {
    Audience::Sample {
        of: Box::new(of),
        count,
    }
}

fn named(wallet: u32, branches: &[u8]) -> Named {
    let digest = Sha256::digest(wallet.to_be_bytes());
    let (bytes, _) = digest.split_first_chunk().unwrap();
    Named {
        wallet: Address::from_bytes(*bytes),
        branches: branches.iter().map(|branch| (*branch, None)).collect(),
    }
}

fn holds(audience: &Audience, branches: &[u8]) -> bool {
    Set::new(audience, "x", Vec::new()).holds(&named(1, branches))
}

#[test]
fn any_all_and_except_nest() {
    // a and (b or c), without d and e at once
    let audience = except(
        Audience::All(vec![branch(), Audience::Any(vec![branch(), branch()])]),
        Audience::All(vec![branch(), branch()]),
    );
    for (branches, wanted) in [
        (&[][..], false),
        (&[0], false),
        (&[1, 2], false),
        (&[0, 1], true),
        (&[0, 2], true),
        (&[0, 1, 2, 3], true),
        (&[0, 2, 3, 4], false),
        (&[3, 4], false),
    ] {
        assert_eq!(holds(&audience, branches), wanted, "{branches:?}");
    }
}

/// Fixes the samples of a set as planning does, and gives who is in it.
fn drawn<'a>(audience: &Audience, seed: &str, people: &'a [Named]) -> Vec<&'a Named> {
    let mut set = Set::new(audience, seed, Vec::new());
    for count in set.samples() {
        let ranks = || people.iter().filter_map(|named| set.rank_in_next(named));
        let mut draw = Draw::new();
        ranks().for_each(|rank| draw.count(rank));
        let cutoff = draw.bucket(count).map_or(u64::MAX, |bucket| {
            bucket.cutoff(ranks().filter(|rank| bucket.has(*rank)).collect())
        });
        set.cut(cutoff);
    }
    people.iter().filter(|named| set.holds(named)).collect()
}

#[test]
fn a_sample_is_of_its_size_the_same_every_time_and_another_for_another_occurrence() {
    let people: Vec<Named> = (0..5_000).map(|number| named(number, &[0])).collect();
    for count in [1, 2, 100, 4_999, 5_000] {
        let audience = sample(branch(), count);
        let first = drawn(&audience, "monday", &people);
        assert_eq!(first.len(), usize::try_from(count).unwrap());
        assert_eq!(first, drawn(&audience, "monday", &people));
        if count < 4_999 {
            assert_ne!(first, drawn(&audience, "tuesday", &people));
        }
    }
    assert_eq!(drawn(&sample(branch(), 9_999), "x", &people).len(), 5_000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Samples inside sets and sets inside samples have their sizes, and take from those that they may take from.
    #[test]
    fn samples_nest(sizes in proptest::collection::vec(0_u8..4, 1..400), inner in 1_u32..50, outer in 1_u32..50) {
        let people: Vec<Named> = (0..).zip(&sizes).map(|(number, kind)| named(number, match kind {
            0 => &[0],
            1 => &[1],
            2 => &[0, 1],
            _ => &[0, 2],
        })).collect();
        // inner of a, or b; without c; outer of that
        let audience = sample(
            except(Audience::Any(vec![sample(branch(), inner), branch()]), branch()),
            outer,
        );
        let held = drawn(&audience, "x", &people);
        prop_assert!(held.len() <= usize::try_from(outer).unwrap());
        let has = |named: &Named, branch: u8| named.branches.iter().any(|(known, _)| *known == branch);
        let all_held = held.iter().all(|named| !has(named, 2));
        prop_assert!(all_held);
        let all = drawn(&sample(except(Audience::Any(vec![sample(branch(), inner), branch()]), branch()), 9_999), "x", &people);
        prop_assert_eq!(held.len(), all.len().min(usize::try_from(outer).unwrap()));
        let by_sample = all.iter().filter(|named| !has(named, 1)).count();
        prop_assert!(by_sample <= usize::try_from(inner).unwrap());
    }
}
