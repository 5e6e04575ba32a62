//! What strangers get wrong: a typed error says what was found and wanted, it is counted, and the rest of the list or stream is
//! unaffected. The node here delivers everything, also what nodes of ours refuse.

use std::{
    io::Write as _,
    sync::{Arc, LazyLock, Mutex},
};

use flate2::{Compression, write::GzEncoder};
use herald::{
    client::{Address, Client, DroppedKind, Error, MessageStream, TimestampNs},
    content::Content,
};
use herald_protocol::{
    Error as Broken, Reason,
    bundle::PrivateKeyBundle,
    contact::ContactBundle,
    invitation::Invitation,
    limits,
    message_v2::{Conversation, Outgoing},
    proto::{api::Envelope, contents},
    topic::Topic,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use prost::Message as _;
use tokio::time::timeout;

use crate::harness::{
    people::{Person, address, entropy, now, person, text, wallet},
    program::DEADLINE,
    scripted::Scripted,
};

static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());

/// What a client left out, as its observer was told.
#[derive(Clone, Default)]
struct Told {
    dropped: Arc<Mutex<Vec<(DroppedKind, String, Broken)>>>,
}

impl Told {
    /// Everything since the last look, in the order of arrival on one core or several.
    fn take(&self) -> Vec<(DroppedKind, String, Broken)> {
        std::mem::take(&mut self.dropped.lock().unwrap())
    }

    /// Checks that exactly this was told, of this topic, and that it was counted.
    #[track_caller]
    fn is(&self, kind: DroppedKind, topic: &Topic, wanted: &[Broken]) {
        let mut told: Vec<String> = Vec::new();
        for (found, on, error) in self.take() {
            assert_eq!((found, on.as_str()), (kind, topic.as_str()));
            told.push(error.to_string());
            let page = METRICS.render();
            let counter = match kind {
                DroppedKind::Contact => "herald_contacts_dropped_total",
                DroppedKind::Invitation => "herald_invitations_dropped_total",
                _ => "herald_messages_dropped_total",
            };
            let line = format!("{counter}{{reason=\"{}\"}}", error.label());
            assert!(page.contains(&line), "{line} in\n{page}");
        }
        let mut wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        told.sort();
        wanted.sort();
        assert_eq!(told, wanted);
    }
}

/// A client that tells what it leaves out.
async fn watchful(name: &str, node: &Scripted) -> (Client, Told) {
    LazyLock::force(&METRICS);
    let told = Told::default();
    let dropped = Arc::clone(&told.dropped);
    let builder = Client::builder(wallet(name), node.address()).on_dropped(move |what| {
        let what = (what.kind, what.topic.to_owned(), what.error.clone());
        dropped.lock().unwrap().push(what);
    });
    (builder.connect().await.unwrap(), told)
}

fn envelope(topic: &Topic, sent: TimestampNs, message: impl Into<bytes::Bytes>) -> Envelope {
    Envelope {
        content_topic: topic.to_string(),
        timestamp_ns: sent.as_ns(),
        message: message.into(),
    }
}

#[test]
fn an_address_with_a_wrong_checksum_is_told_with_the_right_one() {
    let right = address("alice").to_string();
    let digit = right.chars().find(char::is_ascii_uppercase).unwrap();
    let wrong = right.replacen(digit, &digit.to_lowercase().to_string(), 1);
    let error = wrong.parse::<Address>().unwrap_err().to_string();
    assert!(error.contains(&wrong) && error.contains(&right), "{error}");
    let short = right.trim_start_matches('0');
    let error = short.parse::<Address>().unwrap_err().to_string();
    assert!(error.contains(short), "{error}");
}

