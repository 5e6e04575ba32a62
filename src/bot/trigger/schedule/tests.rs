use super::{Error, Schedule};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::str::FromStr as _;

fn schedule(line: &str, zone: &str) -> Schedule {
    Schedule::parse(line, zone.parse().unwrap()).unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The first `count` runs after an instant, printed in the zone of the schedule.
fn runs(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let mut at = instant(after);
    let mut found = Vec::new();
    for _ in 0..count {
        at = schedule.next_after(at).unwrap();
        found.push(
            at.with_timezone(&schedule.zone())
                .format("%m-%d %H:%M%:::z")
                .to_string(),
        );
    }
    found
}

#[test]
fn a_fixed_hour_that_the_clock_skips_runs_at_the_first_instant_after_the_gap() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        runs(&berlin, "2026-03-28T00:00:00Z", 3),
        ["03-28 02:30+01", "03-29 03:00+02", "03-30 02:30+02"]
    );
}

#[test]
fn a_fixed_hour_that_comes_twice_runs_the_first_time_only() {
    let berlin = schedule("30 2 * * *", "Europe/Berlin");
    assert_eq!(
        runs(&berlin, "2026-10-24T12:00:00Z", 2),
        ["10-25 02:30+02", "10-26 02:30+01"]
    );
    // Asked between the two, and within the second.
    assert_eq!(
        berlin.next_after(instant("2026-10-25T00:45:00Z")),
        Some(instant("2026-10-26T01:30:00Z"))
    );
    assert_eq!(
        berlin.next_after(instant("2026-10-25T01:10:00Z")),
        Some(instant("2026-10-26T01:30:00Z"))
    );
}

#[test]
fn wildcard_hours_follow_elapsed_time_across_both_changes() {
    let half_hours = schedule("*/30 * * * *", "Europe/Berlin");
    assert_eq!(
        runs(&half_hours, "2026-03-29T00:15:00Z", 4),
        [
            "03-29 01:30+01",
            "03-29 03:00+02",
            "03-29 03:30+02",
            "03-29 04:00+02"
        ]
    );
    assert_eq!(
        runs(&half_hours, "2026-10-24T23:45:00Z", 6),
        [
            "10-25 02:00+02",
            "10-25 02:30+02",
            "10-25 02:00+01",
            "10-25 02:30+01",
            "10-25 03:00+01",
            "10-25 03:30+01"
        ]
    );
    let every_other_hour = schedule("30 */2 * * *", "Europe/Berlin");
    assert_eq!(
        runs(&every_other_hour, "2026-03-28T23:15:00Z", 2),
        ["03-29 00:30+01", "03-29 04:30+02"]
    );
}

#[test]
fn times_that_fall_on_one_instant_run_once() {
    let berlin = schedule("0,30 2,3 * * *", "Europe/Berlin");
    assert_eq!(
        runs(&berlin, "2026-03-28T12:00:00Z", 3),
        ["03-29 03:00+02", "03-29 03:30+02", "03-30 02:00+02"]
    );
}

#[test]
fn a_day_that_matches_either_day_field_matches() {
    let either = schedule("0 9 13 * fri", "UTC");
    assert_eq!(
        runs(&either, "2026-11-09T12:00:00Z", 3),
        ["11-13 09:00+00", "11-20 09:00+00", "11-27 09:00+00"]
    );
    assert_eq!(
        runs(&either, "2026-12-11T12:00:00Z", 2),
        ["12-13 09:00+00", "12-18 09:00+00"]
    );
    let both = schedule("0 9 */13 * fri", "UTC");
    assert_eq!(
        runs(&both, "2026-11-01T00:00:00Z", 2),
        ["11-27 09:00+00", "01-01 09:00+00"]
    );
}

#[test]
fn a_line_that_never_comes_or_does_not_read_is_refused() {
    let refused = |line| Schedule::parse(line, Tz::UTC).unwrap_err();
    assert_eq!(refused("0 0 30 2 *"), Error::Never);
    assert_eq!(refused("* * * *"), Error::Fields(4));
    assert_eq!(refused("0 * * * * *"), Error::Fields(6));
    assert_eq!(refused("@daily"), Error::Fields(1));
    assert!(Schedule::parse("0 0 29 2 *", Tz::UTC).is_ok());
}

