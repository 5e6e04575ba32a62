//! Forged and odd tokens: each is refused with the text that clients of the V2 network know, on both transports.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_node::clock;
use herald_protocol::{
    limits,
    proto::{
        api::{AuthData, PublishRequest, Token},
        contents::{self, public_key::Secp256k1Uncompressed, signature},
    },
};
use prost::Message as _;
use serde_json::json;
use sha3::{Digest as _, Keccak256};
use tonic::Code;

use crate::harness::*;

fn decoded(bearer: &str) -> Token {
    let base64 = bearer.strip_prefix("Bearer ").unwrap();
    Token::decode(STANDARD.decode(base64).unwrap().as_slice()).unwrap()
}

fn bearer(token: &[u8]) -> String {
    format!("Bearer {}", STANDARD.encode(token))
}

/// A wallet's token with something changed in it.
fn changed(wallet: &Wallet, change: impl FnOnce(&mut Token)) -> String {
    let mut token = decoded(&wallet.bearer);
    change(&mut token);
    bearer(&token.encode_to_vec())
}

/// A token whose auth data the wallet's identity key really signed.
fn resigned(wallet: &Wallet, auth_data: &[u8]) -> String {
    changed(wallet, |token| {
        token.auth_data_bytes = auth_data.to_vec();
        let digest = Keccak256::digest(auth_data).into();
        token.auth_data_signature = Some(wallet.keys.identity_key().sign(&digest).to_proto());
    })
}

fn auth_data(wallet_addr: String, created_ns: u64) -> Vec<u8> {
    AuthData {
        wallet_addr,
        created_ns,
    }
    .encode_to_vec()
}

fn parts(signature: &contents::Signature) -> (Vec<u8>, u32) {
    match signature.union.clone().unwrap() {
        signature::Union::EcdsaCompact(compact) => (compact.bytes, compact.recovery),
        signature::Union::WalletEcdsaCompact(compact) => (compact.bytes, compact.recovery),
    }
}

fn key_arm((bytes, recovery): (Vec<u8>, u32)) -> contents::Signature {
    let compact = signature::EcdsaCompact { bytes, recovery };
    contents::Signature {
        union: Some(signature::Union::EcdsaCompact(compact)),
    }
}

fn wallet_arm((bytes, recovery): (Vec<u8>, u32)) -> contents::Signature {
    let compact = signature::WalletEcdsaCompact { bytes, recovery };
    contents::Signature {
        union: Some(signature::Union::WalletEcdsaCompact(compact)),
    }
}

