//! History: the whole of it once, in both directions, in pages of any size, within inclusive times.

use herald::client::{Conversation, History, InvitationContext, Message, TimestampNs};
use herald_protocol::proto::api::Envelope;

use crate::harness::{
    house::Node,
    people::{Person, address, now, person, text},
};

const MESSAGES: u64 = 350;
/// Three messages have the same time each, so that pages end amid equal times.
const ALIKE: u64 = 3;

/// When a message of the history was sent.
fn sent(begin: TimestampNs, number: u64) -> TimestampNs {
    TimestampNs::from_ns(begin.as_ns() + number / ALIKE * 1_000_000)
}

/// A conversation with a long history, and its texts as they are ordered: by time, then by digest.
async fn long_history(alice: &Person, bob: &Person) -> (Conversation, TimestampNs, Vec<String>) {
    let begin = now();
    let conversation = alice.client().conversation_with(bob.address()).await.unwrap();
    let mut written = Vec::new();
    for number in 0..MESSAGES {
        let draft = conversation
            .draft(number.to_string())
            .sent_at(sent(begin, number));
        let sealed = draft.seal().await.unwrap();
        written.push((
            sent(begin, number),
            sealed.envelope_id(),
            number.to_string(),
            sealed,
        ));
    }
    written[0].3.publish().await.unwrap();
    let envelopes: Vec<Envelope> = written[1..]
        .iter()
        .map(|(.., sealed)| sealed.envelopes().last().unwrap().clone())
        .collect();
    for part in envelopes.chunks(100) {
        alice.client().publish(part.to_vec()).await.unwrap();
    }
    written.sort_by_key(|(sent, id, ..)| (*sent, *id));
    let texts = written.into_iter().map(|(.., text, _)| text).collect();
    (conversation, begin, texts)
}

async fn pages(mut history: History) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    while let Some(page) = history.next_page().await.unwrap() {
        pages.push(page.iter().map(text).collect());
    }
    pages
}

#[tokio::test]
async fn pages_of_any_size_are_the_whole_history_once_in_both_directions() {
    let node = Node::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let (_, _, wanted) = long_history(&alice, &bob).await;
    let mut newest_first = wanted.clone();
    newest_first.reverse();
    // The reader has never seen any of them.
    let conversation = bob.conversations_with(alice.address()).await.remove(0);
    for size in [1, 7, 50, 99, 100, 1_000] {
        let forward = pages(conversation.history().page_size(size)).await;
        let full = (size.min(100)) as usize;
        let (last, others) = forward.split_last().unwrap();
        assert!(
            others.iter().all(|page| page.len() == full) && last.len() <= full,
            "by {size}"
        );
        assert_eq!(forward.concat(), wanted, "by {size}");
        let back = pages(conversation.history().newest_first().page_size(size)).await;
        assert_eq!(back.concat(), newest_first, "back by {size}");
    }
    let all = conversation.messages(None).await.unwrap();
    assert_eq!(all.iter().map(text).collect::<Vec<_>>(), wanted);
    assert!(
        all.iter()
            .all(|message| message.sender == alice.address() && !message.is_own())
    );
}

#[tokio::test]
async fn both_ends_of_a_range_of_times_are_inclusive() {
    let node = Node::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    let (conversation, begin, wanted) = long_history(&alice, &bob).await;
    let numbers = |pages: Vec<Vec<String>>| -> Vec<String> { pages.concat() };
    let between = |from: TimestampNs, to: TimestampNs| -> Vec<String> {
        let is_in = |text: &&String| (from..=to).contains(&sent(begin, text.parse().unwrap()));
        wanted.iter().filter(is_in).cloned().collect()
    };
    let [from, to] = [31, 331].map(|number| sent(begin, number));
    let later = |time: TimestampNs| TimestampNs::from_ns(time.as_ns() + 1);
    let earlier = |time: TimestampNs| TimestampNs::from_ns(time.as_ns() - 1);
    for (from, to) in [
        (from, to),
        (later(from), earlier(to)),
        (from, from),
        (later(from), later(from)),
    ] {
        let history = || conversation.history().since(from).until(to).page_size(40);
        assert_eq!(numbers(pages(history()).await), between(from, to));
        let mut back = numbers(pages(history().newest_first()).await);
        back.reverse();
        assert_eq!(back, between(from, to));
    }
    assert_eq!(between(from, from).len() as u64, ALIKE);
    let since = conversation.messages(Some(to)).await.unwrap();
    assert_eq!(
        since.iter().map(text).collect::<Vec<_>>(),
        between(to, TimestampNs::from_ns(u64::MAX))
    );
}

#[tokio::test]
async fn first_pages_are_each_historys_own_over_many_batches() {
    const CONVERSATIONS: usize = 120;
    let node = Node::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    for number in 0..CONVERSATIONS {
        let context = InvitationContext::new(format!("https://example.org/{number}"));
        let conversation = alice
            .client()
            .conversation_about(bob.address(), context)
            .await
            .unwrap();
        let mut envelopes = Vec::new();
        for word in 0..number % 4 {
            let draft = conversation.draft(format!("{number}.{word}"));
            envelopes.extend(draft.seal().await.unwrap().envelopes().last().cloned());
        }
        // The first message opens the conversation.
        conversation.send(format!("{number}.last")).await.unwrap();
        alice.client().publish(envelopes).await.unwrap();
    }
    let conversations = bob.conversations_with(alice.address()).await;
    assert_eq!(conversations.len(), CONVERSATIONS);
    let number = |conversation: &Conversation| -> usize {
        let id = conversation.conversation_id().unwrap();
        id.rsplit('/').next().unwrap().parse().unwrap()
    };
    let histories: Vec<History> = conversations
        .iter()
        .map(|conversation| conversation.history().newest_first().page_size(2))
        .collect();
    let pages = bob.client().first_pages(&histories).await.unwrap();
    assert_eq!(pages.len(), CONVERSATIONS);
    for (conversation, page) in conversations.iter().zip(&pages) {
        let number = number(conversation);
        let texts: Vec<String> = page.iter().map(text).collect();
        let mut newest = vec![format!("{number}.last")];
        newest.extend((0..number % 4).rev().map(|word| format!("{number}.{word}")));
        newest.truncate(2);
        assert_eq!(texts, newest);
        let is_of = |message: &Message| message.conversation == *conversation;
        assert!(page.iter().all(is_of));
    }
    assert!(bob.client().first_pages(&[]).await.unwrap().is_empty());
    let unopened = alice.client().conversation_with(address("bob")).await.unwrap();
    let empty = alice.client().first_pages(&[unopened.history()]).await.unwrap();
    assert!(empty.len() == 1 && empty[0].is_empty());
}