/// Lines for which croner and this module promise the same. Croner takes several fixed hours for an interval, so those
/// stay clear of the hours in which clocks are changed.
fn line() -> impl Strategy<Value = String> {
    let times = prop_oneof![
        (0..60u32, 0..24u32).prop_map(|(minute, hour)| format!("{minute} {hour}")),
        (0..60u32).prop_map(|minute| format!("{minute} *")),
        (1..30u32).prop_map(|step| format!("*/{step} *")),
        (0..60u32, 1..12u32).prop_map(|(minute, step)| format!("{minute} */{step}")),
        (0..30u32, 30..60u32, 6..12u32, 12..23u32).prop_map(|(a, b, c, d)| format!("{a},{b} {c},{d}")),
        (6..12u32, 12..23u32).prop_map(|(from, to)| format!("*/20 {from}-{to}")),
    ];
    let days = prop_oneof![
        3 => Just("* * *".to_owned()),
        1 => (0..8u32).prop_map(|day| format!("* * {day}")),
        1 => Just("* * mon-fri".to_owned()),
        1 => (1..29u32).prop_map(|day| format!("{day} * *")),
        1 => (1..29u32, 0..7u32).prop_map(|(day, weekday)| format!("{day} * {weekday}")),
        1 => (1..13u32).prop_map(|month| format!("1-7 {month} *")),
        1 => Just("31 mar,oct sun".to_owned()),
    ];
    (times, days).prop_map(|(times, days)| format!("{times} {days}"))
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Cairo",
    "America/St_Johns",
    "Pacific/Chatham",
];

/// A runner whose seed is printed, so that a failure can be run again with `HERALD_SEED`.
fn runner(cases: u32) -> TestRunner {
    let seed: u64 = option_env!("HERALD_SEED")
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).unwrap();
            u64::from_le_bytes(bytes)
        });
    println!("seed {seed}; to repeat: HERALD_SEED={seed} cargo test");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[test]
fn runs_are_those_of_another_cron_in_every_zone_and_year() {
    let starts = 1_420_070_400..2_050_000_000i64;
    let law = |(line, zone, start): (String, &str, i64)| {
        let zone: Tz = zone.parse().unwrap();
        let ours = Schedule::parse(&line, zone).unwrap();
        let theirs = croner::Cron::from_str(&line).unwrap();
        // Half of the walks start shortly before a change of the clock.
        let mut at = DateTime::from_timestamp(start, 0).unwrap();
        for _ in 0..24 {
            let expected = theirs
                .find_next_occurrence(&at.with_timezone(&zone), false)
                .unwrap()
                .to_utc();
            let found = ours.next_after(at);
            prop_assert_eq!(found, Some(expected), "`{}` in {} after {}", line, zone, at);
            at = expected;
        }
        Ok(())
    };
    let anywhere = (line(), proptest::sample::select(&ZONES[..]), starts);
    runner(150).run(&anywhere, law).unwrap();
    // Eight years of changes, entered up to a day early.
    let changes: Vec<i64> = (2018..2026)
        .flat_map(|year| {
            ["03-08", "03-28", "04-04", "10-03", "10-29", "11-01"]
                .map(|day| instant(&format!("{year}-{day}T00:00:00Z")).timestamp())
        })
        .collect();
    let near = (proptest::sample::select(changes), 0..4 * 86_400i64).prop_map(|(day, within)| day + within);
    runner(150)
        .run(&(line(), proptest::sample::select(&ZONES[..]), near), law)
        .unwrap();
}

#[test]
fn the_last_run_is_the_one_before_the_next() {
    let law = |(line, zone, start): (String, &str, i64)| {
        let schedule = Schedule::parse(&line, zone.parse().unwrap()).unwrap();
        let at = DateTime::from_timestamp(start, 0).unwrap();
        let last = schedule.last_at_or_before(at).unwrap();
        prop_assert!(last <= at);
        prop_assert!(
            schedule.next_after(last).unwrap() > at,
            "`{}` in {} at {}",
            line,
            zone,
            at
        );
        prop_assert_eq!(schedule.next_after(last - TimeDelta::seconds(1)), Some(last));
        prop_assert_eq!(schedule.last_at_or_before(last), Some(last));
        Ok(())
    };
    let anywhere = (
        line(),
        proptest::sample::select(&ZONES[..]),
        1_420_070_400..2_050_000_000i64,
    );
    runner(100).run(&anywhere, law).unwrap();
}
