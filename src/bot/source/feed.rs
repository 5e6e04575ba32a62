//! Feeds: RSS, Atom and JSON Feed, read into entries.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use feed_rs::{
    model,
    parser::{Builder, ParseFeedError},
};
use quick_xml::{Reader, encoding::DecodingReader, events::Event};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Asker, question::Question};
use crate::bot::expression::{Fields, Record, Type, Value};

/// An entry of a feed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// What it is told from others by: its own id, else its link, else a digest of what it says.
    pub(crate) id: String,
    /// When it was published, else when it was changed.
    pub(crate) date: Option<DateTime<Utc>>,
    /// Every member by its name; those it does not have are `none`.
    pub(crate) members: Fields,
}

/// The type of `item`.
pub(crate) fn entry_type() -> Type {
    let text = || Type::Text.optional();
    let record: Record = [
        ("id", Type::Text),
        ("title", text()),
        ("link", text()),
        ("summary", text()),
        ("content", text()),
        ("author", text()),
        ("published", Type::Time.optional()),
        ("updated", Type::Time.optional()),
        ("tags", Type::List(Box::new(Type::Text))),
    ]
    .into_iter()
    .collect();
    Type::Record(record)
}

/// Asks for a feed and reads its entries, in the order of the feed. Errors are sentences for people.
pub(crate) async fn read_feed(url: &Url, asker: Asker<'_>) -> Result<Vec<Entry>, String> {
    let accept = [("accept".to_owned(), ACCEPTED.to_owned())];
    let question = Question {
        url,
        headers: &accept,
        post: None,
        within: super::TIMEOUT,
        most: asker.fresh,
    };
    let body = question.ask(asker).await?;
    let base = url.to_string();
    // A parser is made for moments of one reader: long enough to keep others waiting.
    tokio::task::spawn_blocking(move || parse(&body, &base))
        .await
        .unwrap_or_else(|_| Err("its reader was cut off".to_owned()))
}

/// Reads a feed that was found at `base`.
fn parse(body: &Bytes, base: &str) -> Result<Vec<Entry>, String> {
    if nests_deeper(body, MAX_DEPTH) {
        return Err(format!("its elements nest deeper than {MAX_DEPTH}"));
    }
    let parser = Builder::new()
        .base_uri(Some(base))
        // One without an id gets one from what it says; see `of`.
        .id_generator(|_, _, _| String::new())
        .build();
    let feed = parser
        .parse(body.as_ref())
        .map_err(|error| reason(body, &error))?;
    if feed.entries.len() > MAX_ENTRIES {
        return Err(format!("it has more than {MAX_ENTRIES} entries"));
    }
    Ok(feed.entries.into_iter().map(of).collect())
}

/// Whether XML nests deeper than that. It is looked through as it will be read; where it breaks, reading ends, too.
fn nests_deeper(body: &Bytes, most: usize) -> bool {
    let mut reader = Reader::from_reader(DecodingReader::new(body.as_ref()));
    let (mut buffer, mut depth) = (Vec::new(), 0_usize);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(_)) if depth == most => return true,
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// Why it cannot be read.
fn reason(body: &Bytes, error: &ParseFeedError) -> String {
    let start: String = String::from_utf8_lossy(body.get(..SNIFFED.min(body.len())).unwrap_or_default())
        .trim_start()
        .to_ascii_lowercase();
    let found = match error {
        ParseFeedError::ParseError(_)
            if start.starts_with("<!doctype html") || start.starts_with("<html") =>
        {
            "a web page".to_owned()
        }
        ParseFeedError::ParseError(_) if body.is_empty() => "nothing".to_owned(),
        error => {
            let text = error.to_string().replace(char::is_control, " ");
            text.chars().take(200).collect()
        }
    };
    format!("expected RSS, Atom or JSON Feed, found {found}")
}

