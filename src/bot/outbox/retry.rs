//! When a row is tried again.

use std::time::Duration;

use crate::{bot::config::Retry, client::jittered};

/// The wait after the `tries`-th try failed: usually 5 s doubling to 10 min, give or take a fifth.
pub(crate) fn wait(tries: u32, retry: Retry) -> Duration {
    jittered(step(tries, retry))
}

fn step(tries: u32, retry: Retry) -> Duration {
    retry
        .from
        .saturating_mul(1 << tries.saturating_sub(1).min(30))
        .min(retry.to)
}

/// The wait before a wallet that is not on the network is looked for again: a tenth of the time it has waited, within bounds,
/// so that a newcomer is reached soon and an absent wallet costs little.
pub(super) fn look_again(waited: Duration) -> Duration {
    jittered((waited / 10).clamp(FIRST_LOOK, LONGEST_LOOK))
}

const FIRST_LOOK: Duration = Duration::from_secs(3);
const LONGEST_LOOK: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_five_seconds_to_ten_minutes() {
        let usual = Retry::default();
        let steps: Vec<u64> = (1..10).map(|tries| step(tries, usual).as_secs()).collect();
        assert_eq!(steps, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(step(u32::MAX, usual), usual.to);
    }

    #[test]
    fn a_wait_stays_within_a_fifth_of_its_step() {
        for tries in 1..8 {
            let usual = Retry::default();
            let (wait, step) = (wait(tries, usual).as_secs_f64(), step(tries, usual).as_secs_f64());
            assert!((0.799..1.201).contains(&(wait / step)), "{wait} for {step}");
        }
    }
}
