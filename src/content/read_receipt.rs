//! Read receipts, `xmtp.org/readReceipt:1.0`, as the read receipt proposal defines them: that what came before was seen.

use herald_protocol::{
    Error,
    content::{ContentTypeId, EncodedContent},
};

use super::{ContentCodec, standard};

/// All messages of the conversation up to this one were seen. It carries nothing, and no phone rings for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadReceipt;

impl ContentCodec for ReadReceipt {
    fn content_type() -> ContentTypeId {
        standard("readReceipt")
    }

    fn encode(&self) -> EncodedContent {
        EncodedContent::new(Self::content_type(), Vec::new())
    }

    /// Takes whatever the bytes are: other clients put nothing or a time there, and nobody reads it.
    fn decode(_: &EncodedContent) -> Result<Self, Error> {
        Ok(Self)
    }

    fn should_push(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;

    #[test]
    fn a_receipt_is_empty_and_rings_no_phone() {
        let receipt = Content::from(ReadReceipt);
        assert!(!receipt.should_push());
        assert!(receipt.to_encoded().content.is_empty());
        assert_eq!(Content::decode(receipt.to_encoded()), Ok(receipt));
    }
}
