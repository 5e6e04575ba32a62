//! `private_preferences.json`: topics, sealing to the same bytes, opening, replay of a log.

use herald_protocol::{
    address::Address,
    consent::{ConsentList, ConsentState, Permission, Preferences, PreferencesAction, Subject},
    key::PrivateKey,
    time::TimestampNs,
    topic::Topic,
};
use hkdf::Hkdf;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    case::{Case, Checked, hex, same, told},
    encryption::payload_of,
    people::{People, nested_number},
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let inputs = &case.inputs;
    if inputs.has("envelopes") {
        replays(case)
    } else if inputs.has("order_read") {
        replays_one_time(case)
    } else if inputs.has("action_bytes") {
        reads_members(case)
    } else if inputs.has("action") {
        seals(case)
    } else {
        derives_topic(case)
    }
}

fn identity_key(case: &Case<'_>) -> Result<PrivateKey, String> {
    let key = told(PrivateKey::from_bytes(
        &case.inputs.bytes("identity_private_key")?,
    ))?;
    if case.inputs.has("identity_public_key") {
        case.inputs
            .is_bytes("identity_public_key", key.public_key().as_bytes())?;
    }
    Ok(key)
}

fn derives_topic(case: &Case<'_>) -> Checked {
    let preferences = Preferences::of(&identity_key(case)?);
    case.expected.is_text("topic", preferences.topic())?;
    let named = told(Topic::user_preferences(case.expected.text("identifier")?))?;
    same("topic of the identifier", preferences.topic(), &named)
}

fn seals(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let key = identity_key(case)?;
    let (preferences, entropy) = (Preferences::of(&key), inputs.entropy()?);
    expected.is_text("topic", preferences.topic())?;
    let actions = actions(inputs.value("action")?)?;
    let [action] = actions.as_slice() else {
        return Err(format!("`action` has {} members, wanted one", actions.len()));
    };
    expected.is_bytes("action_bytes", &action.encode())?;
    expected.is_bytes("private_preferences_payload", &preferences.seal(action, entropy))?;

    let mut secret = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(
        Some(b"XMTP_PRIVATE_PREFERENCES_ENCRYPTION"),
        key.to_bytes().as_slice(),
    );
    told(hkdf.expand(&[], &mut secret))?;
    expected.is_bytes("derived_secret", &secret)?;
    let aad = key.public_key().as_bytes();
    expected.is_bytes("payload", &payload_of(action.encode(), &secret, aad, entropy))?;
    // When it was published; the time is no part of what is sealed.
    expected.skip("envelope_timestamp_ns");
    let opened = preferences.open(&expected.bytes("private_preferences_payload")?);
    same("opened", &opened, &Ok(actions))
}

fn replays(case: &Case<'_>) -> Checked {
    let preferences = Preferences::of(&identity_key(case)?);
    let mut envelopes = Vec::new();
    for envelope in case.inputs.list("envelopes")? {
        let time = nested_number(envelope, "timestamp_ns").ok_or("an envelope without time")?;
        let message = envelope.get("message").and_then(Value::as_str);
        envelopes.push((time, hex(message.ok_or("an envelope without message")?)?));
    }
    envelopes.sort_by_key(|(time, _)| *time);
    let mut list = ConsentList::default();
    for (time, message) in &envelopes {
        // What cannot be opened is ignored.
        for action in preferences.open(message).unwrap_or_default() {
            list.apply(TimestampNs::from_ns(*time), &action);
        }
    }
    let subjects = [
        ("consent", Subject::Address),
        ("group", Subject::Group),
        ("inbox", Subject::InboxId),
    ];
    for (name, subject) in subjects {
        let Some(wanted) = case.expected.optional(name) else {
            continue;
        };
        for (name, wanted) in wanted.as_object().ok_or("no map of states")? {
            let wanted = wanted.as_str().ok_or("no state")?;
            same(name, &shown(list.state(subject, name)), &wanted)?;
            if let (Subject::Address, Ok(wallet)) = (subject, name.parse::<Address>()) {
                same(name, &shown(list.of_address(wallet)), &wanted)?;
                let lower = name.to_lowercase();
                same(&lower, &shown(list.state(subject, &lower)), &"unknown")?;
            }
        }
    }
    Ok(())
}

/// Of envelopes with one time all are replayed in the order read, so that the last one has the last word.
fn replays_one_time(case: &Case<'_>) -> Checked {
    let wallet = Address::from_bytes([7; 20]);
    let mut list = ConsentList::default();
    for kind in case.inputs.list("order_read")? {
        let permission = match kind.as_str().and_then(|kind| kind.split('-').next()) {
            Some("allow") => Permission::Allow,
            Some("deny") => Permission::Deny,
            other => return Err(format!("neither allowed nor denied: {other:?}")),
        };
        list.apply(
            TimestampNs::default(),
            &PreferencesAction::addresses(permission, [wallet]),
        );
    }
    case.expected.is_text(
        "state_of_denied_then_allowed_address",
        shown(list.of_address(wallet)),
    )
}

fn reads_members(case: &Case<'_>) -> Checked {
    let read = told(PreferencesAction::decode(&case.inputs.bytes("action_bytes")?))?;
    same(
        "actions",
        &read,
        &actions(case.expected.value("decoded_by_xmtp_js")?)?,
    )
}

const MEMBERS: [(&str, &str, Permission, Subject); 6] = [
    (
        "allowAddress",
        "walletAddresses",
        Permission::Allow,
        Subject::Address,
    ),
    (
        "denyAddress",
        "walletAddresses",
        Permission::Deny,
        Subject::Address,
    ),
    ("allowGroup", "groupIds", Permission::Allow, Subject::Group),
    ("denyGroup", "groupIds", Permission::Deny, Subject::Group),
    ("allowInboxId", "inboxIds", Permission::Allow, Subject::InboxId),
    ("denyInboxId", "inboxIds", Permission::Deny, Subject::InboxId),
];

/// The actions of a JSON action in the order of its members on the wire.
fn actions(value: &Value) -> Result<Vec<PreferencesAction>, String> {
    let mut actions = Vec::new();
    let mut shape = json!({});
    for (member, list, permission, subject) in MEMBERS {
        let Some(given) = value.get(member) else { continue };
        let names = given
            .get(list)
            .and_then(Value::as_array)
            .ok_or(format!("no `{list}`"))?;
        let names: Option<Vec<String>> = names.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
        let names = names.ok_or("a name that is not text")?;
        shape[member] = json!({ list: names });
        actions.push(PreferencesAction {
            permission,
            subject,
            names,
        });
    }
    same("action", &shape, value)?;
    Ok(actions)
}

const fn shown(state: ConsentState) -> &'static str {
    match state {
        ConsentState::Unknown => "unknown",
        ConsentState::Allowed => "allowed",
        ConsentState::Denied => "denied",
    }
}

/// Outer: the verdict. Inner: nothing more is told of what was accepted.
pub(crate) fn decrypt(case: &Case<'_>) -> Result<Checked, String> {
    let preferences = Preferences::of(&identity_key(case)?);
    told(preferences.open(&case.inputs.bytes("payload")?))?;
    Ok(Ok(()))
}
