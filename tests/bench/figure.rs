//! One figure: what was measured, its floor, and whether it is where it should be.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::Error;

/// A measured value beside its floor.
#[derive(Debug)]
pub(crate) struct Figure {
    unit: &'static str,
    value: f64,
    floor: f64,
    ratio: f64,
    target: Target,
}

/// Where the ratio should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Times the floor's time.
    AtMost(f64),
    /// Times the floor's rate.
    AtLeast(f64),
    /// Anywhere: it is told, and nothing is promised.
    Told,
}

impl Figure {
    /// From one value and one floor a round; the ratio is the median of the rounds' ratios, so it is not exactly
    /// `value` by `floor`, which are medians of their own.
    pub(crate) fn of_rounds(unit: &'static str, rounds: &[Round], target: Target) -> Self {
        Self {
            unit,
            value: median(rounds.iter().map(|round| round.subject)),
            floor: median(rounds.iter().map(|round| round.floor)),
            ratio: median(rounds.iter().map(|round| round.subject / round.floor)),
            target,
        }
    }

    /// None where there is nothing to meet.
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(most) => Some(self.ratio <= most),
            Target::AtLeast(least) => Some(self.ratio >= least),
            Target::Told => None,
        }
    }

    /// Columns for people: name, value, floor, ratio, target, met.
    pub(crate) fn to_line(&self, name: &str) -> String {
        let Self {
            unit,
            value,
            floor,
            ratio,
            ..
        } = self;
        let target = match self.target {
            Target::AtMost(most) => format!("<= {most}"),
            Target::AtLeast(least) => format!(">= {least}"),
            Target::Told => "-".to_owned(),
        };
        let met = match self.is_met() {
            Some(true) => "met",
            Some(false) => "not met",
            None => "-",
        };
        format!("{name:<24}{value:>10.1} {unit:<3}{floor:>12.1} {unit:<3}{ratio:>9.3}   {target:<8}{met}")
    }

    /// One JSON object; value and floor in the unit of the line for people, `target` and `met` null where there is none.
    pub(crate) fn to_json(&self, name: &str) -> String {
        let target = match self.target {
            Target::AtMost(target) | Target::AtLeast(target) => Some(target),
            Target::Told => None,
        };
        let Self {
            value, floor, ratio, ..
        } = self;
        let met = self.is_met();
        json!({ "name": name, "value": value, "floor": floor, "ratio": ratio, "target": target, "met": met })
            .to_string()
    }
}

/// Subject and floor, measured one right after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) subject: f64,
    pub(crate) floor: f64,
}

/// So many rounds of work that says how long it took, taking turns in going first; `value` is what a round is counted in.
pub(crate) fn turns(
    rounds: usize,
    mut subject: impl FnMut(usize) -> Result<Duration, Error>,
    mut floor: impl FnMut(usize) -> Result<Duration, Error>,
    value: impl Fn(Duration) -> f64,
) -> Result<Vec<Round>, Error> {
    let round = |number: usize| {
        let (subject, floor) = if number.is_multiple_of(2) {
            let subject = subject(number)?;
            (subject, floor(number)?)
        } else {
            let floor = floor(number)?;
            (subject(number)?, floor)
        };
        Ok(Round {
            subject: value(subject),
            floor: value(floor),
        })
    };
    (0..rounds).map(round).collect()
}

/// Microseconds of one `subject` and one `floor`, in [`ROUNDS`] rounds of `batch` each, taking turns in going first.
///
/// A batch is best about a millisecond: shorter than a turn of the scheduler, so most rounds run undisturbed.
pub(crate) fn time<S, F>(
    batch: u32,
    mut subject: impl FnMut() -> Result<S, Error>,
    mut floor: impl FnMut() -> Result<F, Error>,
) -> Result<Vec<Round>, Error> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for number in 0..WARM_UP + ROUNDS {
        let round = if number % 2 == 0 {
            let subject = mean(batch, &mut subject)?;
            Round {
                subject,
                floor: mean(batch, &mut floor)?,
            }
        } else {
            let floor = mean(batch, &mut floor)?;
            Round {
                subject: mean(batch, &mut subject)?,
                floor,
            }
        };
        if number >= WARM_UP {
            rounds.push(round);
        }
    }
    Ok(rounds)
}

/// Microseconds of one `work` out of so many.
pub(crate) fn mean<T>(times: u32, work: &mut impl FnMut() -> Result<T, Error>) -> Result<f64, Error> {
    let started = Instant::now();
    for _ in 0..times {
        black_box(work()?);
    }
    Ok(started.elapsed().div_f64(f64::from(times)).as_secs_f64() * 1e6)
}

/// The middle of the values; not a number when there are none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many a second.
pub(crate) fn rate(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}

const ROUNDS: usize = 2_000;
const WARM_UP: usize = 100;
