//! The bounds of everything read from outside. Each value says where it comes from.

/// Longest topic, bytes. The classic node refuses longer ones.
pub const TOPIC_BYTES: usize = 300;

/// Longest envelope payload, bytes: 1 MiB less 300 (topic) less 62 (gossip framing), as the classic node counts.
pub const MESSAGE_BYTES: usize = 1_048_214;

/// Largest request, bytes, over gRPC and HTTP. Ours: eight full envelopes; the classic node took 50 MiB.
pub const REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// Most envelopes in one publish. Ours: bounds the work of one transaction.
pub const PUBLISH_ENVELOPES: usize = 1_000;

/// Most topics in one query or subscription. Ours: ten times a busy inbox.
pub const SUBSCRIBE_TOPICS: usize = 10_000;

/// Most envelopes in a page. The classic node's default page, which clients ask for.
pub const PAGE_ENVELOPES: usize = 100;

/// Most envelopes in a page of one `userpreferences` topic. What clients ask for there.
pub const PREFERENCES_PAGE_ENVELOPES: usize = 500;

/// Most bytes in a page. Ours: below the 4 MiB a gRPC client takes by default.
pub const PAGE_BYTES: usize = 3 * 1024 * 1024;

/// Most queries in one batch. The classic node's bound; clients split at it.
pub const BATCH_QUERIES: usize = 50;

/// Envelopes waiting for one subscriber before it is fed from the store. Ours.
pub const SUBSCRIBER_QUEUE: usize = 1_024;

/// Longest base64 text of a token, bytes. Ours: real ones have about 400.
pub const TOKEN_BYTES: usize = 4 * 1024;

/// Oldest token taken, seconds. The classic node's.
pub const TOKEN_AGE_SECONDS: u64 = 3_600;

/// How far ahead a token may be dated, seconds. Ours: the classic node takes any, so such a token never expires.
pub const TOKEN_FUTURE_SECONDS: u64 = 3_600;

/// Envelopes of a contact topic looked at for a contact. Ours: xmtp-js pages on, five at a time, for as long as none fits.
/// Nodes let nobody but the wallet publish there, so behind five that do not fit none is expected, and the work is bounded.
pub const CONTACTS: usize = 5;

/// Longest encoded bundle in the header of a V1 message, bytes. Ours: real ones have about 300.
pub const BUNDLE_BYTES: usize = 1_024;

/// Largest content after decompression, bytes. Ours: sixteen times an envelope.
pub const CONTENT_BYTES: usize = 16 * 1024 * 1024;

/// Shortest content that is worth compressing, bytes. As xmtp-js does.
pub const COMPRESS_MIN_BYTES: usize = 10;

/// Longest content that may be sent compressed, bytes: xmtp-js refuses to decompress more.
pub const COMPRESS_MAX_BYTES: usize = 1_000;

/// Most parameters of a content, and most metadata of an invitation. Ours: real ones have seven, and an empty one of two
/// bytes takes fifty in memory.
pub const PARAMETERS: usize = 1_000;

/// How deep the composites of a content may be nested. Ours: nobody writes more than two.
pub const COMPOSITE_DEPTH: usize = 16;

/// Most parts of a composite content, those of nested ones included. Ours: more than any screen shows.
pub const COMPOSITE_PARTS: usize = 1_000;

/// Oldest consent proof taken, seconds: 30 days, as xmtp-js does.
pub const CONSENT_PROOF_AGE_SECONDS: u64 = 30 * 86_400;

#[cfg(test)]
mod tests {
    #[test]
    fn a_message_its_topic_and_the_framing_fill_one_mebibyte() {
        assert_eq!(super::MESSAGE_BYTES + super::TOPIC_BYTES + 62, 1024 * 1024);
    }
}
