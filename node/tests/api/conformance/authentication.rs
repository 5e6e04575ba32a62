//! Who may publish, and where.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_protocol::{
    proto::{
        api::Token,
        contents::{Signature, signature},
    },
    time::TimestampNs,
};
use prost::Message as _;

use super::numbered;
use crate::{client::Client, harness::*};

const UNAUTHENTICATED: i32 = 16;

fn token_of(wallet: &Wallet) -> Token {
    let base64 = wallet.bearer.strip_prefix("Bearer ").unwrap();
    Token::decode(STANDARD.decode(base64).unwrap().as_slice()).unwrap()
}

fn bearer(token: &Token) -> String {
    format!("Bearer {}", STANDARD.encode(token.encode_to_vec()))
}

fn compact(bytes: Vec<u8>) -> Signature {
    Signature {
        union: Some(signature::Union::EcdsaCompact(signature::EcdsaCompact {
            bytes,
            recovery: 0,
        })),
    }
}

/// Line 28.
#[tokio::test]
async fn every_publish_needs_a_token() {
    let node = TestNode::start().await;
    for client in Client::both(&node).await {
        for envelopes in [
            vec![],
            numbered("/xmtp/0/m-1/proto", 1, 1),
            [
                numbered("/xmtp/0/m-1/proto", 1, 1),
                numbered("/xmtp/mls/1/g-1/proto", 1, 1),
            ]
            .concat(),
        ] {
            let refusal = client.publish(None, envelopes).await.unwrap_err();
            refusal.assert(UNAUTHENTICATED, "authorization token is not provided");
        }
    }
    assert_eq!(node.stored("/xmtp/0/m-1/proto").await, []);
}

/// Line 29.
#[tokio::test]
async fn reading_a_private_store_needs_no_token() {
    let node = TestNode::start().await;
    for client in Client::both(&node).await {
        client.query(ascending(["privatestore-123"])).await.unwrap();
    }
}

/// Lines 30, 31, 33, 38, 39 and 40.
#[tokio::test]
async fn a_token_that_proves_nothing_is_refused_with_what_is_wrong_with_it() {
    let node = TestNode::start().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let changed = |change: &dyn Fn(&mut Token)| {
        let mut token = token_of(&alice);
        change(&mut token);
        bearer(&token)
    };
    let day = std::time::Duration::from_hours(24);
    let yesterday = herald_node::clock::wall().as_ns() - u64::try_from(day.as_nanos()).unwrap();
    let cases = [
        (
            changed(&|token| token.identity_key = None),
            "missing identity key",
        ),
        (
            changed(&|token| token.auth_data_bytes = Vec::new()),
            "missing auth data",
        ),
        (
            alice.bearer_dated(TimestampNs::from_ns(yesterday)),
            "token expired",
        ),
        (
            changed(&|token| token.auth_data_signature = Some(compact([7; 64].to_vec()))),
            "invalid signature",
        ),
        (
            changed(&|token| token.auth_data_signature = token_of(&bob).auth_data_signature),
            "invalid signature",
        ),
        ("Bearer aGk=".to_owned(), "missing identity key"),
        ("Bearer ".to_owned(), "missing identity key"),
    ];
    for (header, text) in &cases {
        for client in Client::both(&node).await {
            // HTTP takes the blank off the end of a header, and with it the empty token.
            let is_empty_over_http = header == "Bearer " && client.name() == "http";
            let text = if is_empty_over_http {
                "invalid authorization header"
            } else {
                *text
            };
            let refusal = client
                .publish(Some(header), numbered("test-token", 1, 1))
                .await
                .unwrap_err();
            assert_eq!(refusal.code, UNAUTHENTICATED);
            assert!(refusal.text.contains(text), "{} lacks {text}", refusal.text);
        }
    }
    assert_eq!(node.stored("test-token").await, []);
}

/// Line 32.
#[tokio::test]
async fn a_valid_token_publishes_nothing_at_all_if_it_likes() {
    let node = TestNode::start().await;
    for client in Client::both(&node).await {
        let alice = Wallet::new(1);
        client.publish(Some(&alice.bearer), Vec::new()).await.unwrap();
    }
}

/// Lines 34 and 35.
#[tokio::test]
async fn a_wallet_publishes_everywhere_but_on_contacts_and_stores_of_others() {
    let node = TestNode::start().await;
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let (own, other) = (alice.address(), bob.address());
    for client in Client::both(&node).await {
        for topic in [
            format!("/xmtp/0/contact-{own}/proto"),
            format!("/xmtp/0/privatestore-{own}/key_bundle/proto"),
            format!("/xmtp/0/dm-{own}-{other}/proto"),
            "/xmtp/0/m-123/proto".to_owned(),
            format!("/xmtp/0/invite-{other}/proto"),
            format!("/xmtp/0/intro-{other}/proto"),
        ] {
            let published = client.publish(Some(&alice.bearer), numbered(&topic, 1, 1)).await;
            published.unwrap_or_else(|refusal| panic!("{topic}: {refusal:?}"));
        }
        for topic in [
            format!("/xmtp/0/contact-{other}/proto"),
            format!("/xmtp/0/privatestore-{other}/key_bundle/proto"),
        ] {
            let published = client.publish(Some(&alice.bearer), numbered(&topic, 1, 1)).await;
            published.unwrap_err().assert(7, "publishing to restricted topic");
            assert_eq!(node.stored(&topic).await, []);
        }
    }
}

