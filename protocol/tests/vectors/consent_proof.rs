//! `consent_proof.json`: the text, and which proofs count.

use herald_protocol::{
    address::Address,
    consent::{ConsentProof, consent_proof_text},
};

use crate::{
    case::{Case, Checked, same, told},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let address = |name| -> Result<Address, String> { told(inputs.text(name)?.parse()) };
    let (sender, receiver) = (address("invite_sender_address")?, address("receiver_address")?);
    let (signed, now) = (
        inputs.time_ms("consent_timestamp_ms")?,
        inputs.time_ms("receiver_clock_ms_about")?,
    );
    let proof = ConsentProof {
        signature: inputs.text("consent_signature")?.to_owned(),
        timestamp_ms: signed.as_ms(),
        payload_version: 1,
    };

    // Some wallets signed for another sender or another spelling; all else must be as we write it.
    let text = expected.text("text_signed")?;
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("From Address: "))
        .ok_or("a text without sender")?;
    let ours = consent_proof_text(sender, signed).replace(&sender.to_string(), named);
    same("text_signed", &ours.as_str(), &text)?;

    let verdict = proof.verify(sender, receiver, now);
    match expected.text("consent_state_after_load")? {
        "allowed" => same("verdict", &verdict, &Ok(())),
        "unknown" => same("accepted", &verdict.is_ok(), &false),
        other => Err(format!("unknown state `{other}`")),
    }
}