#[tokio::test]
async fn a_wallet_without_a_contact_of_its_own_cannot_be_written_to_and_others_can() {
    let node = Scripted::start().await;
    let (alice, told) = watchful("alice", &node).await;
    let bob = person("bob", node.address()).await;
    let mallory = person("mallory", node.address()).await;
    let (nobody, imitated) = (address("nobody"), address("imitated"));
    let mallorys = ContactBundle::V2(mallory.keys().public().bundle().clone()).encode();
    // One in front of nothing, one in front of a genuine contact.
    for wallet in [imitated, bob.address()] {
        node.put(&envelope(&Topic::contact(wallet), now(), mallorys.clone()));
    }
    let other = |wanted| {
        Broken::from(Reason::OtherWallet {
            found: mallory.address(),
            wanted,
        })
    };
    let reached = alice.reach(&[nobody, bob.address(), imitated]).await.unwrap();
    let dropped = told.take();
    assert_eq!(dropped.len(), 2);
    for (kind, topic, error) in dropped {
        assert_eq!(kind, DroppedKind::Contact);
        let wallet = if error == other(imitated) {
            imitated
        } else {
            bob.address()
        };
        assert_eq!(
            (topic, error),
            (Topic::contact(wallet).to_string(), other(wallet))
        );
    }
    let [nobodys, bobs, imitateds] = reached.try_into().unwrap();
    let error = nobodys.unwrap_err();
    assert!(
        matches!(error, Error::NotOnNetwork { wallet } if wallet == nobody),
        "{error}"
    );
    assert!(error.to_string().contains(&nobody.to_string()));
    bobs.unwrap().send("hello").await.unwrap();
    let Error::Contact { wallet, source } = imitateds.unwrap_err() else {
        panic!("a contact that cannot be used");
    };
    assert_eq!((wallet, source), (imitated, other(imitated)));
    assert_eq!(
        alice
            .can_message(&[imitated, bob.address(), nobody])
            .await
            .unwrap(),
        [false, true, false]
    );
    bob.reads(alice.address(), &["hello"]).await;
}

/// What breaks a rule on Alice's list of invitations, and why.
fn bad_invitations(
    alice: &PrivateKeyBundle,
    bob: &PrivateKeyBundle,
    mallory: &PrivateKeyBundle,
) -> Vec<(Envelope, Broken)> {
    let invites = Topic::invite(alice.address());
    let created = now();
    let later = TimestampNs::from_ns(created.as_ns() + 1);
    let invitation = Invitation::derive(mallory, alice.public(), None);
    let sealed = invitation.seal(mallory, alice.public(), created, entropy());
    let of_others =
        Invitation::derive(mallory, bob.public(), None).seal(mallory, bob.public(), created, entropy());
    let mut broken = sealed.clone();
    *broken.last_mut().unwrap() ^= 1;
    let time = Reason::HeaderTime {
        header: created,
        envelope: later,
    };
    vec![
        (envelope(&invites, later, sealed), time.into()),
        (
            envelope(&invites, created, of_others),
            Reason::NotOurPreKey.into(),
        ),
        (envelope(&invites, created, broken), Broken::Crypto),
    ]
}

#[tokio::test]
async fn an_invitation_that_breaks_a_rule_is_left_out_of_list_and_stream() {
    let node = Scripted::start().await;
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let mallory = person("mallory", node.address()).await;
    let bad = bad_invitations(&alice.keys(), &bob.keys(), &mallory.keys());
    let invites = Topic::invite(alice.address());
    let wanted: Vec<Broken> = bad.iter().map(|(_, error)| error.clone()).collect();
    bob.say(alice.address(), "hello").await;
    let (streaming, live) = watchful("alice", &node).await;
    let mut stream = streaming.stream_conversations();
    let next = async |stream: &mut herald::client::ConversationStream| {
        let conversation = timeout(DEADLINE, stream.next()).await;
        conversation.expect("a conversation in time").unwrap().peer()
    };
    assert_eq!(next(&mut stream).await, bob.address());
    for (envelope, _) in bad {
        node.put(&envelope);
    }
    let carol = person("carol", node.address()).await;
    carol.say(alice.address(), "hello").await;
    assert_eq!(next(&mut stream).await, carol.address());
    live.is(DroppedKind::Invitation, &invites, &wanted);
    let (listing, listed) = watchful("alice", &node).await;
    let peers: Vec<Address> = listing
        .conversations()
        .iter()
        .map(herald::client::Conversation::peer)
        .collect();
    assert_eq!(peers, [bob.address(), carol.address()]);
    listed.is(DroppedKind::Invitation, &invites, &wanted);
    // They are looked at once.
    listing.sync_conversations().await.unwrap();
    assert!(listed.take().is_empty());
}

/// A message in the conversation of two, sealed with its key by whoever has these keys.
fn message(conversation: &Conversation, writer: &PrivateKeyBundle, content: &[u8]) -> Envelope {
    let outgoing = Outgoing {
        created: now(),
        now: now(),
        should_push: true,
    };
    let sealed = conversation.seal(writer, content, &outgoing, entropy());
    envelope(conversation.topic(), sealed.created, sealed.bytes)
}

/// Text of far more bytes than a reader takes, in few.
fn bomb() -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let block = vec![b'a'; 65_536];
    for _ in 0..4 * limits::CONTENT_BYTES / 65_536 {
        packed.write_all(&block).unwrap();
    }
    let content = contents::EncodedContent {
        compression: Some(contents::Compression::Gzip.into()),
        content: packed.finish().unwrap(),
        ..contents::EncodedContent::decode(Content::Text("a".to_owned()).encode().as_slice()).unwrap()
    };
    content.encode_to_vec()
}

