//! `invitations.json`: deriving, sealing and opening, from both sides.

use std::collections::BTreeMap;

use herald_protocol::{
    address::Address,
    bundle::PrivateKeyBundle,
    consent::ConsentProof,
    invitation::{self, Invitation, InvitationContext, OpenedInvitation},
    message_v2::Conversation,
    proto::contents::{SealedInvitation, sealed_invitation::Version},
    time::TimestampNs,
    topic::Topic,
    x3dh::{Role, shared_secret},
};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message as _;
use serde_json::Value;
use sha2::Sha256;

use crate::{
    case::{Case, Checked, number, same, told},
    encryption::payload_of,
    people::{People, nested_number},
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    if case.inputs.has("sealed_invitation") {
        opens(case)
    } else {
        seals(case)
    }
}

fn seals(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (sender, recipient) = (inputs.keys("sender_")?, inputs.keys("recipient_")?);
    inputs.is_text("sender_address", sender.address())?;
    inputs.is_text("recipient_address", recipient.address())?;
    let role = role(&sender, &recipient);
    same(
        "canonical_role_is_recipient",
        &(role == Role::Recipient),
        &expected.flag("canonical_role_is_recipient")?,
    )?;
    let wanted = told(Invitation::decode(&expected.bytes("invitation_v1")?))?;
    let context = inputs
        .optional("context")
        .map(|value| context(value, &wanted))
        .transpose()?;
    let mut invitation = Invitation::derive(&sender, recipient.public(), context.clone());
    let theirs = Invitation::derive(&recipient, sender.public(), context);
    same("derived by the other side", &theirs, &invitation)?;
    invitation.consent_proof = inputs.optional("consent_proof").map(consent_proof).transpose()?;
    expected.is_text("topic", &invitation.topic)?;
    expected.is_bytes("key_material", &invitation.key_material)?;
    expected.is_bytes("invitation_v1", &invitation.encode())?;
    check_derivation(case, &secret(&sender, &recipient, role))?;

    let (created, entropy) = (inputs.time_ns("created_ns")?, inputs.entropy()?);
    let sealed = invitation.seal(&sender, recipient.public(), created, entropy);
    expected.is_bytes("sealed_invitation", &sealed)?;
    let header_bytes = header_bytes(&sealed)?;
    expected.is_bytes("header_bytes", &header_bytes)?;
    let sealing = secret(&sender, &recipient, Role::Sender);
    expected.is_bytes("sealing_secret", &sealing)?;
    expected.is_bytes(
        "payload",
        &payload_of(invitation.encode(), &sealing, &header_bytes, entropy),
    )?;
    let topics = [recipient.address(), sender.address()].map(|wallet| Topic::invite(wallet).to_string());
    let wanted: Vec<_> = expected
        .list("invite_topics")?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    same(
        "invite_topics",
        &topics.iter().map(String::as_str).collect(),
        &wanted,
    )?;
    let envelope = expected.time_ns("envelope_timestamp_ns")?;
    same("envelope time", &envelope, &created)?;
    for (own, we_invited, peer) in [(&sender, true, &recipient), (&recipient, false, &sender)] {
        let opened = told(invitation::open(envelope, &sealed, own))?;
        same("opened", opened.invitation(), &invitation)?;
        same("inviter", &opened.we_invited(), &we_invited)?;
        same("peer", &opened.peer(), &peer.address())?;
        same("created", &opened.created(), &created)?;
        let members = Conversation::of_invitation(own.address(), &opened).members();
        same("members", &members, &[own.address(), peer.address()])?;
    }
    Ok(())
}

/// The derivation once more, from the texts the vectors show.
fn check_derivation(case: &Case<'_>, secret: &[u8]) -> Checked {
    let expected = &case.expected;
    expected.is_bytes("canonical_secret", secret)?;
    let mut topic = told(Hmac::<Sha256>::new_from_slice(secret))?;
    topic.update(expected.text("topic_hmac_message")?.as_bytes());
    let topic_id = const_hex::encode(topic.finalize().into_bytes());
    expected.is_text("topic", told(Topic::conversation(&topic_id))?)?;
    let mut key_material = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(b"__XMTP__INVITATION__SALT__XMTP__"), secret);
    told(hkdf.expand(expected.text("hkdf_info")?.as_bytes(), &mut key_material))?;
    expected.is_bytes("key_material", &key_material)
}

