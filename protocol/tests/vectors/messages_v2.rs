//! `messages_v2.json`: sealing to the same bytes, opening, ids.

use herald_protocol::{
    address::Address,
    bundle::{PrivateKeyBundle, VerifiedBundle},
    ciphertext::Ciphertext,
    content::{self, ContentTypeId},
    message_v2::{
        Conversation, MessageId, OpenedMessage, Outgoing, hmac_key, hmac_period, verify_sender_hmac,
    },
    proto::contents::{Message, MessageV2, SignedContent, message::Version},
    signature::Signature,
    time::TimestampNs,
    topic::Topic,
};
use prost::Message as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    case::{Case, Checked, number, same, told},
    content as contents,
    encryption::{aes_key, payload_of},
    people::People,
};

const PERIOD_MS: u64 = 30 * 86_400_000;

pub(crate) fn check(case: &Case<'_>, people: &People) -> Checked {
    if case.inputs.has("encoded_content") {
        seals(case, people)
    } else {
        opens(case, people)
    }
}

/// The conversation a case names, with members found by its key material.
pub(crate) fn conversation(
    case: &Case<'_>,
    people: &People,
    named: [Address; 2],
) -> Result<Conversation, String> {
    let topic = told(Topic::new(case.inputs.text("conversation_topic")?))?;
    let key_material = case.inputs.bytes("key_material")?;
    let members = people.members(&key_material, named);
    Ok(Conversation::new(topic, key_material.into(), members))
}

fn seals(case: &Case<'_>, people: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let own = inputs.keys("sender_")?;
    inputs.is_text("sender_address", own.address())?;
    let conversation = conversation(case, people, [own.address(); 2])?;
    let (payload, created) = (inputs.bytes("encoded_content")?, inputs.time_ns("created_ns")?);
    let period = inputs
        .optional("hmac_period")
        .map(|period| number(period).ok_or("no period"))
        .transpose()?;
    // The same once more, or prose about it.
    inputs.skip("sender_hmac_period");
    let should_push = inputs.optional("should_push").and_then(Value::as_bool);
    let now = TimestampNs::from_ms(period.unwrap_or(0) * PERIOD_MS).ok_or("period out of range")?;
    let outgoing = Outgoing {
        created,
        now,
        should_push: should_push.unwrap_or_default(),
    };
    let sealed = conversation.seal(&own, &payload, &outgoing, inputs.entropy()?);
    same("id of sealed", &sealed.id, &MessageId::of(&sealed.bytes))?;
    expected.is_number("envelope_timestamp_ns", sealed.created.as_ns())?;

    let mut v2 = v2_of(&sealed.bytes)?;
    if period.is_none() {
        v2.sender_hmac = None;
    }
    if should_push.is_none() {
        v2.should_push = None;
    }
    check_parts(case, &own, &v2)?;
    let bytes = Message {
        version: Some(Version::V2(v2)),
    }
    .encode_to_vec();
    expected.is_bytes("message", &bytes)?;
    expected.is_text("id", MessageId::of(&bytes))?;

    let topic = expected.text("published_topic")?;
    let forms = [
        conversation.topic().to_string(),
        conversation.topic().ephemeral().to_string(),
    ];
    same(
        "published on a topic of the conversation",
        &forms.iter().any(|form| form == topic),
        &true,
    )?;
    let unknown = told(conversation.open(topic, &bytes, &[]))?;
    same("sender bundle", &unknown.new_keys(), &Some(own.public()))?;
    let opened = told(conversation.open(topic, &bytes, &[own.public()]))?;
    same("sender bundle", &opened.new_keys(), &None)?;
    for opened in [opened, unknown] {
        same("sent", &opened.sent(), &created)?;
        expected.is_text("sender_address", opened.sender())?;
        expected.is_text("id", opened.id())?;
        check_content(case, &opened, None)?;
    }
    Ok(())
}

