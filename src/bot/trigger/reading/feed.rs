//! `feed`: entries of RSS, Atom and JSON Feed that were not there before.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::news::{Item, Sorted};
use crate::bot::{
    expression::Value,
    source::{Asker, Entry, read_feed},
};

/// A feed that is read again and again.
#[derive(Debug, Clone)]
pub struct Feed {
    /// Where it is.
    pub url: Url,
    /// How often it is read; at least one second.
    pub every: Duration,
    /// Whether the entries of the first reading are news.
    pub starts_with_all: bool,
    /// At most so many of one reading are news, the latest ones.
    pub newest: Option<usize>,
    /// Entries that are older are no news.
    pub max_age: Option<Duration>,
    /// Whether an entry is news again once its title, summary or link has changed.
    pub sends_edits: bool,
}

impl Feed {
    /// Its place without what may be secret: scheme, host and path.
    pub(super) fn place(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        url.to_string()
    }

    /// All entries. Errors are sentences for people.
    pub(super) async fn items(&self, asker: Asker<'_>) -> Result<Vec<Item>, String> {
        let entries = read_feed(&self.url, asker).await?;
        Ok(entries.into_iter().map(|entry| self.item(entry)).collect())
    }

    /// An entry that is given as a value.
    pub(super) fn item_of(&self, value: &Value) -> Option<Item> {
        let Value::Record(members) = value else {
            return None;
        };
        let date = |name: &str| match members.get(name) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        };
        Some(self.item(Entry {
            id: members.get("id")?.to_text(),
            date: date("published").or_else(|| date("updated")),
            members: members.clone(),
        }))
    }

    fn item(&self, entry: Entry) -> Item {
        let mut version = Sha256::new();
        if self.sends_edits {
            for name in ["title", "summary", "link"] {
                let text = entry.members.get(name).map(Value::to_text).unwrap_or_default();
                version.update(text);
                version.update([0]);
            }
        }
        Item {
            date: entry.date,
            ..Item::new(entry.id, version.finalize().into(), Value::Record(entry.members))
        }
    }

    /// Leaves of what is new the latest, and none that is too old; oldest first. The rest counts as read.
    pub(super) fn pick(&self, mut sorted: Vec<Sorted>, now: DateTime<Utc>) -> Vec<Sorted> {
        // Feeds begin with their latest entry. One of the future is as new as can be, and no newer.
        sorted.reverse();
        sorted.sort_by_key(|sorted| sorted.item.date.unwrap_or(now).min(now));
        let age = self.max_age.and_then(|age| TimeDelta::from_std(age).ok());
        let oldest = age.and_then(|age| now.checked_sub_signed(age));
        let mut room = self.newest.unwrap_or(usize::MAX);
        for sorted in sorted.iter_mut().rev() {
            let is_old = oldest.is_some_and(|oldest| sorted.item.date.is_some_and(|date| date < oldest));
            sorted.is_news = !is_old && room > 0;
            room -= usize::from(sorted.is_news);
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bot::trigger::reading::news;

    fn feed() -> Feed {
        Feed {
            url: "https://blog.example/feed?key=hidden".parse().unwrap(),
            every: Duration::from_mins(10),
            starts_with_all: false,
            newest: Some(2),
            max_age: Some(Duration::from_hours(72)),
            sends_edits: false,
        }
    }

    fn entry(id: &str, date: Option<&str>) -> Value {
        let date = date.map_or(Value::None, |date| Value::Time(date.parse().unwrap()));
        Value::record([("id", Value::text(id)), ("published", date)])
    }

    fn picked(feed: &Feed, entries: &[Value]) -> Vec<(String, bool)> {
        let items = entries.iter().filter_map(|entry| feed.item_of(entry)).collect();
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        let picked = feed.pick(news::sort(items, &[]), now);
        picked
            .into_iter()
            .map(|sorted| (sorted.item.id, sorted.is_news))
            .collect()
    }

    #[test]
    fn the_latest_are_news_oldest_first_and_the_rest_counts_as_read() {
        let entries = [
            entry("future", Some("2027-01-01T00:00:00Z")),
            entry("old", Some("2025-01-01T00:00:00Z")),
            entry("b", Some("2026-11-20T09:00:00Z")),
            entry("a", Some("2026-11-19T09:00:00Z")),
            entry("b", Some("2026-11-20T09:00:00Z")),
        ];
        let expected = [("old", false), ("a", false), ("b", true), ("future", true)];
        let expected: Vec<_> = expected.map(|(id, is_news)| (id.to_owned(), is_news)).into();
        assert_eq!(picked(&feed(), &entries), expected);
    }

    #[test]
    fn without_dates_the_order_of_the_feed_decides() {
        let entries = [entry("3", None), entry("2", None), entry("1", None)];
        let expected = [("1", false), ("2", true), ("3", true)];
        let expected: Vec<_> = expected.map(|(id, is_news)| (id.to_owned(), is_news)).into();
        assert_eq!(picked(&feed(), &entries), expected);
    }

    #[test]
    fn a_feeds_place_holds_no_key() {
        assert_eq!(feed().place(), "https://blog.example/feed");
    }
}
