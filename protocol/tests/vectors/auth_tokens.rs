//! `auth_tokens.json`: making tokens, and taking them.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_protocol::{proto::api::Token, signature::Signature, token};
use prost::Message as _;
use sha3::{Digest as _, Keccak256};

use crate::{
    case::{Case, Checked, same, told},
    people::People,
};

pub(crate) fn check(case: &Case<'_>, _: &People) -> Checked {
    let (inputs, expected) = (&case.inputs, &case.expected);
    let (keys, created) = (inputs.keys("")?, inputs.time_ms("timestamp_ms")?);
    let header = told(token::bearer(&keys, created))?;
    expected.is_text("authorization_header", &header)?;
    let encoded = told(STANDARD.decode(header.trim_start_matches("Bearer ")))?;
    expected.is_bytes("token", &encoded)?;
    let decoded = told(Token::decode(&*encoded))?;
    expected.is_bytes("auth_data_bytes", &decoded.auth_data_bytes)?;
    expected.is_bytes("digest_keccak256", &Keccak256::digest(&decoded.auth_data_bytes))?;
    let signature = decoded.auth_data_signature.ok_or("no signature")?;
    expected.is_signature("auth_data_signature", &told(Signature::from_proto(&signature))?)?;
    expected.is_number("created_ns", created.as_ns())?;
    let verified = told(token::verify(&header, created, Duration::ZERO, Duration::ZERO))?;
    expected.is_text("wallet_addr", verified.address())?;
    same("created", &verified.created(), &created)
}