/// Line 36.
#[tokio::test]
async fn the_wallets_signature_may_sit_in_either_arm() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let topic = format!("/xmtp/0/contact-{}/proto", alice.address());
    let mut token = token_of(&alice);
    let signature = token.identity_key.as_mut().unwrap().signature.as_mut().unwrap();
    let (bytes, recovery) = match signature.union.take().unwrap() {
        signature::Union::EcdsaCompact(plain) => (plain.bytes, plain.recovery),
        signature::Union::WalletEcdsaCompact(wallets) => (wallets.bytes, wallets.recovery),
    };
    let plain = signature::Union::EcdsaCompact(signature::EcdsaCompact {
        bytes: bytes.clone(),
        recovery,
    });
    let wallets = signature::Union::WalletEcdsaCompact(signature::WalletEcdsaCompact { bytes, recovery });
    for client in Client::both(&node).await {
        for arm in [plain.clone(), wallets.clone()] {
            let key = token.identity_key.as_mut().unwrap();
            key.signature = Some(Signature { union: Some(arm) });
            // Its own contact: the token yields the wallet's address.
            client
                .publish(Some(&bearer(&token)), numbered(&topic, 1, 1))
                .await
                .unwrap();
        }
    }
}

/// Line 37: what xmtp-js sent in 2022, ten minutes after it was made.
#[tokio::test]
async fn tokens_that_were_captured_from_clients_yield_their_wallets() {
    const FIRST: &str = "CpQBCPe9zuiqMBJGCkQKQHOOPN+A8lNOnt42Pis2R6jkbDvhsC0EsLDCFf+VGh/yYssKafl7ma+4bmo/fEEvf435Wy/klBXOQN8Nu3lIW+kQARpDCkEEkqxMLK+SGTEE7lnXmOxUoWynlTBg8TAQNIXf2IcometsYfw2UO9C+IryDLH4utr2pHv726oFyuMhpSHi/YNM1hI2CioweDJEMGU2MTRlOERjOEFkZjgyYzcwMDkwRjkwNWU2Y0ZDMURFODQ5MDAQgKumuYqujYYXGkYKRApAQ+8Nug8k6TWLA/pNcPDgW01Sdn9o2h3484jSGlWkxDl1o8mFtsxofxOA5gUxt+/nw33kSER0Yukl1OO2Tfd68hAB";
    const SECOND: &str = "CpIBCOqy8+iqMBJECkIKQGsPVyMg1ZjfJXCu7+IxuRJ9/JrWvPIPsZ+GjRM+eQ8kLCfuOequP3GscERICC3qRk/l4eCW/kqM5fbd5/TcQHEaQwpBBAzYR20tIAxsD3cXSnrDBoZ8xr2FPgA9d4u1QzaNt/t0tpQ9G6i9ju35nCDTr35iMbZvbYfZJKYbed2ABOZ2xdMSNgoqMHg1NDY3ZUU5ZGU5MmE3ZDgzMGE3MTMxNTZkZjg4ZGQ2Qjg3MDQwZUY2EMCs9dTXv42GFxpGCkQKQBoIQ77Vi0SU3M5s1WsthNiJgI8Vx89cSzZvJiaIVNJYCJO2x55eEex5R4o55XFvoNrgGcRyDOGg3WMsTWlWOx8QAQ==";
    // The second was made ten minutes after the first.
    let node = TestNode::start_at(|| TimestampNs::from_ns(1_660_761_720_550_000_000)).await;
    for client in Client::both(&node).await {
        for (token, wallet, other) in [
            (
                FIRST,
                "0x2D0e614e8Dc8Adf82c70090F905e6cFC1DE84900",
                "0x5467eE9de92a7d830a713156df88dd6B87040eF6",
            ),
            (
                SECOND,
                "0x5467eE9de92a7d830a713156df88dd6B87040eF6",
                "0x2D0e614e8Dc8Adf82c70090F905e6cFC1DE84900",
            ),
        ] {
            let header = format!("Bearer {token}");
            let contact = |wallet: &str| numbered(&format!("/xmtp/0/contact-{wallet}/proto"), 1, 1);
            client.publish(Some(&header), contact(wallet)).await.unwrap();
            let refusal = client.publish(Some(&header), contact(other)).await.unwrap_err();
            refusal.assert(7, "publishing to restricted topic");
        }
    }
}
