//! Cron lines of five fields in a time zone.
//!
//! The `cron` crate finds the matching wall-clock times; this module gives it five-field Vixie lines to read and decides
//! what a wall-clock time means where the clock is changed:
//!
//! * fixed hours (no `*`, no step in the hour field) run once a day: a time that the clock skips runs at the first instant
//!   after the gap, a time that comes twice runs the first time;
//! * hours with `*` or a step follow elapsed time: skipped times do not run, repeated times run twice;
//! * times that fall on one instant run once.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;

use field::Values;
pub use field::{Error, Field};

/// One field of a line.
mod field;

/// A cron line and the zone whose clock it reads.
#[derive(Clone)]
pub struct Schedule {
    line: String,
    zone: Tz,
    /// One schedule, or two when the line restricts both kinds of day: then a day of either kind matches.
    days: Vec<cron::Schedule>,
    has_fixed_hours: bool,
}

/// Longer than any change of a clock that a zone has made.
const LONGEST_CHANGE: TimeDelta = TimeDelta::hours(25);

impl Schedule {
    /// Reads a line of five fields: minute, hour, day of month, month, day of week.
    ///
    /// When both day fields are restricted, a day that matches either one matches (Vixie cron).
    ///
    /// # Errors
    /// A field that does not read, by its name, or a date that never comes.
    pub fn parse(line: &str, zone: Tz) -> Result<Self, Error> {
        let texts: Vec<&str> = line.split_ascii_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] =
            <[&str; 5]>::try_from(texts).map_err(|texts| Error::Fields(texts.len()))?;
        let mut fields = Vec::with_capacity(5);
        for (field, text) in Field::ALL
            .into_iter()
            .zip([minute, hour, day_of_month, month, day_of_week])
        {
            fields.push(Values::parse(field, text)?);
        }
        let quartz: Vec<String> = fields
            .iter()
            .zip(Field::ALL)
            .map(|(values, field)| values.to_quartz(field))
            .collect();
        let [minute, hour, day_of_month, month, day_of_week] = quartz.as_slice() else {
            return Err(Error::Fields(quartz.len()));
        };
        let either_day = !fields.iter().zip(Field::ALL).any(|(values, field)| {
            matches!(field, Field::DayOfMonth | Field::DayOfWeek) && values.starts_with_star
        });
        let mut lines = Vec::new();
        if either_day {
            lines.push(format!("0 {minute} {hour} {day_of_month} {month} *"));
            lines.push(format!("0 {minute} {hour} * {month} {day_of_week}"));
        } else {
            lines.push(format!("0 {minute} {hour} {day_of_month} {month} {day_of_week}"));
        }
        let mut days = Vec::with_capacity(lines.len());
        for line in &lines {
            days.push(cron::Schedule::from_str(line).map_err(|_| Error::Never)?);
        }
        let schedule = Self {
            line: line.to_owned(),
            zone,
            days,
            has_fixed_hours: fields.get(1).is_some_and(|hour| hour.is_fixed),
        };
        match schedule.local_after(DateTime::UNIX_EPOCH.naive_utc()) {
            Some(_) => Ok(schedule),
            None => Err(Error::Never),
        }
    }

    /// The same line by the clock of another zone.
    #[must_use]
    pub fn in_zone(&self, zone: Tz) -> Self {
        Self { zone, ..self.clone() }
    }

    /// The line as it was written.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The zone whose clock the line reads.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// The first instant of the schedule later than `after`; `None` beyond the year 2100.
    pub fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = after.with_timezone(&self.zone).naive_local();
        let ahead = self.first_in(local, NaiveDateTime::MAX, after);
        // Where the clock is about to be set back, times behind `local` come again.
        let again = self
            .set_back_within(after, LONGEST_CHANGE)
            .and_then(|change| self.first_in(local - change - TimeDelta::seconds(1), local, after));
        ahead.into_iter().chain(again).min()
    }

    /// The last instant of the schedule at or before `at`; `None` before 1970.
    pub fn last_at_or_before(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let comes_by = |from| self.next_after(from).filter(|next| *next <= at);
        let mut span = TimeDelta::minutes(1);
        let mut found = loop {
            let from = (at - span).max(DateTime::UNIX_EPOCH);
            match comes_by(from) {
                Some(instant) => break instant,
                None if from == DateTime::UNIX_EPOCH => return None,
                None => span = span * 2,
            }
        };
        // Between `found` and `at` there may be more; halve the distance until the next one is beyond `at`.
        let mut end = at;
        while let Some(next) = comes_by(found) {
            let middle = next + (end - next) / 2;
            if let Some(later) = comes_by(middle) {
                found = later;
            } else {
                found = next;
                end = middle;
            }
        }
        Some(found)
    }

    /// The first instant later than `after` among the wall-clock times later than `from` and up to `to`.
    fn first_in(
        &self,
        from: NaiveDateTime,
        to: NaiveDateTime,
        after: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let mut local = from;
        loop {
            local = self.local_after(local).filter(|next| *next <= to)?;
            if let Some(instant) = self
                .instants_of(local)
                .into_iter()
                .flatten()
                .find(|at| *at > after)
            {
                return Some(instant);
            }
        }
    }

    /// The first wall-clock time later than `from` that matches the line.
    fn local_after(&self, from: NaiveDateTime) -> Option<NaiveDateTime> {
        self.days
            .iter()
            .filter_map(|schedule| schedule.after(&from.and_utc()).next())
            .min()
            .map(|next| next.naive_utc())
    }

    /// When a wall-clock time runs: never, once, or at both of its instants, the earlier first.
    fn instants_of(&self, local: NaiveDateTime) -> [Option<DateTime<Utc>>; 2] {
        if self.has_fixed_hours {
            return [instant_of(self.zone, local), None];
        }
        let instants = self.zone.from_local_datetime(&local).map(|at| at.to_utc());
        [
            instants.earliest(),
            instants
                .latest()
                .filter(|latest| Some(*latest) != instants.earliest()),
        ]
    }

    /// By how much the clock is set back within `span` from an instant, if it is.
    fn set_back_within(&self, from: DateTime<Utc>, span: TimeDelta) -> Option<TimeDelta> {
        let offset = |at: DateTime<Utc>| {
            self.zone
                .offset_from_utc_datetime(&at.naive_utc())
                .fix()
                .local_minus_utc()
        };
        let change = offset(from) - offset(from.checked_add_signed(span)?);
        (change > 0).then(|| TimeDelta::seconds(change.into()))
    }
}

/// The instant of a wall-clock time: the first one if it comes twice, the first after the gap if the clock skips it.
///
/// Clocks have been changed by whole minutes since 1972; an earlier gap may end some seconds late.
pub fn instant_of(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    let mut minute = local;
    while minute.signed_duration_since(local) < LONGEST_CHANGE {
        if let Some(at) = zone.from_local_datetime(&minute).earliest() {
            return Some(at.to_utc());
        }
        minute = minute.checked_add_signed(TimeDelta::minutes(1))?;
    }
    None
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({} {})", self.line, self.zone)
    }
}

#[cfg(test)]
mod tests;
