//! `topics.json`: names, and which addresses are refused.

use herald_protocol::{
    address::Address,
    topic::{Topic, TopicKind},
};
use hkdf::Hkdf;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    case::{Case, Checked, same, told},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, people: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    if inputs.has("addresses") {
        validation(case)
    } else if inputs.has("id") {
        let topic = told(Topic::conversation(inputs.text("id")?))?;
        same("kind", &topic.kind(), &TopicKind::Conversation)?;
        expected.is_text("m", &topic)?;
        expected.is_text("ephemeral", topic.ephemeral())
    } else if inputs.has("a") {
        let [one, other] = [told(inputs.text("a")?.parse())?, told(inputs.text("b")?.parse())?];
        expected.is_text("dm", Topic::dm(one, other))?;
        same("kind", &Topic::dm(one, other).kind(), &TopicKind::Dm)?;
        expected.is_text("ephemeral", Topic::dm_ephemeral(one, other))
    } else {
        of_address(case, people)
    }
}

fn of_address(case: &Case<'_>, people: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let address: Address = told(inputs.text("address_any_case")?.to_lowercase().parse())?;
    expected.is_text("checksum", address)?;
    expected.is_text("contact", Topic::contact(address))?;
    expected.is_text("intro", Topic::intro(address))?;
    expected.is_text("invite", Topic::invite(address))?;
    expected.is_text("privatestore_key_bundle", Topic::private_store(address))?;
    let named = expected.text("userpreferences")?;
    let identifier = match people.keys(address) {
        Some(keys) => preferences_identifier(&*keys.identity_key().to_bytes())?,
        // Nobody tells this wallet's identity key: then at least the frame around the identifier is right.
        None => identifier_in(named).ok_or(format!("`{named}` names no identifier"))?,
    };
    same(
        "userpreferences",
        &told(Topic::user_preferences(&identifier))?.as_str(),
        &named,
    )
}

/// The crate leaves the derivation to the chapter on private preferences.
fn preferences_identifier(identity_key: &[u8]) -> Result<String, String> {
    let mut derived = [0; 32];
    let hkdf = Hkdf::<Sha256>::new(Some(b"XMTP_PRIVATE_PREFERENCES_TOPIC"), identity_key);
    told(hkdf.expand(&[], &mut derived))?;
    Ok(URL_SAFE_NO_PAD.encode(Sha256::digest(derived)))
}

/// The 43 base64url characters of a topic.
fn identifier_in(topic: &str) -> Option<String> {
    let identifier = topic
        .split('/')
        .find_map(|part| part.strip_prefix("userpreferences-"))?;
    (URL_SAFE_NO_PAD.decode(identifier).ok()?.len() == 32).then(|| identifier.to_owned())
}

fn validation(case: &Case<'_>) -> Checked {
    let (addresses, results) = (case.inputs.list("addresses")?, case.expected.list("results")?);
    same("number of results", &results.len(), &addresses.len())?;
    for (address, result) in addresses.iter().zip(results) {
        same("address", &Some(address), &result.get("address"))?;
        let text = address.as_str().ok_or("an address is not text")?;
        let rejected = result
            .get("rejected")
            .and_then(Value::as_bool)
            .ok_or("no `rejected`")?;
        same(text, &text.parse::<Address>().is_err(), &rejected)?;
    }
    Ok(())
}
