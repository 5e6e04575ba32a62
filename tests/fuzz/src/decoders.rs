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
    bundle::PrivateKeyBundle,
    ciphertext::{Ciphertext, Entropy},
    contact::ContactBundle,
    content::{self, EncodedContent},
    invitation::{self, Invitation},
    key_bundle::SealedKeyBundle,
    limits,
    message_v2::Conversation,
    proto::contents,
    time::TimestampNs,
    token,
    wallet::WalletKey,
};
use prost::Message as _;

/// A decoder: whether it took the bytes.
pub(crate) type Decoder = fn(&[u8]) -> bool;

/// The decoders by the names of their corpora.
pub(crate) const DECODERS: [(&str, Decoder); 9] = [
    ("contact", contact),
    ("content", content),
    ("invitation", invitation),
    ("key_bundle", key_bundle),
    ("message", message),
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

static BOLAS_KEYS: LazyLock<PrivateKeyBundle> = LazyLock::new(|| PrivateKeyBundle::decode(BOLA).unwrap());
static WALLET: LazyLock<WalletKey> = LazyLock::new(|| WalletKey::from_hex(AMALS_WALLET).unwrap());
static CONVERSATION: LazyLock<Conversation> = LazyLock::new(|| {
    let amal = PrivateKeyBundle::decode(AMAL).unwrap();
    let invitation = Invitation::decode(INVITATION).unwrap();
    Conversation::new(
        invitation.topic,
        invitation.key_material,
        [amal.address(), BOLAS_KEYS.address()],
    )
});

/// A message in a known conversation.
fn message(bytes: &[u8]) -> bool {
    CONVERSATION
        .open(CONVERSATION.topic().as_str(), bytes, &[])
        .is_ok()
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

/// The `Authorization` header of a publish.
fn token(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|header| token::verify(header, TOKEN_MADE, HOUR, HOUR).is_ok())
}
