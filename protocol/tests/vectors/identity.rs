//! `identity.json`: keys, signed bytes, texts, signatures and bundles of both generations.

use herald_protocol::{
    bundle::{PrivateKeyBundle, PublicKeyBundle, SignedPublicKeyBundle, UnsignedIdentity},
    key::PrivateKey,
    signature::Signature,
    wallet::{self, WalletKey},
};
use sha2::{Digest as _, Sha256};

use crate::{
    case::{Case, Checked, same, told},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let wallet_key = told(WalletKey::from_bytes(&inputs.bytes("wallet_private_key")?))?;
    inputs.is_text("wallet_address", wallet_key.address())?;
    let identity = told(PrivateKey::from_bytes(&inputs.bytes("identity_private_key")?))?;
    let pre_key = told(PrivateKey::from_bytes(&inputs.bytes("pre_private_key")?))?;
    let legacy = inputs.has("identity_timestamp_ms");
    let (unsigned, pre_created) = if legacy {
        let created = inputs.time_ms("identity_timestamp_ms")?;
        (
            UnsignedIdentity::legacy(identity.clone(), created),
            inputs.time_ms("pre_timestamp_ms")?,
        )
    } else {
        let created = inputs.time_ns("identity_created_ns")?;
        (
            UnsignedIdentity::native(identity.clone(), created),
            inputs.time_ns("pre_created_ns")?,
        )
    };
    let text = unsigned.text();
    expected.is_text("create_identity_text", &text)?;
    let signature = wallet_key.sign_text(&text);
    expected.is_bytes("create_identity_wallet_signature", &signature)?;
    let keys = told(unsigned.signed(wallet_key.address(), &signature, pre_key.clone(), pre_created))?;
    expected.is_text("recovered_wallet_address", keys.address())?;
    same(
        "recover_text",
        &wallet::recover_text(&text, &signature),
        &Ok(wallet_key.address()),
    )?;
    let public = keys.public().bundle();
    expected.is_bytes("signed_public_key_bundle", keys.public().as_encoded())?;
    let decoded = told(SignedPublicKeyBundle::decode(keys.public().as_encoded()))?;
    same("decoded bundle", &decoded, public)?;
    same(
        "is_from_legacy_bundle",
        &public.is_from_legacy(),
        &expected.flag("is_from_legacy_bundle")?,
    )?;
    if legacy {
        check_legacy(case, &keys, &signature)
    } else {
        check_native(case, &keys)
    }
}

fn check_legacy(case: &Case<'_>, keys: &PrivateKeyBundle, signature: &[u8; 65]) -> Checked {
    let expected = &case.expected;
    let public = told(keys.public_v1())?;
    expected.is_bytes("identity_public_key", public.identity_key.key().as_bytes())?;
    expected.is_bytes("pre_public_key", public.pre_key.key().as_bytes())?;
    let identity_bytes = public.identity_key.signed_bytes();
    expected.is_bytes("identity_bytes_to_sign", &identity_bytes)?;
    expected.is_text(
        "create_identity_text",
        wallet::create_identity_text(&identity_bytes),
    )?;
    let identity_signature = public
        .identity_key
        .signature()
        .ok_or("identity key without signature")?;
    expected.is_signature("identity_signature_v1", identity_signature)?;
    let stored = told(Signature::from_wallet(signature))?;
    same(
        "stored wallet signature",
        stored.as_bytes(),
        identity_signature.as_bytes(),
    )?;
    let pre_bytes = public.pre_key.signed_bytes();
    expected.is_bytes("pre_bytes_to_sign", &pre_bytes)?;
    expected.is_bytes("pre_sign_digest_sha256", &Sha256::digest(&pre_bytes))?;
    let pre_signature = public.pre_key.signature().ok_or("pre-key without signature")?;
    expected.is_signature("pre_signature", pre_signature)?;
    expected.is_bytes(
        "legacy_public_key_identity",
        &encoded(&public.identity_key.to_proto()),
    )?;
    expected.is_bytes("legacy_public_key_pre", &encoded(&public.pre_key.to_proto()))?;
    expected.is_bytes("public_key_bundle_v1", &public.encode())?;

    let signed = keys.public().bundle();
    expected.is_bytes("signed_identity_key_bytes", signed.identity_key().key_bytes())?;
    expected.is_signature("signed_identity_signature", signed.identity_key().signature())?;
    expected.is_bytes("signed_pre_key_bytes", signed.pre_key().key_bytes())?;
    expected.is_signature("signed_pre_signature", signed.pre_key().signature())?;
    let decoded = told(PublicKeyBundle::decode(&expected.bytes("public_key_bundle_v1")?))?;
    expected.is_bytes("signed_public_key_bundle", &told(decoded.to_signed())?.encode())?;
    let decoded = told(SignedPublicKeyBundle::decode(
        &expected.bytes("signed_public_key_bundle")?,
    ))?;
    expected.is_bytes("public_key_bundle_v1", &told(decoded.to_legacy())?.encode())?;

    let (v1, v2) = (
        "private_key_bundle_encoded_v1",
        "private_key_bundle_encoded_v2_from_v1",
    );
    for keys in [keys, &decode(case, v1)?, &decode(case, v2)?] {
        expected.is_bytes(v1, &told(keys.encode_v1())?)?;
        expected.is_bytes(v2, &keys.encode_v2())?;
    }
    Ok(())
}

fn check_native(case: &Case<'_>, keys: &PrivateKeyBundle) -> Checked {
    let expected = &case.expected;
    let public = keys.public().bundle();
    expected.is_bytes("identity_key_bytes", public.identity_key().key_bytes())?;
    expected.is_signature("identity_signature", public.identity_key().signature())?;
    expected.is_bytes("pre_key_bytes", public.pre_key().key_bytes())?;
    expected.is_signature("pre_signature", public.pre_key().signature())?;
    let v2 = "private_key_bundle_encoded_v2";
    for keys in [keys, &decode(case, v2)?] {
        expected.is_bytes(v2, &keys.encode_v2())?;
        same("has a legacy form", &keys.encode_v1().is_ok(), &false)?;
        same("has a public legacy form", &keys.public_v1().is_ok(), &false)?;
    }
    Ok(())
}

fn decode(case: &Case<'_>, name: &str) -> Result<PrivateKeyBundle, String> {
    told(PrivateKeyBundle::decode(&case.expected.bytes(name)?))
}

fn encoded(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}
