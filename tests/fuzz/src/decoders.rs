//! Every decoder that bytes of strangers reach, each from bytes to whether they were taken. None may panic, allocate
//! without a bound or take long, whatever the bytes.
//!
//! What stands behind encryption is reached with bytes that are sealed first: random ones would never get past the tag.
//! Each has a folder of inputs in `corpus/`, taken from the vectors of the published JavaScript client; `amal` and `bola` are
//! their users.
#![allow(
    clippy::unwrap_used,
    clippy::unreachable,
    reason = "only of the vectors' own bytes, which are checked in"
)]

use std::{sync::LazyLock, time::Duration};

use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    ciphertext::{Ciphertext, Entropy},
    consent::{ConsentList, Preferences, PreferencesAction},
    contact::ContactBundle,
    content::{self, Composite, EncodedContent},
    invitation::{self, Invitation},
    key_bundle::SealedKeyBundle,
    limits, message_v1,
    message_v2::Conversation,
    proto::contents,
    time::TimestampNs,
    token,
    wallet::WalletKey,
    x3dh::{self, Role},
};
use prost::Message as _;

/// A decoder: whether it took the bytes.
pub(crate) type Decoder = fn(&[u8]) -> bool;

/// The decoders by the names of their corpora.
pub(crate) const DECODERS: [(&str, Decoder); 16] = [
    ("composite", composite),
    ("consent_proof", consent_proof),
    ("contact", contact),
    ("content", content),
    ("header_v1", header_v1),
    ("introduction", introduction),
    ("invitation", invitation),
    ("key_bundle", key_bundle),
    ("message", message),
    ("message_v1", message_v1),
    ("preferences", preferences),
    ("preferences_action", preferences_action),
    ("private_keys", private_keys),
    ("sealed_invitation", sealed_invitation),
    ("signed_content", signed_content),
    ("token", token),
];

const INVITATION: &[u8] = include_bytes!("../corpus/invitation/no-context");
const MESSAGE: &[u8] = include_bytes!("../corpus/message/text");
const AMAL: &[u8] = include_bytes!("../corpus/private_keys/amal");
const BOLA: &[u8] = include_bytes!("../corpus/private_keys/bola");
const AMALS_WALLET: &str = "e0a14824a4d77bd58bc4f6aae72753e8c5ddf34ae5243f77804b6daf9743760c";
/// When the vectors' first invitation was sealed, and when their tokens were made.
const INVITED: TimestampNs = TimestampNs::from_ns(1_686_830_400_045_000_000);
const TOKEN_MADE: TimestampNs = TimestampNs::from_ns(1_686_831_634_567_000_000);
const HOUR: Duration = Duration::from_hours(1);

/// The wallet that grants consent in the vectors' invitation that carries a proof.
const CAROS_WALLET: &str = "0x59437Ff21e75732A596ad8001aA798E0B87dab39";

static AMALS_KEYS: LazyLock<PrivateKeyBundle> = LazyLock::new(|| PrivateKeyBundle::decode(AMAL).unwrap());
static PREFERENCES: LazyLock<Preferences> = LazyLock::new(|| Preferences::of(AMALS_KEYS.identity_key()));
static CARO: LazyLock<Address> = LazyLock::new(|| CAROS_WALLET.parse().unwrap());
static DIRECT: LazyLock<message_v1::Conversation> =
    LazyLock::new(|| message_v1::Conversation::new(BOLAS_KEYS.address(), AMALS_KEYS.address()));
/// What Amal's V1 messages to Bola are sealed with.
static DIRECT_SECRET: LazyLock<[u8; 195]> = LazyLock::new(|| {
    let (own, peer) = (&*AMALS_KEYS, BOLAS_KEYS.public());
    *x3dh::shared_secret(own.identity_key(), own.pre_key(), peer, Role::Sender)
});
static BOLAS_KEYS: LazyLock<PrivateKeyBundle> = LazyLock::new(|| PrivateKeyBundle::decode(BOLA).unwrap());
static WALLET: LazyLock<WalletKey> = LazyLock::new(|| WalletKey::from_hex(AMALS_WALLET).unwrap());
static CONVERSATION: LazyLock<Conversation> = LazyLock::new(|| {
    let invitation = Invitation::decode(INVITATION).unwrap();
    Conversation::new(
        invitation.topic,
        invitation.key_material,
        [AMALS_KEYS.address(), BOLAS_KEYS.address()],
    )
});

