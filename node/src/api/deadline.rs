//! Until when a caller waits, as the `grpc-timeout` header says on either transport.

use std::{future::Future, time::Duration};

use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::status::Error;

/// The end of a caller's patience, or none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Counts from now.
    ///
    /// # Errors
    /// When the header says no time, or one that has passed already.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(header) = headers.get(TIMEOUT) else {
            return Ok(Self(None));
        };
        let timeout =
            timeout(header.as_bytes()).ok_or_else(|| Error::InvalidTimeout(shown(header.as_bytes())))?;
        if timeout.is_zero() {
            return Err(Error::DeadlineExceeded);
        }
        // A time beyond what the clock can count is none.
        Ok(Self(Instant::now().checked_add(timeout)))
    }

    pub(crate) fn instant(self) -> Option<Instant> {
        self.0
    }

    /// What the work answers, unless time runs out first; the work is then dropped where it stands.
    pub(crate) async fn bound<T, E: From<Error>>(
        self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.0 {
            None => work.await,
            // Asked first: what is always ready would never be timed out.
            Some(end) if end <= Instant::now() => Err(Error::DeadlineExceeded.into()),
            Some(end) => match timeout_at(end, work).await {
                Ok(answer) => answer,
                Err(_elapsed) => Err(Error::DeadlineExceeded.into()),
            },
        }
    }
}

/// A timeout as gRPC writes it: at most eight digits and a unit.
pub(crate) fn timeout(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_hours(count),
        b'M' => Duration::from_mins(count),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect()
}

const TIMEOUT: &str = "grpc-timeout";
const SHOWN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        for (text, expected) in [
            ("5S", Some(Duration::from_secs(5))),
            ("2H", Some(Duration::from_hours(2))),
            ("3M", Some(Duration::from_mins(3))),
            ("99999999m", Some(Duration::from_millis(99_999_999))),
            ("0n", Some(Duration::ZERO)),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("100000000n", None),
            ("5", None),
            ("S", None),
            ("", None),
            ("5s", None),
            ("-5S", None),
            ("5 S", None),
            ("1.5S", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), expected, "{text}");
        }
    }
}
