//! `content_types.json`: contents encoded and decoded, files sealed, and which codec reads which version.

use herald::content::{Attachment, Content, ContentCodec as _, RemoteAttachment};
use herald_protocol::{
    content::{Compression, EncodedContent},
    limits,
};
use serde_json::Value;

use crate::{
    case::{Case, Checked, Fields, same, told},
    values::{self, NumberPair},
};

pub(crate) fn check(case: &Case<'_>) -> Checked {
    if case.inputs.has("content") {
        encode(case)
    } else if case.inputs.has("inner_encoded_content") {
        seal(case)
    } else if case.inputs.has("encoded_content") {
        decode(case)
    } else {
        Err("inputs of unknown shape".into())
    }
}

/// A value becomes these bytes, and these bytes the value.
fn encode(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let value = inputs.value("content")?;
    let wanted = EncodedContent::decode(&expected.bytes("encoded_content")?);
    let wanted = told(wanted)?;
    let read = told(Content::decode(wanted.clone()))?;
    let content_type = inputs.text("content_type")?;
    // Parts of a remote attachment only come from sealing and decoding.
    let content = match content_type {
        "xmtp.org/remoteStaticAttachment:1.0" => read.clone(),
        other => values::make(other, value)?,
    };
    same(
        "content type",
        &content.content_type().to_string().as_str(),
        &content_type,
    )?;
    let encoded = match compression(inputs)? {
        Some(compression) => content.to_encoded().compress(compression),
        None => content.to_encoded(),
    };
    same("compression", &encoded.compression, &compression(expected)?)?;
    same("parameters", &parameters(&encoded), expected.value("parameters")?)?;
    let fallback = expected.optional("fallback").and_then(Value::as_str);
    same("fallback", &encoded.fallback.as_deref(), &fallback)?;
    same(
        "should_push",
        &content.should_push(),
        &expected.flag("should_push")?,
    )?;
    same(
        "content_bytes",
        &wanted.content,
        &expected.bytes("content_bytes")?,
    )?;
    if encoded.compression.is_none() {
        expected.is_bytes("encoded_content", &encoded.encode())?;
    }
    // Compressed bytes depend on who compressed them.
    let plain = |content: EncodedContent| told(content.decompress(limits::CONTENT_BYTES));
    same("decompressed", &plain(encoded)?, &plain(wanted)?)?;
    same("value", &values::show(&content)?, value)?;
    same("decoded", &values::show(&read)?, expected.value("decoded")?)
}

/// A file becomes this blob under this key, and the blob the file.
fn seal(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let inner = told(EncodedContent::decode(&inputs.bytes("inner_encoded_content")?))?;
    let content = told(Content::decode(inner))?;
    let key = || Ok::<_, String>(values::key(inputs.array("secret")?, sealing(inputs)?));
    let sealed = told(RemoteAttachment::seal_content(&content, None, key()?))?;
    expected.is_bytes("payload", sealed.blob())?;
    expected.is_bytes("content_digest", sealed.digest())?;
    if let Some(Ok(attachment)) = content.read::<Attachment>() {
        same(
            "sealed file",
            &RemoteAttachment::seal(&attachment, key()?).blob(),
            &sealed.blob(),
        )?;
    }
    let remote = told(sealed.at("https://files.example.org/blob"))?;
    same(
        "opened",
        &told(remote.open(&expected.bytes("payload")?))?,
        &content,
    )
}

/// These bytes are this value, or of no use to this codec.
fn decode(case: &Case<'_>) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let encoded = told(EncodedContent::decode(&inputs.bytes("encoded_content")?))?;
    if let Some(codec) = inputs.optional("codec") {
        same(
            "codec",
            codec,
            &Value::from(NumberPair::content_type().to_string()),
        )?;
    }
    let content = told(Content::decode(encoded))?;
    if expected.has("fallback") {
        let fallback = expected.optional("fallback").and_then(Value::as_str);
        same("fallback", &content.fallback().as_deref(), &fallback)?;
    }
    let error = expected.optional("error").and_then(Value::as_str);
    match (values::show(&content), expected.optional("decoded"), error) {
        (Ok(shown), Some(wanted), None) => same("decoded", &shown, wanted),
        (Err(problem), None, Some(wanted)) => same("error", &problem.as_str(), &wanted),
        (found, decoded, error) => Err(format!("{found:?}, wanted {decoded:?} or the error {error:?}")),
    }
}

fn sealing(inputs: &Fields<'_>) -> Result<herald_protocol::ciphertext::Entropy, String> {
    Ok(herald_protocol::ciphertext::Entropy {
        salt: inputs.array("salt")?,
        nonce: inputs.array("nonce")?,
    })
}

fn compression(fields: &Fields<'_>) -> Result<Option<Compression>, String> {
    match fields.optional("compression").map(Value::as_u64) {
        None => Ok(None),
        Some(Some(0)) => Ok(Some(Compression::Deflate)),
        Some(Some(1)) => Ok(Some(Compression::Gzip)),
        Some(other) => Err(format!("unknown compression {other:?}")),
    }
}

fn parameters(content: &EncodedContent) -> Value {
    let parameters = content.parameters.iter().cloned();
    Value::Object(parameters.map(|(name, value)| (name, value.into())).collect())
}
