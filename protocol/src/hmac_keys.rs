//! The keys by which a push server recognises an account's own messages, in the form other SDKs take them.

use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    address::Address,
    message_v2::Conversation,
    proto::keystore::{
        GetConversationHmacKeysResponse,
        get_conversation_hmac_keys_response::{HmacKeyData, HmacKeys, HmacKeysEntry},
    },
    time::TimestampNs,
};

/// Encodes `xmtp.keystore_api.v1.GetConversationHmacKeysResponse`: for each conversation, in the order given, its topic
/// and the keys of the last, the current and the next 30-day period. The keys are secret; the bytes are wiped when dropped.
pub fn export<'a>(
    conversations: impl IntoIterator<Item = &'a Conversation>,
    now: TimestampNs,
    account: Address,
) -> Zeroizing<Vec<u8>> {
    let entry = |conversation: &Conversation| HmacKeysEntry {
        key: conversation.topic().as_str().to_owned(),
        value: Some(keys_of(conversation, now, account)),
    };
    let mut response = GetConversationHmacKeysResponse {
        hmac_keys: conversations.into_iter().map(entry).collect(),
    };
    let bytes = Zeroizing::new(response.encode_to_vec());
    response
        .hmac_keys
        .iter_mut()
        .filter_map(|entry| entry.value.as_mut())
        .flat_map(|keys| &mut keys.values)
        .for_each(|value| value.hmac_key.zeroize());
    bytes
}

fn keys_of(conversation: &Conversation, now: TimestampNs, account: Address) -> HmacKeys {
    let value = |(period, key): &(u64, Zeroizing<[u8; 32]>)| HmacKeyData {
        // The last period of the clock, in the year 2554, is below ten thousand.
        thirty_day_periods_since_epoch: i32::try_from(*period).unwrap_or(i32::MAX),
        hmac_key: key.to_vec(),
    };
    HmacKeys {
        values: conversation.hmac_keys(now, account).iter().map(value).collect(),
    }
}
