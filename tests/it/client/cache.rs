//! The cache file: it spares the network, holds several wallets, survives every death of its program, and when it is damaged
//! that is said or mended, never hidden.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use herald::client::{Cache, Client, InvitationContext, NodeAddress, TimestampNs};
use herald_protocol::{proto::api::Envelope, topic::Topic};
use rusqlite::{Connection, OpenFlags};

use crate::harness::{
    house::Node,
    people::{address, key, person, wallet},
    program::{DEADLINE, herald},
    scripted::{Call, Scripted},
};

async fn client(name: &str, node: NodeAddress, file: &Path) -> Client {
    let builder = Client::builder(wallet(name), node).cache(Cache::open(file).unwrap());
    builder.connect().await.unwrap()
}

fn peers(client: &Client) -> BTreeSet<String> {
    let conversations = client.conversations();
    conversations
        .iter()
        .map(|conversation| conversation.peer().to_string())
        .collect()
}

fn people<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(|name| address(name).to_string()).into()
}

/// Where the reading of the own lists began.
fn lists_start(node: &Scripted, name: &str) -> Vec<TimestampNs> {
    let own = Topic::invite(address(name)).to_string();
    let calls = node.calls().into_iter();
    calls
        .filter_map(|made| match made.call {
            Call::Query(query) if query.content_topics.contains(&own) => {
                Some(TimestampNs::from_ns(query.start_time_ns))
            }
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn several_wallets_share_a_file_and_none_sees_anothers() {
    let node = Scripted::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.db");
    let [carol, dave] = ["carol", "dave"].map(|name| person(name, node.address()));
    let (carol, dave) = (carol.await, dave.await);
    for name in ["alice", "bob"] {
        let client = client(name, node.address(), &file).await;
        carol.say(client.address(), "hello").await;
        if name == "alice" {
            dave.say(client.address(), "hello").await;
            client.deny(&[dave.address()]).await.unwrap();
        }
        client.sync_conversations().await.unwrap();
    }
    // What is not on the network any more is known from the file.
    let mut preferences = String::new();
    for made in node.calls() {
        if let Call::Publish { envelopes, .. } = made.call {
            let of_log = envelopes
                .into_iter()
                .find(|envelope| envelope.content_topic.contains("userpreferences"));
            preferences = of_log.map_or(preferences, |envelope| envelope.content_topic);
        }
    }
    node.forget(&preferences);
    for name in ["alice", "bob"] {
        node.forget(Topic::invite(address(name)).as_str());
    }
    let shared = Cache::open(&file).unwrap();
    let at_once = async |name: &str| {
        let builder = Client::builder(wallet(name), node.address()).cache(shared.clone());
        builder.connect().await.unwrap()
    };
    let (alice, bob) = tokio::join!(at_once("alice"), at_once("bob"));
    assert_eq!(peers(&alice), people(["carol", "dave"]));
    assert_eq!(peers(&bob), people(["carol"]));
    assert!(alice.consent_list().entries().count() == 1 && bob.consent_list().entries().count() == 0);
    let [start] = lists_start(&node, "alice").try_into().unwrap();
    assert!(
        start > TimestampNs::from_ns(0),
        "the lists are read on from where they were read"
    );
    // On another network the same wallets know nobody.
    let builder = Client::builder(wallet("alice"), node.address());
    let elsewhere = builder
        .cache(shared.clone())
        .network("another")
        .connect()
        .await
        .unwrap();
    assert_eq!(elsewhere.conversation_count(), 0);
}

/// More than six pages of a list.
const CONVERSATIONS: usize = 620;
const KILLS: usize = 5;

async fn opens_many(node: &Node) {
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let mut envelopes: Vec<Envelope> = Vec::new();
    for number in 0..CONVERSATIONS {
        let context = InvitationContext::new(number.to_string());
        let conversation = bob
            .client()
            .conversation_about(alice.address(), context)
            .await
            .unwrap();
        envelopes.extend_from_slice(conversation.draft("hello").seal().await.unwrap().envelopes());
    }
    for part in envelopes.chunks(90) {
        bob.client().publish(part.to_vec()).await.unwrap();
    }
}

/// How many conversations are in the file.
fn rows(file: &Path) -> usize {
    let open = || {
        let file = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        file.query_row("SELECT count(*) FROM conversation", [], |row| {
            row.get::<_, u32>(0)
        })
    };
    open().unwrap_or(0) as usize
}

#[tokio::test]
async fn a_file_whose_program_was_killed_amid_a_sync_opens_and_becomes_complete() {
    let node = Node::start().await;
    opens_many(&node).await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = data.join("client.db");
    let url = node.address().to_string();
    let arguments = ["inbox", "--key", "env:ALICE", "--node", &url];
    let mut amid = 0;
    for kill in 0..KILLS {
        let known = rows(&file);
        let mut command = herald(folder.path(), arguments, &[("ALICE".to_owned(), key("alice"))]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while rows(&file) <= known && child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < DEADLINE, "a page is kept in time");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let kept = rows(&file);
        assert!(kept >= known, "{kill}: {kept} of {known}");
        amid += usize::from(kept < CONVERSATIONS);
        let check = Connection::open(&file).unwrap();
        let check: String = check
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
    }
    assert!(amid > 0, "no kill was amid the sync");
    let alice = client("alice", node.address(), &file).await;
    let ids: BTreeSet<usize> = alice
        .conversations()
        .iter()
        .map(|conversation| conversation.conversation_id().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ids, (0..CONVERSATIONS).collect());
    assert_eq!(rows(&file), CONVERSATIONS);
    for conversation in alice.conversations().iter().step_by(100) {
        assert_eq!(conversation.messages(None).await.unwrap().len(), 1);
    }
}

/// Everything that an error says.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[tokio::test]
async fn a_damaged_file_is_named_with_what_to_do() {
    let node = Scripted::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.db");
    let is_told = |words: String| {
        assert!(words.contains(&file.display().to_string()), "{words}");
        assert!(words.contains("delete the file"), "{words}");
    };
    std::fs::write(&file, vec![0xa5; 20_000]).unwrap();
    is_told(words(&Cache::open(&file).unwrap_err()));
    // The head is a cache's, the pages are not.
    std::fs::remove_file(&file).unwrap();
    client("alice", node.address(), &file).await;
    let mut bytes = std::fs::read(&file).unwrap();
    assert!(bytes.len() > 8_192);
    bytes[4_096..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    is_told(match Cache::open(&file) {
        Err(error) => words(&error),
        Ok(cache) => {
            let builder = Client::builder(wallet("alice"), node.address()).cache(cache);
            words(&builder.connect().await.unwrap_err())
        }
    });
    // A herald to come has made it.
    std::fs::remove_file(&file).unwrap();
    client("alice", node.address(), &file).await;
    let later = Connection::open(&file).unwrap();
    let row = "INSERT INTO refinery_schema_history SELECT 99, 'later', applied_on, checksum FROM refinery_schema_history LIMIT 1";
    later.execute(row, []).unwrap();
    drop(later);
    is_told(words(&Cache::open(&file).unwrap_err()));
    // No file can be there.
    let nowhere = folder.path().join("no folder").join("client.db");
    let told = words(&Cache::open(&nowhere).unwrap_err());
    assert!(told.contains(&nowhere.display().to_string()), "{told}");
}

#[tokio::test]
async fn what_a_damaged_row_has_lost_is_read_from_the_network_again() {
    let node = Scripted::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.db");
    for name in ["carol", "dave", "erin"] {
        client("alice", node.address(), &file).await;
        person(name, node.address())
            .await
            .say(address("alice"), "hello")
            .await;
    }
    let wanted = people(["carol", "dave", "erin"]);
    assert_eq!(peers(&client("alice", node.address(), &file).await), wanted);
    // So long ago that no overlap reaches back to it.
    let changed = Connection::open(&file).unwrap();
    let row = "UPDATE conversation SET sealed = zeroblob(100) WHERE created_ns = (SELECT min(created_ns) FROM conversation)";
    assert_eq!(changed.execute(row, []).unwrap(), 1);
    let read = "UPDATE account SET lists_read_ns = lists_read_ns + 86400000000000";
    changed.execute(read, []).unwrap();
    drop(changed);
    for _ in 0..2 {
        node.calls();
        assert_eq!(peers(&client("alice", node.address(), &file).await), wanted);
    }
    let [start] = lists_start(&node, "alice").try_into().unwrap();
    assert!(start > TimestampNs::from_ns(0), "only once");
    assert_eq!(rows(&file), 3);
}
