//! Which topics are restricted, by real refusals: no spelling gets around the owner of a contact or a private store.

use herald_protocol::proto::api::{Envelope, PublishRequest, message_api_client::MessageApiClient};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use tonic::{Code, transport::Channel};

use crate::harness::*;

/// Whether the wallet may publish there; any refusal is code 7 with the network's words.
async fn may_publish(client: &mut MessageApiClient<Channel>, wallet: &Wallet, topic: &str) -> bool {
    let envelopes: Vec<Envelope> = vec![envelope(topic, 1, b"m")];
    match client.publish(wallet.sign(PublishRequest { envelopes })).await {
        Ok(_) => true,
        Err(status) => {
            let told = (status.code(), status.message());
            assert_eq!(
                told,
                (Code::PermissionDenied, "publishing to restricted topic"),
                "{topic:?}"
            );
            false
        }
    }
}

#[tokio::test]
async fn a_restricted_topic_is_its_owners_in_one_spelling_only() {
    let node = TestNode::start().await;
    let mut client = node.grpc().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let (own, other) = (alice.address(), bob.address());
    let lower = own.to_lowercase();
    for (topic, allowed) in [
        // The owner's.
        (format!("/xmtp/0/contact-{own}/proto"), true),
        (format!("/xmtp/0/contact-{own}"), true),
        (format!("/xmtp/0/contact-{own}/"), true),
        (format!("/xmtp/0/contact-{own}/proto/more"), true),
        (format!("/xmtp/0/privatestore-{own}/key_bundle/proto"), true),
        (format!("/xmtp/0/privatestore-{own}/anything"), true),
        // Somebody else's.
        (format!("/xmtp/0/contact-{other}/proto"), false),
        (format!("/xmtp/0/privatestore-{other}/key_bundle/proto"), false),
        (format!("/xmtp/0/contact-{other}/{own}"), false),
        (format!("/xmtp/0/contact-{other}-{own}/proto"), false),
        // Nobody's: letter case, suffixes, separators, wildcards, spaces, escapes, look-alikes.
        (format!("/xmtp/0/contact-{lower}/proto"), false),
        (format!("/xmtp/0/contact-{}/proto", own.to_uppercase()), false),
        (format!("/xmtp/0/Contact-{own}/proto"), false),
        (format!("/xmtp/0/CONTACT-{other}/proto"), false),
        (format!("/xmtp/0/privateStore-{other}/key_bundle/proto"), false),
        (format!("/xmtp/0/contact-{own}-/proto"), false),
        (format!("/xmtp/0/contact-{own}x/proto"), false),
        (format!("/xmtp/0/contact--{own}/proto"), false),
        (format!("/xmtp/0/contact-/{own}/proto"), false),
        (format!("/xmtp/0/contact-{own}%2fproto"), false),
        (format!("/xmtp/0/contact-{own}%2Fproto"), false),
        (format!("/xmtp/0/contact-{own}\\proto"), false),
        (format!("/xmtp/0/contact-{own}?x/proto"), false),
        (format!("/xmtp/0/contact-{own}#/proto"), false),
        (format!("/xmtp/0/contact-{own} /proto"), false),
        (format!("/xmtp/0/contact- {own}/proto"), false),
        (format!("/xmtp/0/contact-{own}\t/proto"), false),
        (format!("/xmtp/0/contact-{own}\n/proto"), false),
        (format!("/xmtp/0/contact-{own}\u{200b}/proto"), false),
        (
            format!("/xmtp/0/contact-{}/proto", own.replace('0', "\u{ff10}")),
            false,
        ),
        (
            format!("/xmtp/0/contact-{}/proto", own.replacen('x', "\u{445}", 1)),
            false,
        ),
        ("/xmtp/0/contact-*/proto".to_owned(), false),
        ("/xmtp/0/contact-/proto".to_owned(), false),
        ("/xmtp/0/contact-".to_owned(), false),
        ("/xmtp/0/privatestore-".to_owned(), false),
        // Other names: no client looks for contacts there.
        (format!("/xmtp/0/contact/{other}/proto"), true),
        (format!("/xmtp/0/c\u{43e}ntact-{other}/proto"), true),
        (format!("/xmtp/0/contact\u{2010}{other}/proto"), true),
        (format!("/xmtp/0/%63ontact-{other}/proto"), true),
        (format!("/xmtp/0/ contact-{other}/proto"), true),
        (format!("/xmtp/0//contact-{other}/proto"), true),
        (format!("/xmtp/1/contact-{other}/proto"), true),
        (format!("/XMTP/0/contact-{other}/proto"), true),
        (format!("xmtp/0/contact-{other}/proto"), true),
        (format!("/xmtp/0/contacts-{other}/proto"), true),
        (format!("/xmtp/0/invite-{other}/proto"), true),
        (format!("/xmtp/0/dm-contact-{other}/proto"), true),
        (format!("contact-{other}"), true),
        ("*".to_owned(), true),
    ] {
        assert_eq!(
            may_publish(&mut client, &alice, &topic).await,
            allowed,
            "{topic:?}"
        );
        assert_eq!(node.stored(&topic).await.len(), usize::from(allowed), "{topic:?}");
    }
    let nul = PublishRequest {
        envelopes: vec![envelope(&format!("/xmtp/0/contact-{own}/\0proto"), 1, b"m")],
    };
    let status = client.publish(alice.sign(nul)).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "invalid topic")
    );
}

/// Law: a wallet writes to a name that begins `/xmtp/0/contact-` or `/xmtp/0/privatestore-`, in whatever letter case, only when
/// its own address stands behind that, up to a `/` or the end, in the one right spelling of both.
fn law(topic: &str, own: &str) -> bool {
    let lower = topic.to_ascii_lowercase();
    for category in ["/xmtp/0/contact-", "/xmtp/0/privatestore-"] {
        if topic.starts_with("/xmtp/0/") && lower.starts_with(category) {
            let Some(rest) = topic.strip_prefix(category) else {
                return false;
            };
            return rest == own || rest.strip_prefix(own).is_some_and(|end| end.starts_with('/'));
        }
    }
    true
}

#[tokio::test]
async fn no_topic_that_can_be_made_up_gets_around_its_owner() {
    let node = TestNode::start().await;
    let mut client = node.grpc().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let own = alice.address();
    let pieces: Vec<String> = [
        "/xmtp/0/",
        "contact",
        "privatestore",
        "Contact",
        "PRIVATESTORE",
        "-",
        "/",
        "proto",
        "key_bundle",
        "*",
        "%2f",
        " ",
        "\u{200b}",
        "\u{ff0f}",
        "x",
        "\u{445}",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([own.clone(), own.to_lowercase(), bob.address()])
    .collect();
    let tail = proptest::collection::vec(proptest::sample::select(pieces), 0..6);
    let head = proptest::sample::select(vec![
        "/xmtp/0/contact-",
        "/xmtp/0/privatestore-",
        "/xmtp/0/cOntact-",
        "/xmtp/0/",
        "",
    ]);
    let topics = (head, tail).prop_map(|(head, tail)| head.to_owned() + &tail.concat());
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..400 {
        let topic = topics.new_tree(&mut runner).unwrap().current();
        if topic.len() > 300 {
            continue;
        }
        assert_eq!(
            may_publish(&mut client, &alice, &topic).await,
            law(&topic, &own),
            "{topic:?}"
        );
    }
}
