//! `negative.json`: what must be refused, and what must not.

use herald_protocol::{
    address::Address,
    contact::{self, ContactBundle},
    content, invitation,
    key_bundle::SealedKeyBundle,
    wallet::WalletKey,
};
use serde_json::Value;

use crate::{
    case::{Case, Checked, hex, same, told},
    messages_v1,
    messages_v2::conversation,
    people::People,
    private_preferences,
};

/// Operations of content types, which are not this crate's: the client's own vectors test has them.
pub(crate) const OF_CONTENT_TYPES: [&str; 2] = ["open_remote_attachment", "encode_remote_attachment"];

/// What the reference client says where its limit (1000 bytes decompressed) is lower than ours: either verdict is fine.
const LOWER_LIMIT: &str = "maximum output size exceeded";

pub(crate) fn check(case: &Case<'_>, people: &People) -> Checked {
    match case.operation() {
        Some("decode_v2_message") => judge(case, &message(case, people)),
        Some("decode_v1_message") => judge_v1(case),
        Some("decrypt_private_preferences") => judge(case, &private_preferences::decrypt(case)),
        Some("open_sealed_invitation") => judge(case, &open_invitation(case)),
        Some("lookup_contact") => lookup(case),
        Some("decrypt_private_key_bundle") => judge(case, &key_bundle(case)),
        other => Err(format!("unknown operation {other:?}")),
    }
}

/// Compares verdicts. A refusal more is fine where the vectors say that stricter is fine.
fn judge(case: &Case<'_>, outcome: &Result<Checked, String>) -> Checked {
    let rejected = case.expected.flag("rejected")?;
    let lower_limit = case.expected.optional("xmtp_js_error").and_then(Value::as_str) == Some(LOWER_LIMIT);
    match outcome {
        Ok(_) if rejected && !lower_limit => Err("was accepted".into()),
        Ok(compared) => compared.clone(),
        Err(_) if rejected => Ok(()),
        Err(_) if case.name().ends_with("-is-accepted") => {
            // Stricter than the reference client, so there is nothing to compare.
            for name in ["sender", "content", "topic", "peer_address"] {
                case.expected.skip(name);
            }
            Ok(())
        }
        Err(problem) => Err(format!("was refused: {problem}")),
    }
}

/// The reference client has no older pre-keys; to open what was sealed to one is better.
fn judge_v1(case: &Case<'_>) -> Checked {
    let outcome = messages_v1::decode(case);
    if outcome.is_ok() && case.expected.flag("rejected")? && messages_v1::is_to_older_pre_key(case)? {
        case.expected.skip("xmtp_js_error");
        return Ok(());
    }
    judge(case, &outcome)
}

/// Outer: the verdict. Inner: whether what was accepted is what was expected.
fn message(case: &Case<'_>, people: &People) -> Result<Checked, String> {
    let viewer = case.inputs.keys("viewer_")?;
    let sender = case.expected.optional("sender").and_then(Value::as_str);
    let named = [
        viewer.address(),
        sender.map_or(Ok(viewer.address()), |text| told(text.parse()))?,
    ];
    let conversation = conversation(case, people, named)?;
    let bytes = case.inputs.bytes("message")?;
    let opened = told(conversation.open(conversation.topic().as_str(), &bytes, &[viewer.public()]))?;
    let text = told(content::decode_text(opened.content()))?;
    if !case.expected.has("sender") {
        return Ok(Ok(()));
    }
    let compared = case.expected.is_text("sender", opened.sender());
    Ok(compared.and_then(|()| case.expected.is_text("content", text)))
}

fn open_invitation(case: &Case<'_>) -> Result<Checked, String> {
    let viewer = case.inputs.keys("viewer_")?;
    let (time, bytes) = (
        case.inputs.time_ns("envelope_timestamp_ns")?,
        case.inputs.bytes("sealed_invitation")?,
    );
    let opened = told(invitation::open(time, &bytes, &viewer))?;
    let compared = case.expected.is_text("topic", &opened.invitation().topic);
    Ok(compared.and_then(|()| case.expected.is_text("peer_address", opened.peer())))
}

fn key_bundle(case: &Case<'_>) -> Result<Checked, String> {
    let wallet_key = told(WalletKey::from_bytes(
        &case.inputs.bytes("signing_wallet_private_key")?,
    ))?;
    let sealed = told(SealedKeyBundle::decode(
        &case.inputs.bytes("encrypted_private_key_bundle")?,
    ))?;
    let opened = told(sealed.open(&wallet_key.sign_text(&sealed.text())))?;
    Ok(same("wallet", &opened.bundle.address(), &wallet_key.address()))
}

/// Follows the batch lookup, which skips what does not fit instead of giving up.
fn lookup(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    // The words of the reference client's single lookup.
    expected.skip("xmtp_js_error");
    let wallet: Address = told(inputs.text("address")?.parse())?;
    let envelopes = inputs.list("envelopes_oldest_first")?;
    let bytes = envelopes
        .iter()
        .rev()
        .map(|value| hex(value.as_str().unwrap_or_default()));
    let newest_first = bytes.collect::<Result<Vec<_>, _>>()?;
    let selected = contact::select(wallet, newest_first.iter().map(Vec::as_slice));
    let found = selected.contact;
    let rejected = expected.flag("rejected")?;
    let wanted = match expected.optional("batch_lookup").and_then(Value::as_str) {
        Some("found") => true,
        Some("not found") => false,
        Some(other) => return Err(format!("unknown batch_lookup `{other}`")),
        None => !rejected,
    };
    same("found", &found.is_some(), &wanted)?;
    let Some(found) = found else { return Ok(()) };
    same("wallet", &found.wallet_address(), &Ok(wallet))?;
    if rejected {
        return Ok(());
    }
    let (version, bundle) = match &found {
        ContactBundle::V1(bundle) => (1, bundle.encode()),
        ContactBundle::V2(bundle) => (2, bundle.encode()),
    };
    expected.is_number("version", version)?;
    expected.is_bytes("bundle", &bundle)
}
