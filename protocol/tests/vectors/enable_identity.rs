//! `enable_identity.json`: the key bundle stored on the network, today's form and older ones.

use herald_protocol::{
    bundle::PrivateKeyBundle,
    ciphertext::Ciphertext,
    key_bundle::SealedKeyBundle,
    proto::contents::{EncryptedPrivateKeyBundle, encrypted_private_key_bundle::Version},
    topic::Topic,
    wallet::{self, WalletKey},
};
use prost::Message as _;

use crate::{
    case::{Case, Checked, same, told},
    encryption::{aes_key, payload_of},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let wallet_key = told(WalletKey::from_bytes(&case.inputs.bytes("wallet_private_key")?))?;
    if case.inputs.has("plaintext_private_key_bundle") {
        seals(case, &wallet_key)
    } else {
        opens(case, &wallet_key)
    }
}

fn seals(case: &Case<'_>, wallet_key: &WalletKey) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    inputs.is_text("wallet_address", wallet_key.address())?;
    let keys = told(PrivateKeyBundle::decode(
        &inputs.bytes("plaintext_private_key_bundle")?,
    ))?;
    let wallet_pre_key = inputs.array("wallet_pre_key")?;
    let text = wallet::enable_identity_text(&wallet_pre_key);
    expected.is_text("enable_identity_text", &text)?;
    let secret = wallet_key.sign_text(&text);
    expected.is_bytes("wallet_signature_secret", &secret)?;
    let entropy = inputs.entropy()?;
    let sealed = told(SealedKeyBundle::seal(&keys, wallet_pre_key, &secret, entropy))?.encode();
    expected.is_bytes("encrypted_private_key_bundle", &sealed)?;
    expected.is_bytes("aes_key", &aes_key(&secret, &entropy.salt))?;
    expected.is_bytes(
        "payload",
        &payload_of(
            told(ciphertext(&sealed)?.open(&secret, &[]))?,
            &secret,
            &[],
            entropy,
        ),
    )?;
    let read = told(SealedKeyBundle::decode(&sealed))?;
    same("text", &read.text(), &text)?;
    let opened = told(read.open(&secret))?;
    expected.is_bytes("decrypted", &told(opened.bundle.encode_v1())?)?;
    same("older form", &opened.older_form, &false)?;
    expected.is_text("topic", Topic::private_store(wallet_key.address()))
}

fn opens(case: &Case<'_>, wallet_key: &WalletKey) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let bytes = inputs.bytes("encrypted_private_key_bundle")?;
    let sealed = told(SealedKeyBundle::decode(&bytes))?;
    let signature = wallet_key.sign_text(&sealed.text());
    let opened = told(sealed.open(&signature))?;
    let form = ["decrypted", "loaded_as", "loaded"]
        .into_iter()
        .find(|name| expected.has(name));
    expected.is_bytes(
        form.ok_or("no expected plaintext")?,
        &told(opened.bundle.encode_v1())?,
    )?;
    same(
        "older form",
        &opened.older_form,
        &(expected.number("republished")? > 0),
    )?;
    if expected.has("decrypted_raw") {
        expected.is_bytes("decrypted_raw", &told(ciphertext(&bytes)?.open(&signature, &[]))?)?;
    }
    if expected.has("wallet_signature_secret_used") {
        let used = expected.bytes("wallet_signature_secret_used")?;
        told(ciphertext(&bytes)?.open(&used, &[]))?;
    }
    Ok(())
}

fn ciphertext(bytes: &[u8]) -> Result<Ciphertext, String> {
    let sealed = told(EncryptedPrivateKeyBundle::decode(bytes))?;
    let Some(Version::V1(v1)) = sealed.version else {
        return Err("no `v1`".into());
    };
    told(Ciphertext::from_proto(v1.ciphertext.ok_or("no `ciphertext`")?))
}
