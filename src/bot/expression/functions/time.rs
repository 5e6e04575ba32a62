//! Functions of time. `now` is a name in scope, so that an evaluation reads no clock.

use std::fmt::Write;

use chrono::TimeDelta;
use chrono::format::{Item, StrftimeItems};

use super::{Accepts, Argument, Call, Function, Gives, Needs, Refusal};
use crate::bot::expression::{Failure, Type, Value};

pub(super) static FUNCTIONS: [Function; 2] = [
    Function {
        name: "date",
        usage: "x | date(tz)` or `x | date(tz, format)",
        about: "a time in a zone: `20 Nov 2026, 09:00`, or as a strftime format, written out, says",
        accepts: &[Accepts::Moment, Accepts::Zone, Accepts::Format],
        required: 2,
        needs: Needs::Nothing,
        gives: Gives::Try(date_type),
        run: date,
    },
    Function {
        name: "ago",
        usage: "x | ago",
        about: "how long ago or ahead: `3 hours ago`, `in 2 days`",
        accepts: &[Accepts::Moment],
        required: 1,
        needs: Needs::Now,
        gives: Gives::Always(Type::Text),
        run: ago,
    },
];

/// `20 Nov 2026, 09:00`
const USUAL_FORMAT: &str = "%-d %b %Y, %H:%M";

fn date(call: &mut Call<'_>) -> Result<Value, Failure> {
    let time = call.moment(0)?.with_timezone(&call.zone(1)?);
    let format = if call.has(2) {
        call.text(2)?
    } else {
        USUAL_FORMAT.into()
    };
    let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
    call.meter.charge(items.len())?;
    if items.contains(&Item::Error) {
        return Err(super::unreadable(&format, "a date format"));
    }
    call.write(|out| write!(out, "{}", time.format_with_items(items.iter())))
}

fn date_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    if let Some(zone) = arguments.get(1).and_then(Argument::literal_text)
        && Type::Tz.scalar(zone).is_none()
    {
        let message = format!("unknown time zone {}", super::quoted(zone));
        return Err(Refusal {
            argument: 1,
            message,
            hint: nearest_zone(zone),
        });
    }
    if let Some(format) = arguments.get(2).and_then(Argument::literal_text)
        && StrftimeItems::new(format).any(|item| item == Item::Error)
    {
        let hint = Some("write it as strftime does: \"%d.%m.%Y %H:%M\"".to_owned());
        return Err(Refusal {
            argument: 2,
            message: format!("cannot read the format {}", super::quoted(format)),
            hint,
        });
    }
    Ok(Type::Text)
}

fn nearest_zone(zone: &str) -> Option<String> {
    let known = chrono_tz::TZ_VARIANTS.iter().map(|tz| tz.name());
    crate::bot::expression::nearest(zone, known).map(|name| format!("did you mean `{name}`?"))
}

/// Units people say, largest first, in seconds.
const SPOKEN: [(&str, i64); 6] = [
    ("year", 31_536_000),
    ("month", 2_592_000),
    ("week", 604_800),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
];

/// `3 hours ago`, `in 2 days`, `just now` within a minute; the largest unit, not rounded up.
fn ago(call: &mut Call<'_>) -> Result<Value, Failure> {
    let elapsed = call.now()?.signed_duration_since(call.moment(0)?);
    let seconds = elapsed.num_seconds().saturating_abs();
    let Some((unit, length)) = SPOKEN.iter().find(|(_, length)| seconds >= *length) else {
        return call.made("just now");
    };
    let count = seconds / length;
    let plural = if count == 1 { "" } else { "s" };
    let past = elapsed >= TimeDelta::zero();
    call.made(if past {
        format!("{count} {unit}{plural} ago")
    } else {
        format!("in {count} {unit}{plural}")
    })
}