/// The other signature of the same signer: n - s for the order of the group, with the other recovery.
fn high_s((mut bytes, recovery): (Vec<u8>, u32)) -> (Vec<u8>, u32) {
    let mut borrow = 0;
    for (place, order) in ORDER.iter().enumerate().rev() {
        let difference = i16::from(*order) - i16::from(bytes[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        bytes[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    (bytes, 1 - recovery)
}

fn identity_signature(token: &Token) -> (Vec<u8>, u32) {
    parts(token.identity_key.as_ref().unwrap().signature.as_ref().unwrap())
}

fn with_identity_signature(wallet: &Wallet, signature: contents::Signature) -> String {
    changed(wallet, |token| {
        token.identity_key.as_mut().unwrap().signature = Some(signature);
    })
}

fn with_data_signature(wallet: &Wallet, signature: contents::Signature) -> String {
    changed(wallet, |token| token.auth_data_signature = Some(signature))
}

/// A token with an unknown field that makes its base64 exactly this long.
fn padded(wallet: &Wallet, base64_bytes: usize) -> String {
    let mut token = decoded(&wallet.bearer).encode_to_vec();
    // Field 15 of bytes, with a length of two bytes.
    let padding = base64_bytes / 4 * 3 - token.len() - 3;
    token.push(15 << 3 | 2);
    token.extend([
        u8::try_from(padding & 0x7f).unwrap() | 0x80,
        u8::try_from(padding >> 7).unwrap(),
    ]);
    token.resize(base64_bytes / 4 * 3, 7);
    bearer(&token)
}

/// Name, header, and what the refusal says.
type Forgery = (&'static str, String, &'static str);

fn odd_headers() -> Vec<Forgery> {
    let alice = Wallet::new(1);
    let good = decoded(&alice.bearer).encode_to_vec();
    let base64 = STANDARD.encode(&good);
    vec![
        ("nothing", String::new(), "invalid authorization header"),
        ("no scheme", base64.clone(), "invalid authorization header"),
        (
            "other scheme",
            format!("Basic {base64}"),
            "unrecognized authorization scheme Basic",
        ),
        (
            "scheme in lower case",
            format!("bearer {base64}"),
            "unrecognized authorization scheme bearer",
        ),
        ("two spaces", format!("Bearer  {base64}"), "extracting token"),
        ("not base64", "Bearer %%%".to_owned(), "extracting token"),
        (
            "url-safe base64",
            "Bearer AAAA-_==".to_owned(),
            "extracting token",
        ),
        (
            "without padding",
            alice.bearer.trim_end_matches('=').to_owned() + "A",
            "extracting token",
        ),
        ("not protobuf", "Bearer aGk=".to_owned(), "missing identity key"),
        (
            "cut in the middle",
            bearer(&good[..good.len() / 2]),
            "extracting token",
        ),
        (
            "cut by a byte",
            bearer(&good[..good.len() - 1]),
            "extracting token",
        ),
        (
            "too long",
            padded(&alice, limits::TOKEN_BYTES + 4),
            "extracting token",
        ),
        (
            "good, and more behind it",
            padded(&alice, limits::TOKEN_BYTES) + "AAAA",
            "extracting token",
        ),
    ]
}

fn forged_identities() -> Vec<Forgery> {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let signed = identity_signature(&decoded(&alice.bearer));
    let identity = |change: &dyn Fn(&mut contents::PublicKey)| {
        changed(&alice, |token| change(token.identity_key.as_mut().unwrap()))
    };
    let union = |bytes: Vec<u8>| {
        Some(contents::public_key::Union::Secp256k1Uncompressed(
            Secp256k1Uncompressed { bytes },
        ))
    };
    vec![
        (
            "no identity key",
            changed(&alice, |token| token.identity_key = None),
            "missing identity key",
        ),
        (
            "unsigned identity key",
            changed(&alice, |token| {
                token.identity_key.as_mut().unwrap().signature = None;
            }),
            "identity key is not signed",
        ),
        (
            "signature of no kind",
            with_identity_signature(&alice, contents::Signature { union: None }),
            "validating token: unknown signature type",
        ),
        (
            "short identity signature",
            with_identity_signature(&alice, wallet_arm(short(&signed))),
            "validating token: invalid signature length",
        ),
        (
            "short identity signature in the key arm",
            with_identity_signature(&alice, key_arm(short(&signed))),
            "validating token: invalid signature length",
        ),
        (
            "recovery 4",
            with_identity_signature(&alice, wallet_arm((signed.0.clone(), 4))),
            "validating token",
        ),
        (
            "recovery of 32 bits",
            with_identity_signature(&alice, wallet_arm((signed.0.clone(), u32::MAX))),
            "validating token",
        ),
        (
            "other recovery",
            with_identity_signature(&alice, wallet_arm((signed.0.clone(), 1 - signed.1))),
            "validating token",
        ),
        (
            "identity signature of zeros",
            with_identity_signature(&alice, wallet_arm((vec![0; 64], 0))),
            "validating token",
        ),
        (
            "another wallet's signature",
            with_identity_signature(&alice, wallet_arm(identity_signature(&decoded(&bob.bearer)))),
            "validating token: wallet address mismatch",
        ),
        (
            "no key in the identity key",
            identity(&|key| key.union = None),
            "validating token",
        ),
        (
            "a short point",
            identity(&|key| key.union = union(vec![4; 64])),
            "validating token",
        ),
        (
            "a point that is none",
            identity(&|key| key.union = union(vec![4; 65])),
            "validating token",
        ),
        (
            "another time of the key",
            identity(&|key| key.timestamp += 1),
            "validating token: wallet address mismatch",
        ),
    ]
}

fn forged_signatures() -> Vec<Forgery> {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let token = decoded(&alice.bearer);
    let signed = identity_signature(&token);
    let data = parts(token.auth_data_signature.as_ref().unwrap());
    let flipped = |place: usize| {
        let mut bytes = token.auth_data_bytes.clone();
        bytes[place] ^= 1;
        changed(&alice, |token| token.auth_data_bytes = bytes)
    };
    vec![
        (
            "no auth data",
            changed(&alice, |token| token.auth_data_bytes.clear()),
            "validating token: missing auth data",
        ),
        (
            "no auth data signature",
            changed(&alice, |token| token.auth_data_signature = None),
            "validating token: missing auth data signature",
        ),
        (
            "auth data signature of no kind",
            with_data_signature(&alice, contents::Signature { union: None }),
            "validating token: unknown signature type",
        ),
        (
            "auth data signature in the wallet arm",
            with_data_signature(&alice, wallet_arm(data.clone())),
            "validating token: unknown signature type",
        ),
        (
            "short auth data signature",
            with_data_signature(&alice, key_arm(short(&data))),
            "validating token: invalid signature length",
        ),
        (
            "high s",
            with_data_signature(&alice, key_arm(high_s(data.clone()))),
            "validating token: invalid signature",
        ),
        (
            "random signature",
            with_data_signature(&alice, key_arm((vec![0x5a; 64], 0))),
            "validating token: invalid signature",
        ),
        (
            "another token's signature",
            with_data_signature(&alice, decoded(&bob.bearer).auth_data_signature.unwrap()),
            "validating token: invalid signature",
        ),
        (
            "signatures swapped",
            changed(&alice, |token| {
                token.auth_data_signature = Some(key_arm(signed.clone()));
                token.identity_key.as_mut().unwrap().signature = Some(wallet_arm(data.clone()));
            }),
            "validating token",
        ),
        (
            "a bit of the wallet flipped",
            flipped(5),
            "validating token: invalid signature",
        ),
        (
            "a bit of the time flipped",
            flipped(token.auth_data_bytes.len() - 1),
            "validating token: invalid signature",
        ),
    ]
}

fn forged_auth_data() -> Vec<Forgery> {
    let (alice, bob) = (Wallet::new(1), Wallet::new(2));
    let own = alice.address();
    let now = clock::wall().as_ns();
    let hour = 3_600_000_000_000;
    vec![
        (
            "auth data that is not protobuf",
            resigned(&alice, &[0xff; 8]),
            "validating token",
        ),
        (
            "another wallet's name",
            resigned(&alice, &auth_data(bob.address(), now)),
            "validating token: wallet address mismatch",
        ),
        (
            "a name in lower case",
            resigned(&alice, &auth_data(own.to_lowercase(), now)),
            "validating token: wallet address mismatch",
        ),
        (
            "no name",
            resigned(&alice, &auth_data(String::new(), now)),
            "validating token: wallet address mismatch",
        ),
        (
            "a name with a space",
            resigned(&alice, &auth_data(format!("{own} "), now)),
            "validating token: wallet address mismatch",
        ),
        (
            "an hour and a second old",
            resigned(&alice, &auth_data(own.clone(), now - hour - 1_000_000_000)),
            "validating token: token expired",
        ),
        (
            "without time",
            resigned(&alice, &auth_data(own.clone(), 0)),
            "validating token: token expired",
        ),
        (
            "an hour and a minute ahead",
            resigned(&alice, &auth_data(own.clone(), now + hour + 60_000_000_000)),
            "token is from the future",
        ),
        (
            "beyond 63 bits",
            resigned(&alice, &auth_data(own.clone(), 1 << 63)),
            "token is from the future",
        ),
        (
            "the end of 64 bits",
            resigned(&alice, &auth_data(own, u64::MAX)),
            "token is from the future",
        ),
    ]
}

fn short((bytes, recovery): &(Vec<u8>, u32)) -> (Vec<u8>, u32) {
    (bytes[..63].to_vec(), *recovery)
}

#[tokio::test]
async fn forged_and_odd_tokens_are_refused_in_the_networks_words_on_both_transports() {
    let node = TestNode::start().await;
    let mut client = node.grpc().await;
    let forgeries = [
        odd_headers(),
        forged_identities(),
        forged_signatures(),
        forged_auth_data(),
    ]
    .concat();
    assert!(forgeries.len() >= 45);
    // Twice: what was refused once is not remembered as good.
    for (name, header, text) in forgeries.iter().chain(&forgeries) {
        let request = with_header(PublishRequest::default(), header);
        let status = client
            .publish(request)
            .await
            .err()
            .unwrap_or_else(|| panic!("{name} is taken"));
        assert_eq!(status.code(), Code::Unauthenticated, "{name}");
        assert!(status.message().contains(text), "{name}: {}", status.message());
        let request = http()
            .post(node.url("/message/v1/publish"))
            .header("authorization", header);
        let (code, refused) = answer(request.body("{}")).await;
        assert_eq!((code, &refused["code"]), (401, &json!(16)), "{name}");
        assert_eq!(refused["message"], status.message(), "{name}");
    }
}

#[tokio::test]
async fn odd_tokens_that_are_valid_are_taken() {
    let node = TestNode::start().await;
    let alice = Wallet::new(1);
    let signed = identity_signature(&decoded(&alice.bearer));
    let mut unknown_field = decoded(&alice.bearer).encode_to_vec();
    unknown_field.extend([15 << 3, 1]);
    for (name, header) in [
        (
            "the wallet arm",
            with_identity_signature(&alice, wallet_arm(signed.clone())),
        ),
        (
            "the key arm, as old clients write it",
            with_identity_signature(&alice, key_arm(signed)),
        ),
        ("an unknown field", bearer(&unknown_field)),
        ("as long as may be", padded(&alice, limits::TOKEN_BYTES)),
        (
            "almost an hour old",
            alice.bearer_dated(clock::wall().saturating_sub(Duration::from_mins(59))),
        ),
    ] {
        // Once verified and once remembered.
        for _ in 0..2 {
            let request = with_header(PublishRequest::default(), &header);
            let answer = node.grpc().await.publish(request).await;
            assert!(answer.is_ok(), "{name}: {answer:?}");
        }
    }
}

/// Of the group of secp256k1.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];
