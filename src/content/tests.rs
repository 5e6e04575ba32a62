//! What holds for every type.

use proptest::prelude::*;

use super::*;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,20}"
}

fn optional_text() -> impl Strategy<Value = Option<String>> {
    prop::option::of("\\PC{1,20}")
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..50)
}

prop_compose! {
    fn reaction()(
        reference in text(), reference_inbox_id in optional_text(), action in text(), kind in 0..4_usize, content in text(),
    ) -> Reaction {
        let schema = ["unicode", "shortcode", "custom", "other"][kind].to_owned().into();
        let action = if kind < 2 { "added".to_owned() } else { action }.into();
        Reaction { reference, reference_inbox_id, action, schema, content }
    }
}

prop_compose! {
    fn attachment()(filename in text(), mime_type in text(), data in bytes()) -> Attachment {
        Attachment { filename, mime_type, data }
    }
}

prop_compose! {
    fn remote()(attachment in attachment(), path in "[a-z/?=]{0,20}", random in any::<[u8; 32]>()) -> RemoteAttachment {
        let mut key = [3; 76];
        key[..32].copy_from_slice(&random);
        let sealed = RemoteAttachment::seal(&attachment, AttachmentKey::from_random(key));
        sealed.at(&format!("https://files.example.org/{path}")).unwrap()
    }
}

prop_compose! {
    fn transaction()(
        namespace in optional_text(), number in any::<u64>(), reference in text(), digits in "-?[1-9][0-9]{0,60}(\\.[0-9]{1,9})?",
        currency in optional_text(), from_address in optional_text(), has_metadata in any::<bool>(),
    ) -> TransactionReference {
        let network_id = match &namespace {
            Some(text) => NetworkId::Text(text.clone()),
            None => NetworkId::Number(number.into()),
        };
        let metadata = has_metadata.then(|| Box::new(TransactionMetadata {
            currency, from_address, amount: Some(digits.parse().unwrap()), ..TransactionMetadata::default()
        }));
        TransactionReference { namespace, network_id, reference, metadata }
    }
}

/// As it arrives: nested contents have no fallback.
fn custom() -> impl Strategy<Value = Content> {
    (text(), any::<[u32; 2]>(), bytes()).prop_map(|(name, [major, minor], bytes)| {
        let id = ContentTypeId::new("example.org", &name, major, minor);
        Content::from(Custom::from(EncodedContent::new(id, bytes)))
    })
}

fn content() -> impl Strategy<Value = Content> {
    let leaf = prop_oneof![
        text().prop_map(Content::Text),
        reaction().prop_map(Content::Reaction),
        Just(Content::ReadReceipt),
        attachment().prop_map(Content::Attachment),
        remote().prop_map(Content::RemoteAttachment),
        transaction().prop_map(Content::TransactionReference),
        custom(),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            (text(), optional_text(), inner.clone()).prop_map(|(reference, reference_inbox_id, content)| {
                let content = Box::new(content);
                Content::Reply(Reply {
                    reference,
                    reference_inbox_id,
                    content,
                })
            }),
            prop::collection::vec(inner, 0..3).prop_map(|parts| Content::Composite(Composite { parts })),
        ]
    })
}

proptest! {
    #[test]
    fn every_content_comes_back_as_itself(content in content()) {
        let encoded = content.to_encoded();
        prop_assert_eq!(&encoded.content_type, &content.content_type());
        prop_assert_eq!(&encoded.fallback, &content.fallback());
        let read = Content::decode(EncodedContent::decode(&content.encode()).unwrap());
        prop_assert_eq!(read, Ok(content));
    }

    #[test]
    fn what_compression_is_put_on_comes_off(content in content(), gzip in any::<bool>()) {
        use herald_protocol::content::Compression;
        let compression = if gzip { Compression::Gzip } else { Compression::Deflate };
        let packed = content.to_encoded().compress(compression);
        let read = Content::decode(EncodedContent::decode(&packed.encode()).unwrap());
        prop_assert_eq!(read, Ok(content));
    }

    #[test]
    fn no_bytes_of_any_type_make_decoding_panic(
        kind in 0..TYPES.len(), names in prop::collection::vec(0..PARAMETERS.len(), 0..9),
        values in prop::collection::vec(text(), PARAMETERS.len()), bytes in bytes(), json in "[{}\\[\\]\",:a-z0-9 ]{0,40}",
    ) {
        for body in [bytes, json.into_bytes()] {
            let mut content = EncodedContent::new(standard(TYPES[kind]), body);
            let parameter = |name: &usize| (PARAMETERS[*name].to_owned(), values[*name].clone());
            content.parameters = names.iter().map(parameter).collect();
            if let Ok(read) = Content::decode(content) {
                prop_assert_eq!(Content::decode(read.to_encoded()), Ok(read));
            }
        }
    }

    #[test]
    fn cut_or_changed_bytes_do_not_make_decoding_panic(content in content(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = content.encode();
        let at = at.index(bytes.len().max(1));
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1_u8 << bit;
        }
        for bytes in [&bytes[..], &bytes[..at.min(bytes.len())]] {
            let _ = EncodedContent::decode(bytes).and_then(Content::decode);
        }
    }
}

#[test]
fn contents_are_made_of_what_they_are() {
    assert_eq!(Content::from("gm"), Content::Text("gm".to_owned()));
    assert_eq!(Content::from("gm".to_owned()).as_text(), Some("gm"));
    assert_eq!(Content::from(Reply::new("id", "gm")).as_text(), Some("gm"));
    assert_eq!(Content::from(ReadReceipt).as_text(), None);
    assert_eq!(
        Content::from(ReadReceipt).content_type().to_string(),
        "xmtp.org/readReceipt:1.0"
    );
}

const TYPES: [&str; 8] = [
    "text",
    "reaction",
    "reply",
    "readReceipt",
    "attachment",
    "remoteStaticAttachment",
    "transactionReference",
    "composite",
];

const PARAMETERS: [&str; 9] = [
    "encoding",
    "action",
    "reference",
    "schema",
    "filename",
    "mimeType",
    "contentDigest",
    "secret",
    "contentLength",
];
