//! `feed` and `poll`.

use std::time::Duration;

use url::Url;

use super::report::Report;
use super::trigger::SHORTEST;
use super::{Context, scope, source};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{FeedFile, PollFile};
use crate::bot::config::spanned::{OneOrMany, Text};
use crate::bot::dialog::command::is_identifier;
use crate::bot::trigger::{Feed, Poll};

/// How often a feed is read, and a source asked, unless said otherwise.
const FEED: Duration = Duration::from_mins(10);
const POLL: Duration = Duration::from_mins(5);

/// Reads `feed`.
pub(super) fn feed(report: &mut Report<'_>, file: &FeedFile) -> Option<Feed> {
    let url = url(report, &file.feed);
    let every = every(report, file.every.as_ref(), FEED);
    let start = word(report, file.start.as_ref(), ["now", "all"]);
    let newest = match &file.newest {
        Some(text) => count(report, text).map(Some),
        None => Some(None),
    };
    let max_age = match &file.max_age {
        Some(text) => report.duration(text, SHORTEST).map(Some),
        None => Some(None),
    };
    let edits = word(report, file.edits.as_ref(), ["ignore", "send"]);
    Some(Feed {
        url: url?,
        every: every?,
        starts_with_all: start?,
        newest: newest?,
        max_age: max_age?,
        sends_edits: edits?,
    })
}

/// Reads `poll`.
pub(super) fn poll(report: &mut Report<'_>, context: &Context, file: &PollFile) -> Option<Poll> {
    let mut names = scope::everywhere(&context.vars);
    // No occurrence is there yet.
    names.remove("occurrence");
    let source = source::find(report, context, &file.poll, &names);
    let every = every(report, file.every.as_ref(), POLL);
    let start = word(report, file.start.as_ref(), ["baseline", "all"]);
    let texts = file.changed.as_ref().map_or(&[][..], OneOrMany::as_slice);
    let changed: Vec<Option<String>> = texts.iter().map(|text| member(report, text)).collect();
    Some(Poll {
        source: source?,
        every: every?,
        changed: changed.into_iter().collect::<Option<_>>()?,
        starts_with_all: start?,
    })
}

/// `https` or `http`, without a user: what names it would tell the password.
fn url(report: &mut Report<'_>, text: &Text) -> Option<Url> {
    let url = Url::parse(&text.value).ok().filter(|url| {
        matches!(url.scheme(), "https" | "http")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    });
    if url.is_none() {
        let message = "expected a URL like `https://blog.example/rss.xml`";
        report.wrong(text, Code::Url, message, None);
    }
    url
}

fn every(report: &mut Report<'_>, text: Option<&Text>, usual: Duration) -> Option<Duration> {
    text.map_or(Some(usual), |text| report.duration(text, SHORTEST))
}

/// Whether the second of two words is there; the first one if none is.
fn word(report: &mut Report<'_>, text: Option<&Text>, known: [&str; 2]) -> Option<bool> {
    let Some(text) = text else { return Some(false) };
    let found = known.iter().position(|word| *word == text.value);
    if found.is_none() {
        report.word(text, &known);
    }
    found.map(|at| at == 1)
}

fn count(report: &mut Report<'_>, text: &Text) -> Option<usize> {
    let is_number = text.value.bytes().all(|byte| byte.is_ascii_digit());
    let count = text.value.parse().ok().filter(|count| *count > 0 && is_number);
    if count.is_none() {
        let message = format!("expected a number from 1 on, found {}", quote(&text.value));
        report.wrong(text, Code::Type, message, None);
    }
    count
}

/// The name of a member, or of a member of one.
fn member(report: &mut Report<'_>, text: &Text) -> Option<String> {
    let fits = text.value.split('.').all(is_identifier);
    if !fits {
        let message = format!(
            "expected a member of an item like `state` or `space.id`, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Name, message, None);
    }
    fits.then(|| text.value.clone())
}
