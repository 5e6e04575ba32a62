//! Feeds and polls: what is new is told once, whatever is read again, restarts or breaks.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::harness::{
    house::{Herald, House},
    people::{LOOK, Person, person},
    program::DEADLINE,
    site::{Answer, Site, ok},
};

/// A page that changes under its readers.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<(u64, String)>>);

impl Page {
    fn set(&self, text: impl Into<String>) {
        let mut page = self.0.lock().unwrap();
        *page = (page.0 + 1, text.into());
    }

    fn version(&self) -> String {
        format!("\"v{}\"", self.0.lock().unwrap().0)
    }

    /// The page, or a 304 for who has it.
    fn answer(&self, head: &str) -> Answer {
        let version = self.version();
        if head
            .lines()
            .any(|line| line == format!("if-none-match: {version}"))
        {
            return Answer::Whole("304 Not Modified", String::new(), Vec::new());
        }
        let text = self.0.lock().unwrap().1.clone();
        Answer::Whole("200 OK", format!("etag: {version}\r\n"), text.into_bytes())
    }
}

/// An RSS feed of entries: id, title and date.
fn rss(entries: &[(&str, &str, &str)]) -> String {
    let items = entries.iter().map(|(id, title, date)| {
        format!("<item><guid>{id}</guid><title>{title}</title><pubDate>{date}</pubDate><link>https://blog.example/{id}</link></item>")
    });
    let items: Vec<String> = items.collect();
    format!(
        "<rss version=\"2.0\"><channel><title>Blog</title>{}</channel></rss>",
        items.concat()
    )
}

fn house(rest: &str) -> House {
    let house = House::of(&format!(
        "herald: 1\nbot: post\nidentity: env:BOT_KEY\nlists: {{ readers: {{ join: /join }} }}\n{rest}"
    ));
    std::fs::write(
        house.folder().join("herald.yaml"),
        "herald: 1\nfetch: { allow: [127.0.0.1/32] }\nlimits: { recipient: 1000/1d }\n",
    )
    .unwrap();
    house
}

/// Somebody who has joined.
async fn reader(herald: &Herald) -> Person {
    let alice = person("alice", herald.node()).await;
    alice.say(herald.address(), "/join").await;
    herald.event("joined", |_| true).await;
    alice
}

/// Waits until a site was asked so often once more.
async fn asked_again(site: &Site, times: usize) {
    let before = site.asked().len();
    let asked = async {
        while site.asked().len() < before + times {
            tokio::time::sleep(LOOK).await;
        }
    };
    let asked = tokio::time::timeout(DEADLINE, asked).await;
    assert!(asked.is_ok(), "asked {} times only", site.asked().len() - before);
}

const TODAY: &str = "Mon, 30 Nov 2026 00:00:00 GMT";

#[tokio::test]
async fn an_entry_is_told_once_whatever_reappears_and_restarts() {
    let page = Page::default();
    page.set(rss(&[("a", "Old", TODAY)]));
    let shown = page.clone();
    let site = Site::judging(move |_, head| shown.answer(head)).await;
    let house = house(&format!(
        "rules: {{ post: {{ when: {{ feed: \"{}\", every: 1s }}, to: readers, send: \"{{{{ item.title }}}} {{{{ item.link }}}}\" }} }}\n",
        site.url("/rss.xml?key=s3cret")
    ));
    let herald = house.start().await;
    let alice = reader(&herald).await;
    // What stands in it at first is no news, and is not sent again as long as it stands.
    asked_again(&site, 2).await;
    let heads: Vec<String> = site.asked().into_iter().map(|(head, _)| head).collect();
    assert!(
        heads.last().unwrap().contains("if-none-match: \"v1\""),
        "{heads:?}"
    );
    page.set(rss(&[("b", "New &amp; good", TODAY), ("a", "Old", TODAY)]));
    alice
        .reads(herald.address(), &["New & good https://blog.example/b"])
        .await;
    // It goes, and comes back; and something happens while nobody reads.
    page.set(rss(&[]));
    asked_again(&site, 2).await;
    page.set(rss(&[("b", "New &amp; good", TODAY), ("a", "Old", TODAY)]));
    asked_again(&site, 2).await;
    drop(herald);
    page.set(rss(&[
        ("c", "While away", TODAY),
        ("b", "Edited", TODAY),
        ("a", "Old", TODAY),
    ]));
    let herald = house.start().await;
    let all = [
        "New & good https://blog.example/b",
        "While away https://blog.example/c",
    ];
    alice.reads(herald.address(), &all).await;
    asked_again(&site, 2).await;
    assert_eq!(alice.texts_of(herald.address()).await.len(), 2);
    assert_eq!(herald.events("error"), Vec::<Value>::new());
}

