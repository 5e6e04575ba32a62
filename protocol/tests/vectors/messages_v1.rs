//! `messages_v1.json`: sealing to the same bytes, opening from both sides, topics, ids.

use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    content,
    message::MessageId,
    message::OpenedMessage,
    message_v1::{Conversation, Session, SessionId, introduction},
    proto::contents::{Message, MessageV1, message::Version},
    topic::Topic,
    x3dh::{Role, shared_secret},
};
use prost::Message as _;
use serde_json::Value;

use crate::{
    case::{Case, Checked, same, told},
    content as contents,
    encryption::{aes_key, payload_of},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (sender, recipient) = (inputs.keys("sender_")?, inputs.keys("recipient_")?);
    let conversation = Conversation::new(sender.address(), recipient.address());
    let (payload, sent) = (inputs.bytes("encoded_content")?, inputs.time_ms("timestamp_ms")?);
    let session = told(Session::outgoing(&sender, recipient.public()))?;
    let sealed = told(conversation.seal(&session, &payload, sent, inputs.entropy()?))?;
    expected.is_bytes("message", &sealed.bytes)?;
    expected.is_text("id", sealed.id)?;
    same("id of sealed", &sealed.id, &MessageId::of(&sealed.bytes))?;
    expected.is_number("envelope_timestamp_ns", sealed.created.as_ns())?;
    same("session", &SessionId::of(&sealed.bytes), &Ok(session.id()))?;
    check_parts(case, &sender, &recipient, &v1_of(&sealed.bytes)?)?;

    let topics: Vec<&str> = expected
        .list("published_topics_in_order")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    check_topics(&conversation, &topics)?;
    for own in [&sender, &recipient] {
        let peer = told(introduction(own, &sealed.bytes, &[]))?;
        let wanted = conversation
            .members()
            .into_iter()
            .find(|member| *member != own.address());
        same("introduced", &Some(peer.peer()), &wanted)?;
        same("introduced at", &peer.sent(), &sent)?;
        let conversation = Conversation::new(own.address(), peer.peer());
        for topic in &topics {
            let unknown = told(conversation.open(own, topic, &sealed.bytes, &[]))?;
            let learned = unknown.new_keys().ok_or("no new session")?;
            let known = told(conversation.open(own, topic, &sealed.bytes, &[learned]))?;
            same("new session", &known.new_keys().is_some(), &false)?;
            for opened in [&unknown, &known] {
                check_opened(case, conversation.members(), opened)?;
                same("sent", &opened.sent(), &sent)?;
            }
        }
    }
    Ok(())
}

/// What is inside the sealed message.
fn check_parts(
    case: &Case<'_>,
    sender: &PrivateKeyBundle,
    recipient: &PrivateKeyBundle,
    v1: &MessageV1,
) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (payload, entropy) = (inputs.bytes("encoded_content")?, inputs.entropy()?);
    let secret = shared_secret(
        sender.identity_key(),
        sender.pre_key(),
        recipient.public(),
        Role::Sender,
    );
    expected.is_bytes("secret", secret.as_slice())?;
    expected.is_bytes("aes_key", &aes_key(secret.as_slice(), &entropy.salt))?;
    expected.is_bytes("header_bytes", &v1.header_bytes)?;
    expected.is_bytes(
        "payload",
        &payload_of(&payload, secret.as_slice(), &v1.header_bytes, entropy),
    )
}

/// The conversation's topic or its ephemeral form; both intros before it for a first message.
fn check_topics(conversation: &Conversation, topics: &[&str]) -> Checked {
    let forms = [conversation.topic().clone(), conversation.ephemeral_topic()];
    let [own, peer] = conversation.members();
    let intros = [Topic::intro(peer), Topic::intro(own)];
    let is_known = |wanted: &[&Topic]| {
        topics
            .iter()
            .copied()
            .eq(wanted.iter().map(|topic| topic.as_str()))
    };
    let known = forms
        .iter()
        .any(|form| is_known(&[form]) || is_known(&[&intros[0], &intros[1], form]));
    same("published on intros and conversation", &known, &true)
}

fn check_opened(case: &Case<'_>, members: [Address; 2], opened: &OpenedMessage<Session>) -> Checked {
    let (expected, read) = (&case.expected, opened.content());
    expected.is_text("id", opened.id())?;
    expected.is_text("sender_address", opened.sender())?;
    let recipient = members.into_iter().find(|member| *member != opened.sender());
    expected.is_text("recipient_address", recipient.ok_or("no other member")?)?;
    expected.is_text("content_type", &read.content_type)?;
    contents::check(read, expected.value("content")?)
}

/// Outer: the verdict. Inner: whether what was accepted is what was expected.
pub(crate) fn decode(case: &Case<'_>) -> Result<Checked, String> {
    let inputs = &case.inputs;
    let viewer = inputs.keys("viewer_")?;
    inputs.is_text("viewer_address", viewer.address())?;
    let peer: Address = told(inputs.text("conversation_peer")?.parse())?;
    let conversation = Conversation::new(viewer.address(), peer);
    let message = inputs.bytes("message")?;
    let opened = told(conversation.open(&viewer, conversation.topic().as_str(), &message, &[]))?;
    let text = told(content::decode_text(opened.content()))?;
    if !case.expected.has("sender") {
        return Ok(Ok(()));
    }
    let compared = case.expected.is_text("sender", opened.sender());
    Ok(compared.and_then(|()| case.expected.is_text("content", text)))
}

/// Whether a message that the reference client refuses is one it cannot open for the lack of a rotated pre-key: with the
/// newest pre-key alone nobody could, with an older one we do.
pub(crate) fn is_to_older_pre_key(case: &Case<'_>) -> Result<bool, String> {
    use herald_protocol::bundle::PublicKeyBundle;
    use herald_protocol::proto::contents::MessageHeaderV1;
    let viewer = told(case.inputs.keys("viewer_")?.public_v1())?;
    let v1 = v1_of(&case.inputs.bytes("message")?)?;
    let header = told(MessageHeaderV1::decode(&*v1.header_bytes))?;
    for named in [header.sender, header.recipient].into_iter().flatten() {
        let named = told(PublicKeyBundle::decode(&named))?;
        if named.identity_key == viewer.identity_key && named.pre_key != viewer.pre_key {
            return Ok(true);
        }
    }
    Ok(false)
}

fn v1_of(bytes: &[u8]) -> Result<MessageV1, String> {
    match told(Message::decode(bytes))?.version {
        Some(Version::V1(v1)) => Ok(v1),
        _ => Err("sealed to another version".into()),
    }
}
