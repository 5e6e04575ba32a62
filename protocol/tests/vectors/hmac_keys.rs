//! `hmac_keys.json`: keys of three periods, and verification.

use herald_protocol::{
    address::Address,
    message_v2::{Conversation, hmac_period, verify_sender_hmac},
    topic::Topic,
};
use serde_json::Value;

use crate::{
    case::{Case, Checked, same, told},
    people::{People, nested_number},
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    if inputs.has("hmac_key") {
        let (key, header) = (inputs.array("hmac_key")?, inputs.bytes("header_bytes")?);
        let valid = verify_sender_hmac(&key, &header, &inputs.bytes("sender_hmac")?);
        return same("valid", &valid, &expected.flag("valid")?);
    }
    let account: Address = told(inputs.text("account_address")?.parse())?;
    let (topic, now) = (
        told(Topic::new(inputs.text("topic")?))?,
        inputs.time_ms("now_ms")?,
    );
    let conversation = Conversation::new(topic, inputs.bytes("key_material")?.into(), [account; 2]);
    expected.is_number("current_period", hmac_period(now))?;
    let values = expected.list("values")?;
    let keys = conversation.hmac_keys(now, account);
    same("number of keys", &keys.len(), &values.len())?;
    for ((period, key), wanted) in keys.iter().zip(values) {
        same(
            "period",
            &Some(*period),
            &nested_number(wanted, "thirty_day_periods_since_epoch"),
        )?;
        let wanted = wanted.get("hmac_key").and_then(Value::as_str);
        same(
            "hmac_key",
            &Some(const_hex::encode(key.as_slice()).as_str()),
            &wanted,
        )?;
    }
    Ok(())
}
