//! Windows of the day as `quiet` and `hours` write them: `22:00-08:00 recipient`, `mon-fri 09:00-18:00 Europe/Lisbon`.

use std::fmt;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::Tz;

use crate::bot::trigger::schedule::instant_of;

/// Some hours of each of some days. Its end is exclusive; one that ends before it begins ends on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The days it begins on, Monday first.
    days: [bool; 7],
    from: NaiveTime,
    /// None is the end of the day.
    to: Option<NaiveTime>,
    zone: Option<Tz>,
}

/// Why a text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not days, hours and a zone.
    #[error(
        "expected hours like `22:00-08:00 recipient` or `mon-fri 09:00-18:00 Europe/Lisbon`, found `{0}`"
    )]
    Shape(String),
    /// The zone is none.
    #[error("expected `recipient` or a time zone, found `{0}`")]
    Zone(String),
    /// It begins when it ends.
    #[error("`{0}` begins when it ends")]
    Empty(String),
}

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// Windows may follow each other without a gap; nobody waits longer than this for the end.
const LOOK_AHEAD_DAYS: u64 = 9;

impl Window {
    /// Reads `[DAYS] HH:MM-HH:MM [ZONE]`: days like `mon-fri` or `sat,sun`, every day if left out; the zone is `recipient` or
    /// one by name, UTC if left out.
    ///
    /// # Errors
    /// The text is not of that shape, the zone does not exist, or the window is empty.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let shape = || Error::Shape(text.to_owned());
        let mut words = text.split_whitespace().peekable();
        let days = words
            .next_if(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()))
            .map_or(Some([true; 7]), parse_days)
            .ok_or_else(shape)?;
        let (from, to) = words
            .next()
            .and_then(|hours| hours.split_once('-'))
            .ok_or_else(shape)?;
        let from = parse_time(from).ok_or_else(shape)?;
        let to = match to {
            "24:00" => None,
            to => Some(parse_time(to).ok_or_else(shape)?),
        };
        let zone = match words.next() {
            None => Some(Tz::UTC),
            Some("recipient") => None,
            Some(name) => {
                let mut zones = chrono_tz::TZ_VARIANTS.iter();
                let zone = zones.find(|zone| zone.name().eq_ignore_ascii_case(name));
                Some(*zone.ok_or_else(|| Error::Zone(name.to_owned()))?)
            }
        };
        if words.next().is_some() {
            return Err(shape());
        }
        if to == Some(from) {
            return Err(Error::Empty(text.to_owned()));
        }
        Ok(Self { days, from, to, zone })
    }

    /// When the window ends that an instant lies in; nothing when it lies in none. `recipient` is the zone of whom it concerns.
    pub fn ends(&self, now: DateTime<Utc>, recipient: Tz) -> Option<DateTime<Utc>> {
        let mut end = None;
        // Windows without a gap between them are one.
        for (from, to) in self.around(now, recipient) {
            let at = end.unwrap_or(now);
            if from <= at && at < to {
                end = Some(to);
            }
        }
        end
    }

    /// When the next window begins after an instant that lies in none; nothing when it lies in one.
    pub fn begins(&self, now: DateTime<Utc>, recipient: Tz) -> Option<DateTime<Utc>> {
        let mut begins = None;
        for (from, to) in self.around(now, recipient) {
            if from <= now && now < to {
                return None;
            }
            if from > now {
                begins = begins.or(Some(from));
            }
        }
        begins
    }

    /// The windows around an instant in their order, from the one that began the day before.
    fn around(
        &self,
        now: DateTime<Utc>,
        recipient: Tz,
    ) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
        let zone = self.zone.unwrap_or(recipient);
        let today = now.with_timezone(&zone).date_naive();
        let first = today.checked_sub_days(Days::new(1));
        (0..=LOOK_AHEAD_DAYS)
            .filter_map(move |day| first?.checked_add_days(Days::new(day)))
            .filter_map(move |date| self.on(date, zone))
    }

    /// The window that begins on a day, if one does.
    fn on(&self, date: NaiveDate, zone: Tz) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let day = usize::try_from(date.weekday().num_days_from_monday()).ok()?;
        if !*self.days.get(day)? {
            return None;
        }
        let tomorrow = date.checked_add_days(Days::new(1))?;
        let end = match self.to {
            None => tomorrow.and_time(NaiveTime::MIN),
            Some(to) if to <= self.from => tomorrow.and_time(to),
            Some(to) => date.and_time(to),
        };
        let (from, to) = (
            instant_of(zone, date.and_time(self.from))?,
            instant_of(zone, end)?,
        );
        (from < to).then_some((from, to))
    }
}

/// `09:00`.
fn parse_time(text: &str) -> Option<NaiveTime> {
    let shaped = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    NaiveTime::parse_from_str(text, "%H:%M").ok().filter(|_| shaped)
}