fn of(entry: model::Entry) -> Entry {
    let text = |text: Option<model::Text>| text.map(|text| text.content);
    let title = text(entry.title);
    let link = link(&entry.links);
    let content = entry.content.and_then(|content| content.body);
    let summary = text(entry.summary);
    let author = entry.authors.into_iter().find_map(|person| person.name);
    let id = if entry.id.trim().is_empty() {
        match &link {
            Some(link) => link.clone(),
            None => digest(&[&title, &summary, &content]),
        }
    } else {
        entry.id.trim().to_owned()
    };
    let optional = |text: Option<String>| text.map(bounded).map_or(Value::None, Value::text);
    let time = |time: Option<DateTime<Utc>>| time.map_or(Value::None, Value::Time);
    let tags = entry.categories.into_iter().take(MAX_TAGS);
    let tags = tags.map(|tag| Value::text(bounded(tag.label.unwrap_or(tag.term))));
    let id = bounded_id(id);
    let members = [
        ("id", Value::text(id.as_str())),
        ("title", optional(title)),
        ("link", optional(link)),
        ("summary", optional(summary)),
        ("content", optional(content)),
        ("author", optional(author)),
        ("published", time(entry.published)),
        ("updated", time(entry.updated)),
        ("tags", Value::list(tags)),
    ];
    Entry {
        id,
        date: entry.published.or(entry.updated),
        members: members.into_iter().collect(),
    }
}

/// Where the entry can be read: its page before its other links.
fn link(links: &[model::Link]) -> Option<String> {
    let is_page = |link: &&model::Link| matches!(link.rel.as_deref(), None | Some("alternate"));
    let link = links.iter().find(is_page).or_else(|| links.first())?;
    (!link.href.trim().is_empty()).then(|| link.href.trim().to_owned())
}

fn digest(parts: &[&Option<String>]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_deref().unwrap_or_default());
        digest.update([0]);
    }
    const_hex::encode(digest.finalize())
}

