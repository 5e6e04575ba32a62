//! Bearer tokens: how a wallet proves to a node who publishes.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;

use crate::{
    address::Address,
    bundle::PrivateKeyBundle,
    hash::keccak256,
    key::PublicKey,
    limits,
    proto::{api, contents},
    signature::{Signature, Signer},
    time::TimestampNs,
    wallet,
};

/// Why a token was refused. The texts are the classic node's, which clients and tests look for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No `authorization` header. Never made here; for the node, which sees the headers.
    #[error("authorization token is not provided")]
    NotProvided,
    /// A header without a space.
    #[error("invalid authorization header")]
    InvalidHeader,
    /// A scheme other than `Bearer`.
    #[error("unrecognized authorization scheme {0}")]
    Scheme(String),
    /// The token cannot be read.
    #[error("extracting token: {0}")]
    Extracting(String),
    /// The token was read and is refused.
    #[error("validating token: {0}")]
    Validating(Problem),
}

/// What is wrong with a token that could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A signature of no known member.
    #[error("unknown signature type")]
    SignatureType,
    /// A signature of another length or recovery.
    #[error("{0}")]
    SignatureShape(String),
    /// The wallet signature recovers nothing.
    #[error("recovery failed")]
    Unrecoverable,
    /// No `auth_data_bytes`.
    #[error("missing auth data")]
    MissingAuthData,
    /// No `auth_data_signature`.
    #[error("missing auth data signature")]
    MissingAuthDataSignature,
    /// The identity key is not a secp256k1 key.
    #[error("unknown public key type")]
    PublicKeyType,
    /// The identity key is not a point in the uncompressed form.
    #[error("invalid public key")]
    PublicKey,
    /// The identity key did not sign the auth data, or with high-S.
    #[error("invalid signature")]
    Signature,
    /// The auth data does not decode.
    #[error("invalid auth data: {0}")]
    AuthData(String),
    /// The wallet that signed the identity key is not the one named.
    #[error("wallet address mismatch")]
    WalletMismatch,
    /// Too old.
    #[error("token expired")]
    Expired,
    /// Dated too far ahead. The classic node takes such tokens, so they never expire there.
    #[error("token is from the future")]
    FromTheFuture,
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Validating(problem)
    }
}

/// The proof that a token was valid when it was read. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedToken {
    address: Address,
    created: TimestampNs,
}

impl VerifiedToken {
    /// The wallet that publishes.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// When the token was made, by the client's clock.
    pub const fn created(&self) -> TimestampNs {
        self.created
    }
}

/// Makes the value of an `Authorization` header. Impossible for native V2 keys.
pub fn bearer(keys: &PrivateKeyBundle, created: TimestampNs) -> Result<String, crate::Error> {
    let auth_data = api::AuthData {
        wallet_addr: keys.address().to_string(),
        created_ns: created.as_ns(),
    };
    let auth_data_bytes = auth_data.encode_to_vec();
    let signature = keys.identity_key().sign(&keccak256(&[&auth_data_bytes]));
    let token = api::Token {
        identity_key: Some(keys.public_v1()?.identity_key.to_proto()),
        auth_data_bytes,
        auth_data_signature: Some(signature.to_proto()),
    };
    Ok(format!("Bearer {}", STANDARD.encode(token.encode_to_vec())))
}