/// `mon-fri`, `sat,sun`, `mon,wed-fri`.
fn parse_days(text: &str) -> Option<[bool; 7]> {
    let index = |name: &str| {
        let day = name.parse::<Weekday>().ok().filter(|_| name.len() == 3)?;
        WEEK.iter().position(|other| *other == day)
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        let count = (last + WEEK.len() - first) % WEEK.len();
        for day in first..=first + count {
            *days.get_mut(day % WEEK.len())? = true;
        }
    }
    Some(days)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days.contains(&false) {
            let names = WEEK.iter().zip(self.days).filter(|(_, is_in)| *is_in);
            let names: Vec<String> = names.map(|(day, _)| day.to_string().to_lowercase()).collect();
            write!(f, "{} ", names.join(","))?;
        }
        write!(f, "{}-", self.from.format("%H:%M"))?;
        match self.to {
            Some(to) => write!(f, "{}", to.format("%H:%M"))?,
            None => f.write_str("24:00")?,
        }
        match self.zone {
            Some(zone) => write!(f, " {}", zone.name()),
            None => f.write_str(" recipient"),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use chrono_tz::Tz;

    use super::{Error, Window};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn ends(window: &str, now: &str, zone: Tz) -> Option<String> {
        let ends = Window::parse(window).unwrap().ends(at(now), zone);
        ends.map(|at| at.format("%Y-%m-%dT%H:%MZ").to_string())
    }

    fn begins(window: &str, now: &str, zone: Tz) -> Option<String> {
        let begins = Window::parse(window).unwrap().begins(at(now), zone);
        begins.map(|at| at.format("%Y-%m-%dT%H:%MZ").to_string())
    }

    #[test]
    fn a_night_ends_in_the_morning_of_the_readers_zone() {
        let night = "22:00-08:00 recipient";
        let tokyo = Tz::Asia__Tokyo;
        assert_eq!(
            ends(night, "2026-11-20T14:30:00Z", tokyo).as_deref(),
            Some("2026-11-20T23:00Z")
        );
        // Its first minute is in, its last is out.
        assert_eq!(
            ends(night, "2026-11-20T13:00:00Z", tokyo).as_deref(),
            Some("2026-11-20T23:00Z")
        );
        assert_eq!(ends(night, "2026-11-20T23:00:00Z", tokyo), None);
        assert_eq!(ends(night, "2026-11-20T12:59:59Z", tokyo), None);
    }

    #[test]
    fn office_hours_begin_again_on_the_next_day_that_has_them() {
        let office = "mon-fri 09:00-18:00 Europe/Lisbon";
        // A Friday evening.
        assert_eq!(
            begins(office, "2026-11-20T18:00:00Z", Tz::UTC).as_deref(),
            Some("2026-11-23T09:00Z")
        );
        assert_eq!(begins(office, "2026-11-20T17:59:59Z", Tz::UTC), None);
        assert_eq!(
            begins(office, "2026-11-20T08:59:59Z", Tz::UTC).as_deref(),
            Some("2026-11-20T09:00Z")
        );
        // A week's only hour.
        assert_eq!(
            begins("wed 09:00-10:00", "2026-11-25T10:00:00Z", Tz::UTC).as_deref(),
            Some("2026-12-02T09:00Z")
        );
    }

    #[test]
    fn days_may_wrap_and_windows_without_a_gap_are_one() {
        assert_eq!(
            ends("fri-mon 00:00-24:00", "2026-11-20T12:00:00Z", Tz::UTC).as_deref(),
            Some("2026-11-24T00:00Z")
        );
        assert_eq!(
            ends("sat,sun 12:00-24:00", "2026-11-21T12:00:00Z", Tz::UTC).as_deref(),
            Some("2026-11-22T00:00Z")
        );
        // A window that never ends is waited for no longer than a look ahead.
        assert!(ends("00:00-24:00", "2026-11-20T12:00:00Z", Tz::UTC).is_some());
    }

    #[test]
    fn a_border_that_the_clock_skips_is_the_first_instant_after_it() {
        // In Berlin 02:00 to 03:00 does not exist on 29 March 2026.
        let night = "23:00-02:30 Europe/Berlin";
        assert_eq!(
            ends(night, "2026-03-29T00:30:00Z", Tz::UTC).as_deref(),
            Some("2026-03-29T01:00Z")
        );
    }

    #[test]
    fn what_is_no_window_is_told_apart() {
        for text in [
            "",
            "22:00",
            "22-08",
            "9:00-18:00",
            "mon 22:00",
            "xyz 09:00-18:00",
            "25:00-26:00",
            "09:00-18:00 UTC UTC",
            "24:00-08:00",
        ] {
            assert_eq!(
                Window::parse(text),
                Err(Error::Shape(text.to_owned())),
                "{text:?}"
            );
        }
        assert_eq!(
            Window::parse("09:00-18:00 Lisbon"),
            Err(Error::Zone("Lisbon".to_owned()))
        );
        assert_eq!(
            Window::parse("09:00-09:00"),
            Err(Error::Empty("09:00-09:00".to_owned()))
        );
    }

    #[test]
    fn a_window_prints_what_reads_back_as_itself() {
        for text in [
            "22:00-08:00 recipient",
            "mon,tue,wed,thu,fri 09:00-18:00 Europe/Lisbon",
            "00:00-24:00 UTC",
        ] {
            assert_eq!(Window::parse(text).unwrap().to_string(), text);
        }
    }
}