/// A text that is cut where it is longer than a bot reads.
fn bounded(mut text: String) -> String {
    let mut end = MAX_TEXT;
    if text.len() > end {
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// An id as it is; a very long one by its digest.
fn bounded_id(id: String) -> String {
    if id.len() > MAX_ID {
        return digest(&[&Some(id)]);
    }
    id
}

/// What a feed may be.
const ACCEPTED: &str = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, application/json;q=0.9, text/xml;q=0.9, */*;q=0.5";
/// The most entries of a feed. Ours: the longest archives have a few thousand.
const MAX_ENTRIES: usize = 10_000;
const MAX_TAGS: usize = 100;
/// How deep elements may nest. Ours: articles in XHTML come to some thirty.
const MAX_DEPTH: usize = 256;
/// The longest text of an entry, in bytes: what a template can go through.
const MAX_TEXT: usize = 96 * 1024;
const MAX_ID: usize = 1_024;
/// Bytes by which a web page is told.
const SNIFFED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Entry>, String> {
        parse(
            &Bytes::copy_from_slice(text.as_bytes()),
            "https://blog.example/feed",
        )
    }

    fn member<'e>(entry: &'e Entry, name: &str) -> &'e Value {
        entry.members.get(name).unwrap()
    }

    #[test]
    fn three_formats_give_the_same_entry() {
        let rss = r#"<rss version="2.0"><channel><title>Blog</title><link>https://blog.example</link><item>
            <guid isPermaLink="false">p1</guid><title>One &amp; all</title><link>https://blog.example/1</link>
            <description>&lt;p&gt;Hi&lt;/p&gt;</description><category>news</category><author>Ana</author>
            <pubDate>Fri, 20 Nov 2026 09:00:00 GMT</pubDate></item></channel></rss>"#;
        let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>Blog</title><updated>2026-11-20T09:00:00Z</updated>
            <entry><id>p1</id><title>One &amp; all</title><link href="https://blog.example/1"/><summary type="html">&lt;p&gt;Hi&lt;/p&gt;</summary>
            <category term="news"/><author><name>Ana</name></author><published>2026-11-20T09:00:00Z</published></entry></feed>"#;
        let json = r#"{"version":"https://jsonfeed.org/version/1.1","title":"Blog","items":[{"id":"p1","title":"One & all",
            "url":"https://blog.example/1","summary":"<p>Hi</p>","content_text":"","tags":["news"],"authors":[{"name":"Ana"}],
            "date_published":"2026-11-20T09:00:00Z"}]}"#;
        for text in [rss, atom, json] {
            let entries = read(text).unwrap();
            assert_eq!(entries.len(), 1, "{text}");
            let entry = &entries[0];
            assert_eq!(entry.id, "p1");
            assert_eq!(entry.date.unwrap().to_rfc3339(), "2026-11-20T09:00:00+00:00");
            assert_eq!(member(entry, "title"), &Value::text("One & all"));
            assert_eq!(member(entry, "link"), &Value::text("https://blog.example/1"));
            assert_eq!(member(entry, "summary"), &Value::text("<p>Hi</p>"));
            assert_eq!(member(entry, "tags"), &Value::list([Value::text("news")]));
            assert_eq!(member(entry, "author"), &Value::text("Ana"), "{text}");
        }
    }

    #[test]
    fn an_entry_without_an_id_is_its_link_or_else_what_it_says() {
        let feed =
            |items: &str| format!(r#"<rss version="2.0"><channel><title>B</title>{items}</channel></rss>"#);
        let of = |items: &str| {
            read(&feed(items))
                .unwrap()
                .into_iter()
                .map(|entry| entry.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of("<item><title>A</title><link>https://blog.example/a</link></item>"),
            ["https://blog.example/a"]
        );
        let twice = [
            of("<item><title>A</title></item>"),
            of("<item><title>A</title></item>"),
        ];
        assert_eq!(twice[0], twice[1], "the same at every reading");
        assert_ne!(twice[0], of("<item><title>B</title></item>"));
    }

    #[test]
    fn what_is_no_feed_is_told_for_what_it_is() {
        for (text, found) in [
            ("<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
            ("", "nothing"),
            ("{\"error\": \"no\"}", "found"),
            ("<rss version=\"2.0\"><channel><item>", "found"),
            ("plain", "found"),
        ] {
            match read(text) {
                Err(reason) => {
                    assert!(
                        reason.starts_with("expected RSS, Atom or JSON Feed, "),
                        "{reason}"
                    );
                    assert!(reason.contains(found), "{reason}");
                }
                Ok(entries) => assert!(entries.is_empty(), "{text}"),
            }
        }
    }

    #[test]
    fn hostile_feeds_end_soon_and_long_texts_are_cut() {
        let nested = "<a>".repeat(100_000);
        let bomb = r#"<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><rss version="2.0"><channel><item><title>&lol2;</title></item></channel></rss>"#;
        let deep = format!(
            r#"<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>a</id><content type="xhtml">{nested}"#
        );
        let media = format!(
            r#"<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><item>{}"#,
            "<media:group>".repeat(100_000)
        );
        let closed = format!(
            r#"<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><item>{}{}</item></channel></rss>"#,
            "<media:group>".repeat(MAX_DEPTH - 3),
            "</media:group>".repeat(MAX_DEPTH - 3)
        );
        assert!(read(&closed).is_ok(), "as deep as may be");
        let title = read(bomb).map(|entries| member(&entries[0], "title").to_text());
        assert!(
            !title.unwrap_or_default().contains("lollol"),
            "entities of its own are not expanded"
        );
        for text in [nested.as_str(), &deep, &media] {
            let began = std::time::Instant::now();
            assert!(read(text).is_err());
            assert!(began.elapsed().as_secs() < 10);
        }
        let long = "ä".repeat(MAX_TEXT);
        let text = format!(
            r#"<rss version="2.0"><channel><item><guid>{long}</guid><title>{long}</title></item></channel></rss>"#
        );
        let entries = read(&text).unwrap();
        assert_eq!(entries[0].id.len(), 64);
        let Value::Text(title) = member(&entries[0], "title") else {
            panic!()
        };
        assert!(title.len() <= MAX_TEXT);
    }
}