/// What breaks a rule in the conversation of Alice and Bob, and why.
fn bad_messages(alice: &Person, bob: &Person, mallory: &Person) -> Vec<(Envelope, Broken)> {
    let (alices, bobs, mallorys) = (alice.keys(), bob.keys(), mallory.keys());
    let invitation = Invitation::derive(&alices, bobs.public(), None);
    let members = [alices.address(), bobs.address()];
    let conversation = Conversation::new(invitation.topic.clone(), invitation.key_material.clone(), members);
    let elsewhere = Topic::conversation("elsewhere").unwrap();
    let other = Conversation::new(elsewhere.clone(), invitation.key_material.clone(), members);
    let hello = Content::Text("hello".to_owned()).encode();
    let not_member = Reason::NotMember {
        found: mallory.address(),
        members: Box::new(members),
    };
    let too_large = Reason::ContentTooLarge {
        limit: limits::CONTENT_BYTES,
    };
    let mut moved = message(&other, &bobs, &hello);
    moved.content_topic = invitation.topic.to_string();
    let other_topic = Reason::TopicMismatch {
        found: elsewhere.as_str().into(),
        wanted: invitation.topic.as_str().into(),
    };
    let mut broken = message(&conversation, &bobs, &hello);
    let mut bytes = broken.message.to_vec();
    // Behind the ciphertext come the field of the sender's HMAC and a flag.
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    broken.message = bytes.into();
    vec![
        (message(&conversation, &mallorys, &hello), not_member.into()),
        (message(&conversation, &bobs, &bomb()), too_large.into()),
        (moved, other_topic.into()),
        (broken, Broken::Crypto),
    ]
}

async fn next(stream: &mut MessageStream) -> String {
    let message = timeout(DEADLINE, stream.next()).await;
    text(&message.expect("a message in time").unwrap())
}

#[tokio::test]
async fn a_message_that_breaks_a_rule_is_left_out_of_history_and_stream() {
    let node = Scripted::start().await;
    let alice = person("alice", node.address()).await;
    let bob = person("bob", node.address()).await;
    let mallory = person("mallory", node.address()).await;
    bob.say(alice.address(), "before").await;
    let (reader, told) = watchful("alice", &node).await;
    let [conversation] = reader.conversations().try_into().unwrap();
    let mut stream = reader.stream_all_messages(TimestampNs::default());
    assert_eq!(next(&mut stream).await, "before");
    let bad = bad_messages(&alice, &bob, &mallory);
    let wanted: Vec<Broken> = bad.iter().map(|(_, error)| error.clone()).collect();
    for (envelope, _) in bad {
        assert_eq!(envelope.content_topic, conversation.topic().as_str());
        node.put(&envelope);
    }
    bob.say(alice.address(), "after").await;
    assert_eq!(next(&mut stream).await, "after");
    told.is(DroppedKind::Message, conversation.topic(), &wanted);
    let history = conversation.messages(None).await.unwrap();
    assert_eq!(history.iter().map(text).collect::<Vec<_>>(), ["before", "after"]);
    told.is(DroppedKind::Message, conversation.topic(), &wanted);
    let pages = reader.first_pages(&[conversation.history()]).await.unwrap();
    assert_eq!(pages[0].len(), 2);
    told.is(DroppedKind::Message, conversation.topic(), &wanted);
}

#[tokio::test]
async fn a_message_that_no_node_takes_is_not_sent() {
    let node = Scripted::start().await;
    let (alice, bob) = (
        person("alice", node.address()).await,
        person("bob", node.address()).await,
    );
    alice.say(bob.address(), "before").await;
    let conversation = alice.client().conversation_with(bob.address()).await.unwrap();
    let huge = "a".repeat(limits::MESSAGE_BYTES);
    node.calls();
    let error = conversation.send(huge.as_str()).await.unwrap_err();
    let Error::TooLarge { bytes } = error else {
        panic!("{error}");
    };
    assert!(bytes > limits::MESSAGE_BYTES);
    for number in [bytes, limits::MESSAGE_BYTES] {
        assert!(error.to_string().contains(&number.to_string()), "{error}");
    }
    assert!(node.calls().is_empty(), "nothing went out");
    // The largest that goes.
    let room = limits::MESSAGE_BYTES - (bytes - huge.len());
    conversation.send("a".repeat(room - 64)).await.unwrap();
    conversation.send("after").await.unwrap();
    let read = bob.texts_of(alice.address()).await;
    let lengths: Vec<usize> = read.iter().map(String::len).collect();
    assert_eq!(lengths, [6, room - 64, 5]);
}
