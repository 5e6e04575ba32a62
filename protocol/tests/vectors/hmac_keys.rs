//! `hmac_keys.json`: keys of three periods, and verification.

use herald_protocol::{
    address::Address,
    hmac_keys,
    message_v2::{Conversation, hmac_period, verify_sender_hmac},
    proto::keystore::GetConversationHmacKeysResponse,
    time::TimestampNs,
    topic::Topic,
};
use prost::Message as _;
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
    check_export(&conversation, now, account)
}

/// What other SDKs are handed says the same.
fn check_export(conversation: &Conversation, now: TimestampNs, account: Address) -> Checked {
    let exported = hmac_keys::export([conversation, conversation], now, account);
    let read = told(GetConversationHmacKeysResponse::decode(exported.as_slice()))?;
    same("number of conversations", &read.hmac_keys.len(), &2)?;
    for entry in read.hmac_keys {
        same("topic", &entry.key.as_str(), &conversation.topic().as_str())?;
        let values = entry.value.unwrap_or_default().values;
        let exported: Vec<_> = values
            .into_iter()
            .map(|value| (value.thirty_day_periods_since_epoch, value.hmac_key))
            .collect();
        let keys = conversation.hmac_keys(now, account);
        let wanted: Result<Vec<_>, _> = keys
            .iter()
            .map(|(period, key)| i32::try_from(*period).map(|period| (period, key.to_vec())))
            .collect();
        same("exported", &exported, &told(wanted)?)?;
    }
    Ok(())
}
