//! References to transactions, `xmtp.org/transactionReference:1.0`, as XIP-21 defines them (deployed with `namespace` and
//! `networkId`): JSON that names a transaction on some chain.

use herald_protocol::{
    Error,
    content::{ContentTypeId, EncodedContent},
};
use serde::{Serialize, Serializer};

use super::{ContentCodec, JsonNumber, json, malformed, standard};

/// A transaction on some chain. Nobody has checked that it exists, or that it says what the metadata says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionReference {
    /// Whose numbers the network ids are, such as `eip155`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The chain, such as `0x1` or `1`.
    pub network_id: NetworkId,
    /// The hash of the transaction, as its chain spells it; empty while there is none.
    pub reference: String,
    /// What the sender says that it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<TransactionMetadata>>,
}

/// A chain's id: the standard takes either spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkId {
    /// A number of JSON.
    Number(JsonNumber),
    /// A text, decimal or hexadecimal.
    Text(String),
}

/// What a transaction does, as its sender says it. Senders leave members out, so each may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionMetadata {
    /// Such as `transfer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<String>,
    /// Such as `USDC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// How much, in units of ten to the power of minus `decimals`. Readers in JavaScript round above 2^53.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<JsonNumber>,
    /// How many digits of the amount are behind the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<JsonNumber>,
    /// Who pays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_address: Option<String>,
    /// Who is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_address: Option<String>,
}

impl TransactionReference {
    /// A transaction by the chain's number in EIP-155 and its hash.
    pub fn eip155(chain: u64, hash: impl Into<String>) -> Self {
        Self {
            namespace: Some("eip155".to_owned()),
            network_id: NetworkId::Number(chain.into()),
            reference: hash.into(),
            metadata: None,
        }
    }
}

impl ContentCodec for TransactionReference {
    fn content_type() -> ContentTypeId {
        standard("transactionReference")
    }

    fn encode(&self) -> EncodedContent {
        EncodedContent {
            fallback: self.fallback(),
            ..EncodedContent::new(Self::content_type(), json::write(self))
        }
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        let text = String::from_utf8_lossy(&content.content);
        let names = ["namespace", "networkId", "reference", "metadata"];
        let members = json::Members::parse(WHAT, &text, &names)?;
        let network_id = match members.raw("networkId") {
            Some(raw) if raw.starts_with('"') => NetworkId::Text(members.text("networkId")?),
            Some(_) => NetworkId::Number(number(&members, "networkId")?.ok_or_else(missing_network)?),
            None => return Err(missing_network()),
        };
        Ok(Self {
            namespace: members.optional_text("namespace")?,
            network_id,
            reference: members.text("reference")?,
            metadata: members
                .raw("metadata")
                .map(|raw| TransactionMetadata::from_json(raw).map(Box::new))
                .transpose()?,
        })
    }

    fn fallback(&self) -> Option<String> {
        Some(match self.reference.as_str() {
            "" => "Crypto transaction".to_owned(),
            hash => format!(
                "[Crypto transaction] Use a blockchain explorer to learn more using the transaction hash: {hash}"
            ),
        })
    }
}

impl TransactionMetadata {
    fn from_json(text: &str) -> Result<Self, Error> {
        let names = [
            "transactionType",
            "currency",
            "amount",
            "decimals",
            "fromAddress",
            "toAddress",
        ];
        let members = json::Members::parse("metadata of a transaction reference", text, &names)?;
        Ok(Self {
            transaction_type: members.optional_text("transactionType")?,
            currency: members.optional_text("currency")?,
            amount: number(&members, "amount")?,
            decimals: number(&members, "decimals")?,
            from_address: members.optional_text("fromAddress")?,
            to_address: members.optional_text("toAddress")?,
        })
    }
}

impl Serialize for NetworkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl std::fmt::Display for NetworkId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(text) => formatter.write_str(text),
        }
    }
}

fn number(members: &json::Members<'_>, name: &'static str) -> Result<Option<JsonNumber>, Error> {
    let parse = |raw: &str| {
        raw.parse()
            .map_err(|_| malformed(WHAT, format!("`{name}` is {}, wanted a number", json::kind(raw))))
    };
    members.raw(name).map(parse).transpose()
}

fn missing_network() -> Error {
    malformed(WHAT, "`networkId` is missing")
}

const WHAT: &str = "transaction reference";

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(json: &str) -> Result<TransactionReference, Error> {
        let content = EncodedContent::new(TransactionReference::content_type(), json.as_bytes().to_vec());
        TransactionReference::decode(&content)
    }

    #[test]
    fn an_amount_of_many_digits_comes_back_digit_by_digit() {
        let json = r#"{"networkId":1,"reference":"0xab","metadata":{"amount":123456789012345678901.50,"decimals":18}}"#;
        let read = decode(json).unwrap();
        assert_eq!(String::from_utf8(read.encode().content).unwrap(), json);
        assert_eq!(read.metadata.unwrap().decimals.unwrap().to_u64(), Some(18));
    }

    #[test]
    fn members_are_written_in_the_order_of_the_standard_and_absent_ones_left_out() {
        let mut reference = TransactionReference::eip155(1, "0xab");
        assert_eq!(
            String::from_utf8(reference.encode().content).unwrap(),
            r#"{"namespace":"eip155","networkId":1,"reference":"0xab"}"#
        );
        reference.namespace = None;
        reference.network_id = NetworkId::Text("0x1".to_owned());
        assert_eq!(
            String::from_utf8(reference.encode().content).unwrap(),
            r#"{"networkId":"0x1","reference":"0xab"}"#
        );
    }

    #[test]
    fn the_fallback_names_the_hash_when_there_is_one() {
        let fallback = |hash| TransactionReference::eip155(1, hash).fallback().unwrap();
        assert_eq!(fallback(""), "Crypto transaction");
        assert!(fallback("0xab").ends_with("using the transaction hash: 0xab"));
    }

    #[test]
    fn what_names_no_transaction_is_refused() {
        for json in [
            "[]",
            r#"{"reference":"0xab"}"#,
            r#"{"networkId":1}"#,
            r#"{"networkId":{},"reference":"0xab"}"#,
            r#"{"networkId":1,"reference":2}"#,
            r#"{"networkId":1,"reference":"","metadata":{"amount":"1"}}"#,
            r#"{"networkId":1,"reference":"","metadata":7}"#,
        ] {
            assert!(matches!(decode(json), Err(Error::Malformed { .. })), "{json}");
        }
    }
}