/// Checks the value of an `Authorization` header: that the named wallet signed the identity key (in either member),
/// that this key signed the auth data, and that the token is neither older than `max_age` nor dated more than
/// `max_future` ahead. Checks, their order and texts are the classic node's, except for the last.
pub fn verify(
    header_value: &str,
    now: TimestampNs,
    max_age: Duration,
    max_future: Duration,
) -> Result<VerifiedToken, Error> {
    let (scheme, token) = header_value.split_once(' ').ok_or(Error::InvalidHeader)?;
    if scheme != "Bearer" {
        return Err(Error::Scheme(scheme.chars().take(32).collect()));
    }
    let token = extract(token)?;
    let identity_key = &token.identity_key;
    let address = wallet_of(identity_key)?;
    if token.auth_data_bytes.is_empty() {
        return Err(Problem::MissingAuthData.into());
    }
    let signature = token
        .auth_data_signature
        .ok_or(Problem::MissingAuthDataSignature)?;
    let signature = parse_signature(&signature)?;
    if signature.signer() != Signer::Key {
        return Err(Problem::SignatureType.into());
    }
    point_of(identity_key)?
        .verify(&keccak256(&[&token.auth_data_bytes]), &signature)
        .map_err(|_| Problem::Signature)?;
    let auth_data = api::AuthData::decode(token.auth_data_bytes.as_slice())
        .map_err(|error| Problem::AuthData(error.to_string()))?;
    if auth_data.wallet_addr != address.to_string() {
        return Err(Problem::WalletMismatch.into());
    }
    let created = TimestampNs::from_ns(auth_data.created_ns);
    if now.saturating_since(created) > max_age {
        return Err(Problem::Expired.into());
    }
    if created.saturating_since(now) > max_future {
        return Err(Problem::FromTheFuture.into());
    }
    Ok(VerifiedToken { address, created })
}

/// A decoded token whose identity key is present and signed by somebody.
struct Extracted {
    identity_key: contents::PublicKey,
    auth_data_bytes: Vec<u8>,
    auth_data_signature: Option<contents::Signature>,
}

fn extract(base64: &str) -> Result<Extracted, Error> {
    if base64.len() > limits::TOKEN_BYTES {
        let problem = format!(
            "found {} bytes, wanted at most {}",
            base64.len(),
            limits::TOKEN_BYTES
        );
        return Err(Error::Extracting(problem));
    }
    let bytes = STANDARD
        .decode(base64)
        .map_err(|error| Error::Extracting(error.to_string()))?;
    let token = api::Token::decode(bytes.as_slice()).map_err(|error| Error::Extracting(error.to_string()))?;
    let missing = |text: &str| Error::Extracting(text.to_owned());
    let identity_key = token
        .identity_key
        .ok_or_else(|| missing("missing identity key"))?;
    if identity_key.signature.is_none() {
        return Err(missing(
            "missing identity key signature: identity key is not signed",
        ));
    }
    Ok(Extracted {
        identity_key,
        auth_data_bytes: token.auth_data_bytes,
        auth_data_signature: token.auth_data_signature,
    })
}

fn wallet_of(identity_key: &contents::PublicKey) -> Result<Address, Error> {
    let signature = identity_key.signature.as_ref().ok_or(Problem::SignatureType)?;
    let signature = parse_signature(signature)?;
    // What was signed is the key as received, without its signature: even a key that turns out to be unusable.
    let unsigned = contents::PublicKey {
        signature: None,
        ..identity_key.clone()
    };
    let text = wallet::create_identity_text(&unsigned.encode_to_vec());
    wallet::recover(&text, &signature).map_err(|_| Problem::Unrecoverable.into())
}

fn parse_signature(signature: &contents::Signature) -> Result<Signature, Error> {
    use contents::signature::Union;
    let length = match &signature.union {
        None => return Err(Problem::SignatureType.into()),
        Some(Union::EcdsaCompact(signature)) => signature.bytes.len(),
        Some(Union::WalletEcdsaCompact(signature)) => signature.bytes.len(),
    };
    if length != 64 {
        return Err(Problem::SignatureShape(format!("invalid signature length: {length}")).into());
    }
    Signature::from_proto(signature).map_err(|error| Problem::SignatureShape(error.to_string()).into())
}

fn point_of(identity_key: &contents::PublicKey) -> Result<PublicKey, Error> {
    let Some(contents::public_key::Union::Secp256k1Uncompressed(point)) = &identity_key.union else {
        return Err(Problem::PublicKeyType.into());
    };
    PublicKey::from_bytes(&point.bytes).map_err(|_| Problem::PublicKey.into())
}
