use std::process::{Command, Output};

use herald_node::{
    Config,
    config::{Admit, Rate},
};
use herald_protocol::proto::api::{Envelope, PublishRequest, message_api_client::MessageApiClient};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::{Code, transport::Channel};

use crate::{
    harness::*,
    process::{BINARY, Process},
};

/// Runs `node access` on this store, as an operator does beside the node.
pub(crate) fn access(place: &Place, arguments: &[&str]) -> Output {
    let config = place.path().join("access.yaml");
    std::fs::write(&config, json!({ "store": place.url }).to_string()).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("access").args(arguments).arg("--config").arg(config);
    command.output().unwrap()
}

#[track_caller]
pub(crate) fn changed(place: &Place, arguments: &[&str]) -> String {
    let output = access(place, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What publishing this says: nothing, or the text of a refusal with code 7.
pub(crate) async fn refusal(
    client: &mut MessageApiClient<Channel>,
    wallet: &Wallet,
    envelopes: &[Envelope],
) -> Option<String> {
    let request = wallet.sign(PublishRequest {
        envelopes: envelopes.to_vec(),
    });
    let status = client.publish(request).await.err()?;
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    Some(status.message().to_owned())
}

fn contact(wallet: &Wallet) -> Envelope {
    envelope(
        &format!("/xmtp/0/contact-{}/proto", wallet.address()),
        1,
        b"bundle",
    )
}

fn private_store(wallet: &Wallet) -> Envelope {
    let topic = format!("/xmtp/0/privatestore-{}/key_bundle/proto", wallet.address());
    envelope(&topic, 1, b"keys")
}

#[tokio::test]
async fn a_denied_wallet_publishes_nothing_within_seconds_of_being_denied_beside_a_busy_node() {
    let place = Place::new();
    let node = Process::start(&place, "");
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut load = JoinSet::new();
    for publisher in 0..16_u64 {
        let mut client = node.client().await;
        let bearer = alice.bearer.clone();
        load.spawn(async move {
            for number in 0.. {
                let sent = envelope("test-load", publisher << 32 | number, b"m");
                let request = PublishRequest {
                    envelopes: vec![sent],
                };
                client.publish(with_header(request, &bearer)).await.unwrap();
            }
        });
    }
    let mut client = node.client().await;
    let refused = ["wallet is deny listed"; 3].map(|text| Some(text.to_owned()));
    // In any letter case, as people copy it.
    for subject in [bob.address(), bob.address().to_lowercase()] {
        assert_eq!(refusal(&mut client, &bob, &[]).await, None);
        changed(&place, &["deny", &subject, "--comment", "spam"]);
        until("the denial is seen", async || {
            refusal(&mut client, &bob, &[]).await == refused[0]
        })
        .await;
        let told = [
            refusal(&mut client, &bob, &[]).await,
            refusal(&mut client, &bob, &[contact(&bob)]).await,
            refusal(&mut client, &bob, &[envelope("test-b", 1, b"m")]).await,
        ];
        assert_eq!(told, refused);
        assert_eq!(refusal(&mut client, &alice, &[contact(&alice)]).await, None);
        changed(&place, &["remove", &subject]);
        until("the end of it is seen", async || {
            refusal(&mut client, &bob, &[]).await.is_none()
        })
        .await;
    }
    load.shutdown().await;
}

#[tokio::test]
async fn a_denied_address_is_refused_before_its_token_is_looked_at_and_may_still_read() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    node.publish(&alice, Vec::new()).await;
    let mut client = node.grpc().await;
    changed(node.place(), &["deny", "127.0.0.0/8", "::1"]);
    until("the denial is seen", async || {
        refusal(&mut client, &alice, &[]).await.is_some()
    })
    .await;
    for authorization in [&*alice.bearer, "Bearer %%%"] {
        let request = with_header(PublishRequest::default(), authorization);
        let status = client.publish(request).await.unwrap_err();
        let text = "address is deny listed";
        assert_eq!((status.code(), status.message()), (Code::PermissionDenied, text));
        let request = http()
            .post(node.url("/message/v1/publish"))
            .header("authorization", authorization);
        let refused = json!({ "code": 7, "message": text, "details": [] });
        assert_eq!(answer(request.body("{}")).await, (403, refused));
    }
    client.query(ascending(["test-a"])).await.unwrap();
    // Deny wins over whatever is allowed.
    changed(node.place(), &["allow", &alice.address(), "127.0.0.1"]);
    let bob = Wallet::new(2);
    changed(node.place(), &["deny", &bob.address()]);
    changed(node.place(), &["remove", "127.0.0.0/8", "::1"]);
    until("alice is let in", async || {
        refusal(&mut client, &alice, &[]).await.is_none()
    })
    .await;
    let (status, refused) = node.post_as(&bob, "/message/v1/publish", &json!({})).await;
    assert_eq!(
        (status, &refused["message"]),
        (403, &json!("wallet is deny listed"))
    );
}

#[tokio::test]
async fn where_publishing_needs_permission_only_allow_listed_wallets_and_addresses_have_it() {
    let node = TestNode::start_with(|config| config.access.publish = Admit::Allowed).await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let mut client = node.grpc().await;
    for envelopes in [&[][..], &[envelope("test-a", 1, b"m")], &[contact(&alice)]] {
        let told = refusal(&mut client, &alice, envelopes).await;
        assert_eq!(told.as_deref(), Some("wallet is not allow listed"));
    }
    let (status, refused) = node.post_as(&alice, "/message/v1/publish", &json!({})).await;
    assert_eq!((status, &refused["code"]), (403, &json!(7)));
    changed(node.place(), &["allow", &alice.address()]);
    until("alice is let in", async || {
        refusal(&mut client, &alice, &[contact(&alice)]).await.is_none()
    })
    .await;
    assert!(refusal(&mut client, &bob, &[]).await.is_some());
    changed(node.place(), &["allow", "127.0.0.1", "::1"]);
    until("whoever calls from here is let in", async || {
        refusal(&mut client, &bob, &[contact(&bob)]).await.is_none()
    })
    .await;
    changed(node.place(), &["deny", &bob.address()]);
    until("bob is not", async || {
        refusal(&mut client, &bob, &[]).await.as_deref() == Some("wallet is deny listed")
    })
    .await;
    assert_eq!(node.stored("test-a").await, []);
}

#[tokio::test]
async fn where_registering_needs_permission_others_still_publish_elsewhere() {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let node = TestNode::start().await;
    node.publish(&bob, Vec::new()).await;
    changed(node.place(), &["allow", &alice.address()]);
    // The lists are there from the first call on.
    let restrict = |config: &mut Config| config.access.register = Admit::Allowed;
    let node = TestNode::start_in(node.stop().await, restrict).await;
    let mut client = node.grpc().await;
    for sent in [contact(&bob), private_store(&bob)] {
        let mixed = [envelope("test-a", 1, b"m"), sent];
        let told = refusal(&mut client, &bob, &mixed).await;
        assert_eq!(told.as_deref(), Some("wallet is not allow listed"));
    }
    assert_eq!(node.stored("test-a").await, []);
    let invite = format!("/xmtp/0/invite-{}/proto", alice.address());
    assert_eq!(
        refusal(&mut client, &bob, &[envelope(&invite, 1, b"m")]).await,
        None
    );
    let own = [contact(&alice), private_store(&alice)];
    assert_eq!(refusal(&mut client, &alice, &own).await, None);
    // Whose topic it is comes first.
    let told = refusal(&mut client, &bob, &[contact(&alice)]).await;
    assert_eq!(told.as_deref(), Some("publishing to restricted topic"));
}

#[tokio::test]
async fn the_lists_are_shown_in_columns_and_foreign_text_in_them_is_escaped() {
    let node = TestNode::start().await;
    node.publish(&Wallet::new(1), Vec::new()).await;
    let wallet = Wallet::new(2).address();
    let place = node.place();
    changed(place, &["allow", "192.0.2.7", "2001:db8::/32"]);
    changed(
        place,
        &[
            "deny",
            &wallet.to_lowercase(),
            "--comment",
            "a\u{1b}[2J\u{202e}\nb",
        ],
    );
    changed(place, &["deny", "192.0.2.7"]);
    let shown = changed(place, &["list"]);
    let lines: Vec<Vec<&str>> = shown
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    let cells = |line: usize| (lines[line][0], lines[line][1], lines[line].get(3).copied());
    assert_eq!(lines.len(), 3, "{shown}");
    assert_eq!(
        cells(0),
        (&*wallet, "deny", Some("a\\u{1b}[2J\\u{202e}\\nb")),
        "{shown}"
    );
    // The last word counts.
    assert_eq!(cells(1), ("192.0.2.7", "deny", None));
    assert_eq!(cells(2), ("2001:db8::/32", "allow", None));
    let columns: Vec<Option<usize>> = shown.lines().map(|line| line.find("  20")).collect();
    assert!(
        columns[0].is_some() && columns.iter().all(|column| *column == columns[0]),
        "{shown}"
    );
    let listed = changed(place, &["list", "--json"]);
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let since = first["since"].as_str().unwrap();
    assert_eq!(
        first,
        json!({ "subject": wallet, "permission": "deny", "since": since, "comment": "a\u{1b}[2J\u{202e}\nb" })
    );
    assert!(since.ends_with('Z') && since.len() == 20, "{since}");
    let removed = access(place, &["remove", "192.0.2.8", "192.0.2.7"]);
    assert_eq!(removed.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(removed.stderr).unwrap(),
        "error: not listed: `192.0.2.8`\n"
    );
    assert_eq!(changed(place, &["list"]).lines().count(), 2);
}

#[test]
fn a_subject_that_names_nobody_and_a_store_that_is_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let checksum = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    let long = "x".repeat(101);
    for (arguments, said) in [
        (&["allow", checksum][..], "wrong checksum, wanted `0x5aAeb6"),
        (&["deny", "192.0.2.7/24"], "wanted `192.0.2.0/24`"),
        (&["remove", "192.0.2.0/33"], "wanted a wallet"),
        (
            &["allow", "192.0.2.7", "--comment", &long],
            "found 101 characters, wanted at most 100",
        ),
        (&["deny"], "<SUBJECT>"),
        (&["list"], "there is no store at"),
    ] {
        let mut command = Command::new(BINARY);
        command
            .arg("access")
            .args(arguments)
            .arg("--data")
            .arg(folder.path());
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said), "{told}");
    }
    let mut command = Command::new(BINARY);
    let output = command
        .args(["--http", "127.0.0.1:0", "access", "list"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("`--http` is for starting a node")
    );
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_is_the_callers() {
    let node = TestNode::start_with(|config| {
        config.limits.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let alice = Wallet::new(1);
    node.publish(&alice, Vec::new()).await;
    changed(node.place(), &["deny", "198.51.100.0/24"]);
    let publish = async |forwarded: &str| {
        let request = http()
            .post(node.url("/message/v1/publish"))
            .header("authorization", &alice.bearer)
            .header("x-forwarded-for", forwarded);
        answer(request.body("{}")).await.0
    };
    until("the denial is seen", async || {
        publish("198.51.100.7").await == 403
    })
    .await;
    assert_eq!(publish("198.51.101.7").await, 200);
    // What stands left of the caller is anybody's invention.
    assert_eq!(publish("198.51.100.7, 198.51.101.7").await, 200);
}

#[tokio::test]
async fn an_allow_listed_wallet_has_the_larger_limits() {
    let node = TestNode::start_with(|config| {
        config.limits.exempt.clear();
        config.limits.wallet_publish = Rate::of(2, 1);
    })
    .await;
    let alice = Wallet::new(1);
    let mut client = node.grpc().await;
    let three = || {
        let envelopes = (0..3).map(|number| envelope("test-a", number, b"m")).collect();
        alice.sign(PublishRequest { envelopes })
    };
    let status = client.publish(three()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    changed(node.place(), &["allow", &alice.address()]);
    until("alice has priority", async || {
        client.publish(three()).await.is_ok()
    })
    .await;
}