#[tokio::test]
async fn an_edit_is_told_where_the_rule_says_so_and_a_flood_is_capped() {
    let page = Page::default();
    page.set(rss(&[("a", "One", TODAY)]));
    let shown = page.clone();
    let site = Site::judging(move |_, head| shown.answer(head)).await;
    let house = house(&format!(
        "rules: {{ post: {{ when: {{ feed: \"{}\", every: 1s, edits: send, newest: 2, max_age: 3650d }}, to: readers, send: \"{{{{ item.title }}}}\" }} }}\n",
        site.url("/rss.xml")
    ));
    let herald = house.start().await;
    let alice = reader(&herald).await;
    asked_again(&site, 1).await;
    page.set(rss(&[("a", "One, mended", TODAY)]));
    alice.reads(herald.address(), &["One, mended"]).await;
    let flood: Vec<(String, String)> = (1..=50)
        .map(|n| (format!("f{n}"), format!("Mon, 30 Nov 2026 00:{n:02}:00 GMT")))
        .collect();
    let mut entries: Vec<_> = flood
        .iter()
        .map(|(id, date)| (id.as_str(), id.as_str(), date.as_str()))
        .collect();
    entries.push(("ancient", "ancient", "Mon, 01 Jan 2001 00:00:00 GMT"));
    page.set(rss(&entries));
    alice
        .reads(herald.address(), &["One, mended", "f49", "f50"])
        .await;
    asked_again(&site, 3).await;
    assert_eq!(alice.texts_of(herald.address()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_feed_is_reported_once_and_its_rule_goes_on_when_it_is_one_again() {
    let page = Page::default();
    page.set(rss(&[("a", "Old", TODAY)]));
    let (shown, kind) = (page.clone(), Arc::new(Mutex::new("good")));
    let now = Arc::clone(&kind);
    let site = Site::judging(move |_, head| match *now.lock().unwrap() {
        "html" => Answer::Whole("200 OK", String::new(), b"<!DOCTYPE html><p>Sign in".to_vec()),
        "large" => Answer::Whole("200 OK", String::new(), vec![b' '; 100 * 1024 * 1024]),
        "endless" => Answer::Endless,
        "inward" => Answer::Whole(
            "302 Found",
            "location: http://169.254.169.254/latest\r\n".to_owned(),
            Vec::new(),
        ),
        "gone" => Answer::Whole("503 Later", String::new(), Vec::new()),
        _ => shown.answer(head),
    })
    .await;
    let house = house(&format!(
        "rules: {{ post: {{ when: {{ feed: \"{}\", every: 1s }}, to: readers, send: \"{{{{ item.title }}}}\" }} }}\n",
        site.url("/rss.xml?key=s3cret")
    ));
    let herald = house.start().await;
    let alice = reader(&herald).await;
    asked_again(&site, 1).await;
    let mut delivered = 0;
    for (wrong, reason) in [
        ("html", "expected RSS, Atom or JSON Feed, found a web page"),
        ("large", "is larger than 5242880 bytes"),
        ("endless", "is larger than 5242880 bytes"),
        ("inward", "is at 169.254.169.254, a link-local address"),
        ("gone", "answered with status 503"),
    ] {
        *kind.lock().unwrap() = wrong;
        let told = herald
            .event("error", |event| {
                event["reason"].as_str().unwrap_or_default().contains(reason)
            })
            .await;
        assert_eq!(told["rule"], "post");
        let told = told["reason"].as_str().unwrap();
        let start = format!("feed {} cannot be read: ", site.url("/rss.xml"));
        assert!(told.starts_with(&start), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
        *kind.lock().unwrap() = "good";
        page.set(rss(&[(wrong, wrong, TODAY)]));
        delivered += 1;
        herald.count("delivered", delivered).await;
    }
    let all = ["html", "large", "endless", "inward", "gone"];
    alice.reads(herald.address(), &all).await;
}

#[tokio::test]
async fn a_change_of_the_fields_that_count_is_told_with_what_was_before_also_after_a_restart() {
    let items: Arc<Mutex<BTreeMap<&str, (&str, i64)>>> = Arc::default();
    items.lock().unwrap().insert("p1", ("open", 0));
    let shown = Arc::clone(&items);
    let site = Site::start(move |_| {
        let items = shown.lock().unwrap();
        let items = items
            .iter()
            .map(|(id, (state, votes))| json!({ "id": id, "state": state, "votes": votes }));
        ok(&json!({ "all": items.collect::<Vec<_>>() }))
    })
    .await;
    let rule = |name: &str| {
        format!(
            "  {name}: {{ when: {{ poll: proposals, every: 1s, changed: [state] }}, to: readers, send: \"{{{{ item.id }}}} {{{{ item.state }}}} was {{{{ previous.state or 'new' }}}}\" }}\n"
        )
    };
    let house = house(&format!(
        "sources: {{ proposals: {{ http: \"{}\", pick: body.all }} }}\nrules:\n{}",
        site.url("/proposals"),
        rule("first")
    ));
    let herald = house.start().await;
    let alice = reader(&herald).await;
    asked_again(&site, 1).await;
    items.lock().unwrap().insert("p1", ("open", 5));
    items.lock().unwrap().insert("p2", ("open", 0));
    alice.reads(herald.address(), &["p2 open was new"]).await;
    drop(herald);
    items.lock().unwrap().insert("p1", ("closed", 5));
    let herald = house.start().await;
    alice
        .reads(herald.address(), &["p2 open was new", "p1 closed was open"])
        .await;
    // And back again: that is a change, too.
    items.lock().unwrap().insert("p1", ("open", 5));
    let all = ["p2 open was new", "p1 closed was open", "p1 open was closed"];
    alice.reads(herald.address(), &all).await;
    asked_again(&site, 2).await;
    assert_eq!(alice.texts_of(herald.address()).await.len(), 3);
}

#[tokio::test]
async fn rules_that_poll_one_source_at_the_same_time_ask_it_once() {
    let site = Site::start(|_| ok(&json!([{ "id": 1 }]))).await;
    let rules: Vec<String> = (0..20)
        .map(|n| format!("  r{n}: {{ when: {{ poll: s, every: 1h }}, to: readers, send: hi }}\n"))
        .collect();
    let house = house(&format!(
        "sources: {{ s: {{ http: \"{}\" }} }}\nrules:\n{}",
        site.url("/"),
        rules.concat()
    ));
    let herald = house.start().await;
    let store = || rusqlite::Connection::open(house.data().join("herald.db")).unwrap();
    let read = async {
        loop {
            let read: i64 = store()
                .query_row(
                    "SELECT count(*) FROM reading WHERE read_ms IS NOT NULL",
                    [],
                    |row| row.get(0),
                )
                .unwrap_or_default();
            if read == 20 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(DEADLINE, read).await.unwrap();
    assert_eq!(site.asked().len(), 1);
    assert_eq!(herald.events("error"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_preview_shows_the_latest_entry_of_a_feed_or_one_by_its_id_and_sends_nothing() {
    let feed = rss(&[
        ("a", "Latest", TODAY),
        ("b", "Older", "Sun, 29 Nov 2026 00:00:00 GMT"),
    ]);
    let site = Site::start(move |path| match path {
        "/empty" => Answer::Whole("200 OK", String::new(), rss(&[]).into_bytes()),
        _ => Answer::Whole("200 OK", String::new(), feed.clone().into_bytes()),
    })
    .await;
    let rule = |name: &str, path: &str| {
        format!(
            "  {name}: {{ when: {{ feed: \"{}\" }}, to: readers, send: \"{{{{ item.title }}}}\" }}\n",
            site.url(path)
        )
    };
    let manual = "  other: { when: { manual: true }, to: readers, send: hi }\n";
    let house = house(&format!(
        "rules:\n{}{}{manual}",
        rule("post", "/rss"),
        rule("none", "/empty")
    ));
    let herald = house.start().await;
    let alice = reader(&herald).await;
    let shown = house
        .run(&["preview", "post/post", "--event", "latest", "--json"])
        .await
        .expect(0)
        .json();
    assert_eq!(shown["messages"][0]["text"], "Latest");
    let wrong = [
        ("post/none", "is empty"),
        (
            "post/other",
            "the rule reads no log, no feed and no poll, of which something could be there already",
        ),
    ];
    let older = ["preview", "post/post", "--event", "entry:b", "--json"];
    let older = house.run(&older).await.expect(0).json();
    assert_eq!(older["messages"][0]["text"], "Older");
    let gone = house.run(&["preview", "post/post", "--event", "entry:c"]).await;
    assert!(gone.talk.contains("has no `c` now"), "{gone:?}");
    for (rule, reason) in wrong {
        let ended = house.run(&["preview", rule, "--event", "latest"]).await;
        assert!(ended.talk.contains(reason), "{ended:?}");
    }
    assert_eq!(alice.texts_of(herald.address()).await, Vec::<String>::new());
}
