//! `contacts.json`: encoding, decoding, the wallet behind a contact.

use herald_protocol::{
    address::Address,
    bundle::{PublicKeyBundle, SignedPublicKeyBundle},
    contact::{self, ContactBundle, Selection},
    topic::Topic,
};

use crate::{
    case::{Case, Checked, same, told},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, people: &People) -> Checked {
    if case.inputs.has("bundle") {
        encodes(case)
    } else if case.inputs.has("contact_version") {
        choice(case, people)
    } else {
        // A peculiarity of the reference client: refusing is enough.
        case.expected.text("error")?;
        match ContactBundle::decode(&case.inputs.bytes("bytes")?) {
            Ok(_) => Err("a bundle without wrapper was taken for a contact".into()),
            Err(_) => Ok(()),
        }
    }
}

fn encodes(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let wallet: Address = told(inputs.text("wallet_address")?.parse())?;
    let (bundle, wanted) = (inputs.bytes("bundle")?, expected.bytes("contact_bundle")?);
    let read = told(ContactBundle::decode(&wanted))?;
    let (built, version) = match &read {
        ContactBundle::V1(_) => (ContactBundle::V1(told(PublicKeyBundle::decode(&bundle))?), 1),
        ContactBundle::V2(_) => (
            ContactBundle::V2(told(SignedPublicKeyBundle::decode(&bundle))?),
            2,
        ),
    };
    expected.is_number("version", version)?;
    same("decoded", &read, &built)?;
    if let (true, ContactBundle::V1(bundle)) = (expected.has("normalized_public_key_bundle_v1"), &built) {
        expected.is_bytes("normalized_public_key_bundle_v1", &bundle.encode())?;
    } else {
        expected.is_bytes("contact_bundle", &built.encode())?;
    }
    expected.is_text("topic", Topic::contact(wallet))?;
    expected.is_text("wallet_address", told(built.wallet_address())?)?;
    same("verified wallet", &told(built.verify())?.address(), &wallet)?;
    let selected = Selection {
        contact: Some(read),
        skipped: Vec::new(),
    };
    same("selected", &contact::select(wallet, [&*wanted]), &selected)
}

/// Which generation a new conversation is of, with anybody's contact of the given version.
fn choice(case: &Case<'_>, people: &People) -> Checked {
    let contact = match case.inputs.number("contact_version")? {
        1 => ContactBundle::V1(people.legacy().ok_or("the vectors have no legacy keys")?),
        2 => ContactBundle::V2(told(
            people
                .legacy()
                .ok_or("the vectors have no legacy keys")?
                .to_signed(),
        )?),
        other => return Err(format!("unknown contact version {other}")),
    };
    for (name, id) in [
        ("new_conversation_without_conversation_id", None),
        ("new_conversation_with_conversation_id", Some("example.org/1")),
    ] {
        let version = format!("{:?}", contact.conversation_version(id)).to_lowercase();
        case.expected.is_text(name, version)?;
    }
    Ok(())
}