/// A message in a known conversation.
fn message(bytes: &[u8]) -> bool {
    CONVERSATION
        .open(CONVERSATION.topic().as_str(), bytes, &[])
        .is_ok()
}

/// A V1 message from Amal to Bola or back.
fn message_v1(bytes: &[u8]) -> bool {
    DIRECT
        .open(&BOLAS_KEYS, DIRECT.topic().as_str(), bytes, &[])
        .is_ok()
}

/// The header of a V1 message that is sealed as Amal would seal it to Bola.
fn header_v1(bytes: &[u8]) -> bool {
    let plain = content::text("hi").encode();
    let sealed = Ciphertext::seal(&plain, &*DIRECT_SECRET, bytes, Entropy::from_bytes([7; 44]));
    let v1 = contents::MessageV1 {
        header_bytes: bytes.to_vec(),
        ciphertext: Some(sealed.into_proto()),
    };
    let version = Some(contents::message::Version::V1(v1));
    message_v1(&contents::Message { version }.encode_to_vec())
}

/// An envelope of an intro topic.
fn introduction(bytes: &[u8]) -> bool {
    let _ = message_v1::SessionId::of(bytes);
    message_v1::introduction(&BOLAS_KEYS, bytes, &[]).is_ok()
}

/// An envelope of Amal's consent log.
fn preferences(bytes: &[u8]) -> bool {
    PREFERENCES.open(bytes).is_ok()
}

/// What is inside of it.
fn preferences_action(bytes: &[u8]) -> bool {
    PreferencesAction::decode(bytes).is_ok_and(|actions| {
        let mut list = ConsentList::default();
        for action in &actions {
            list.apply(TimestampNs::default(), action);
        }
        list.entries().count() <= bytes.len()
    })
}

/// The consent proof inside an invitation from Bola to Caro.
fn consent_proof(bytes: &[u8]) -> bool {
    let proof = Invitation::decode(bytes)
        .ok()
        .and_then(|invitation| invitation.consent_proof);
    proof.is_some_and(|proof| proof.verify(BOLAS_KEYS.address(), *CARO, INVITED).is_ok())
}

/// What a member of the conversation signed, under the header of the first message of the vectors.
fn signed_content(bytes: &[u8]) -> bool {
    let mut outer = contents::Message::decode(MESSAGE).unwrap();
    let Some(contents::message::Version::V2(v2)) = &mut outer.version else {
        unreachable!("the message of the vectors is a V2 message");
    };
    let sealed = Ciphertext::seal(
        bytes,
        CONVERSATION.key_material(),
        &v2.header_bytes,
        Entropy::from_bytes([7; 44]),
    );
    v2.ciphertext = Some(sealed.into_proto());
    message(&outer.encode_to_vec())
}

/// An envelope of an invite topic.
fn sealed_invitation(bytes: &[u8]) -> bool {
    invitation::open(INVITED, bytes, &BOLAS_KEYS).is_ok()
}

/// What is inside of it.
fn invitation(bytes: &[u8]) -> bool {
    Invitation::decode(bytes).is_ok()
}

/// An envelope of a contact topic.
fn contact(bytes: &[u8]) -> bool {
    ContactBundle::decode(bytes).is_ok_and(|contact| {
        let named = contact.wallet_address();
        let verified = contact.verify();
        assert!(
            verified.is_err() || named.is_ok(),
            "a verified contact has a wallet"
        );
        verified.is_ok()
    })
}

/// An envelope of a private store topic.
fn key_bundle(bytes: &[u8]) -> bool {
    SealedKeyBundle::decode(bytes).is_ok_and(|sealed| sealed.open(&WALLET.sign_text(&sealed.text())).is_ok())
}

/// What is inside of it.
fn private_keys(bytes: &[u8]) -> bool {
    PrivateKeyBundle::decode(bytes).is_ok_and(|keys| keys.public_v1().is_ok())
}

/// Content with its compression.
fn content(bytes: &[u8]) -> bool {
    let content = EncodedContent::decode(bytes).and_then(|content| content.decompress(limits::CONTENT_BYTES));
    content.is_ok_and(|content| {
        // Whether it is text is another question; asking it must be safe.
        let _ = content::decode_text(&content);
        true
    })
}

/// Several contents in one.
fn composite(bytes: &[u8]) -> bool {
    Composite::decode(bytes).is_ok_and(|composite| Composite::decode(&composite.encode()) == Ok(composite))
}

/// The `Authorization` header of a publish.
fn token(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|header| token::verify(header, TOKEN_MADE, HOUR, HOUR).is_ok())
}