/// What is inside the sealed message, and what marks it.
fn check_parts(case: &Case<'_>, own: &PrivateKeyBundle, v2: &MessageV2) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (key_material, entropy) = (inputs.bytes("key_material")?, inputs.entropy()?);
    expected.is_bytes("header_bytes", &v2.header_bytes)?;
    expected.is_bytes("aes_key", &aes_key(&key_material, &entropy.salt))?;
    let payload = inputs.bytes("encoded_content")?;
    let digest = Sha256::new()
        .chain_update(&v2.header_bytes)
        .chain_update(&payload)
        .finalize();
    expected.is_bytes("sign_digest_sha256", &digest)?;
    let ciphertext = told(Ciphertext::from_proto(
        v2.ciphertext.clone().ok_or("no ciphertext")?,
    ))?;
    let signed = told(ciphertext.open(&key_material, &v2.header_bytes))?;
    expected.is_bytes("signed_content", &signed)?;
    expected.is_bytes(
        "payload",
        &payload_of(&signed, &key_material, &v2.header_bytes, entropy),
    )?;
    let signature = told(SignedContent::decode(&*signed))?
        .signature
        .ok_or("no signature")?;
    expected.is_signature("signature", &told(Signature::from_proto(&signature))?)?;
    let Some(sender_hmac) = &v2.sender_hmac else {
        return same("sender_hmac", &expected.optional("sender_hmac"), &None);
    };
    expected.is_bytes("sender_hmac", sender_hmac)?;
    let key = hmac_key(inputs.number("hmac_period")?, &key_material, own.address());
    same(
        "valid hmac",
        &verify_sender_hmac(&key, &v2.header_bytes, sender_hmac),
        &true,
    )
}

fn opens(case: &Case<'_>, people: &People) -> Checked {
    let message = case.inputs.bytes("message")?;
    let conversation = conversation(case, people, [Address::from_bytes([0; 20]); 2])?;
    let opened = told(conversation.open(conversation.topic().as_str(), &message, &[]))?;
    case.expected.is_text("id", opened.id())?;
    let codecs: Vec<&str> = case
        .inputs
        .list("registered_codecs")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    check_content(case, &opened, Some(&codecs))
}

/// `codecs` are the reader's; nothing means that it has one for the content.
fn check_content(
    case: &Case<'_>,
    opened: &OpenedMessage<VerifiedBundle>,
    codecs: Option<&[&str]>,
) -> Checked {
    let (expected, content) = (&case.expected, opened.content());
    expected.is_text("content_type", &content.content_type)?;
    let fallback = expected.optional("content_fallback").and_then(Value::as_str);
    same("content_fallback", &content.fallback.as_deref(), &fallback)?;
    let understood = codecs.is_none_or(|codecs| {
        codecs
            .iter()
            .filter_map(|codec| parse(codec))
            .any(|codec| codec.understands(&content.content_type))
    });
    if understood {
        same("error", &expected.optional("error"), &None)?;
        return contents::check(content, expected.value("content")?);
    }
    expected.is_text("error", format!("unknown content type {}", content.content_type))?;
    same("content", &expected.optional("content"), &None)?;
    same(
        "understood as text",
        &content::decode_text(content).is_ok(),
        &false,
    )
}

/// Reads `authority/type:major.minor`.
fn parse(codec: &str) -> Option<ContentTypeId> {
    let (name, version) = codec.rsplit_once(':')?;
    let ((authority, kind), (major, minor)) = (name.rsplit_once('/')?, version.split_once('.')?);
    Some(ContentTypeId::new(
        authority,
        kind,
        major.parse().ok()?,
        minor.parse().ok()?,
    ))
}

fn v2_of(bytes: &[u8]) -> Result<MessageV2, String> {
    match told(Message::decode(bytes))?.version {
        Some(Version::V2(v2)) => {
            same("periods", &hmac_period(TimestampNs::from_ns(0)), &0)?;
            Ok(v2)
        }
        _ => Err("sealed to another version".into()),
    }
}