fn opens(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (sealed, created) = (
        inputs.bytes("sealed_invitation")?,
        expected.time_ns("created_ns")?,
    );
    for (prefix, we_invited) in [("sender_", true), ("recipient_", false)] {
        let given = ["v1", "v2"]
            .iter()
            .any(|version| inputs.has(&format!("{prefix}private_bundle_{version}")));
        if !given {
            continue;
        }
        let own = inputs.keys(prefix)?;
        let opened: OpenedInvitation = told(invitation::open(created, &sealed, &own))?;
        same("inviter", &opened.we_invited(), &we_invited)?;
        expected.is_text("topic", &opened.invitation().topic)?;
        expected.is_bytes("key_material", &opened.invitation().key_material)?;
        let wanted = told(Invitation::decode(&expected.bytes("invitation_v1")?))?;
        same("invitation", opened.invitation(), &wanted)?;
        expected.is_bytes("invitation_v1", &opened.invitation().encode())?;
        same("created", &opened.created(), &created)?;
        let other_time = TimestampNs::from_ns(created.as_ns() + 1);
        same(
            "opens at another time",
            &invitation::open(other_time, &sealed, &own).is_ok(),
            &false,
        )?;
        let (host, guest) = if we_invited {
            (own.address(), opened.peer())
        } else {
            (opened.peer(), own.address())
        };
        for (name, wallet) in [("sender_address", host), ("recipient_address", guest)] {
            if expected.has(name) {
                expected.is_text(name, wallet)?;
            }
        }
    }
    Ok(())
}

fn role(own: &PrivateKeyBundle, peer: &PrivateKeyBundle) -> Role {
    let text = |address: Address| address.to_string();
    if text(own.address()) < text(peer.address()) {
        Role::Recipient
    } else {
        Role::Sender
    }
}

fn secret(own: &PrivateKeyBundle, peer: &PrivateKeyBundle, role: Role) -> Vec<u8> {
    shared_secret(own.identity_key(), own.pre_key(), peer.public(), role).to_vec()
}

fn header_bytes(sealed: &[u8]) -> Result<Vec<u8>, String> {
    match told(SealedInvitation::decode(sealed))?.version {
        Some(Version::V1(v1)) => Ok(v1.header_bytes),
        None => Err("no `v1`".into()),
    }
}

/// The JSON reader forgets the order of metadata, so it is taken from the wanted invitation if that has the same.
fn context(value: &Value, wanted: &Invitation) -> Result<InvitationContext, String> {
    let id = value
        .get("conversation_id")
        .and_then(Value::as_str)
        .ok_or("a context without id")?;
    let metadata = value
        .get("metadata")
        .and_then(Value::as_object)
        .ok_or("a context without metadata")?;
    let entry = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let given: BTreeMap<String, String> = metadata
        .iter()
        .map(entry)
        .collect::<Option<_>>()
        .ok_or("metadata that is not text")?;
    let ordered = wanted
        .context
        .as_ref()
        .map(|context| context.metadata.clone())
        .unwrap_or_default();
    same("metadata", &ordered.iter().cloned().collect(), &given)?;
    Ok(InvitationContext {
        conversation_id: id.to_owned(),
        metadata: ordered,
    })
}

fn consent_proof(value: &Value) -> Result<ConsentProof, String> {
    let version = nested_number(value, "payload_version").ok_or("a consent proof without version")?;
    Ok(ConsentProof {
        signature: value
            .get("signature")
            .and_then(Value::as_str)
            .ok_or("no consent signature")?
            .to_owned(),
        timestamp_ms: value
            .get("timestamp_ms")
            .and_then(number)
            .ok_or("a consent proof without time")?,
        payload_version: told(i32::try_from(version))?,
    })
}
