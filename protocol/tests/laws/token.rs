use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_protocol::{
    address::Address,
    limits,
    proto::{
        api,
        contents::{self, signature::Union},
    },
    signature::{Signature, Signer},
    time::TimestampNs,
    token::{self, Error, VerifiedToken},
    wallet,
};
use prost::Message as _;

use crate::people::{ALICE, BOB, NOW, native_user};

const HOUR: Duration = Duration::from_hours(1);

/// Tokens captured from real clients, with the wallet they prove and the time they were made.
const CAPTURED: [(&str, &str, u64); 2] = [
    (
        "CpQBCPe9zuiqMBJGCkQKQHOOPN+A8lNOnt42Pis2R6jkbDvhsC0EsLDCFf+VGh/yYssKafl7ma+4bmo/fEEvf435Wy/klBXOQN8Nu3lIW+kQARpDCkEEkqxMLK+SGTEE7lnXmOxUoWynlTBg8TAQNIXf2IcometsYfw2UO9C+IryDLH4utr2pHv726oFyuMhpSHi/YNM1hI2CioweDJEMGU2MTRlOERjOEFkZjgyYzcwMDkwRjkwNWU2Y0ZDMURFODQ5MDAQgKumuYqujYYXGkYKRApAQ+8Nug8k6TWLA/pNcPDgW01Sdn9o2h3484jSGlWkxDl1o8mFtsxofxOA5gUxt+/nw33kSER0Yukl1OO2Tfd68hAB",
        "0x2D0e614e8Dc8Adf82c70090F905e6cFC1DE84900",
        1_660_761_120_550_000_000,
    ),
    (
        "CpIBCOqy8+iqMBJECkIKQGsPVyMg1ZjfJXCu7+IxuRJ9/JrWvPIPsZ+GjRM+eQ8kLCfuOequP3GscERICC3qRk/l4eCW/kqM5fbd5/TcQHEaQwpBBAzYR20tIAxsD3cXSnrDBoZ8xr2FPgA9d4u1QzaNt/t0tpQ9G6i9ju35nCDTr35iMbZvbYfZJKYbed2ABOZ2xdMSNgoqMHg1NDY3ZUU5ZGU5MmE3ZDgzMGE3MTMxNTZkZjg4ZGQ2Qjg3MDQwZUY2EMCs9dTXv42GFxpGCkQKQBoIQ77Vi0SU3M5s1WsthNiJgI8Vx89cSzZvJiaIVNJYCJO2x55eEex5R4o55XFvoNrgGcRyDOGg3WMsTWlWOx8QAQ==",
        "0x5467eE9de92a7d830a713156df88dd6B87040eF6",
        1_660_761_725_393_000_000,
    ),
];

fn decoded() -> api::Token {
    let header = token::bearer(&ALICE, NOW).unwrap();
    api::Token::decode(
        STANDARD
            .decode(header.trim_start_matches("Bearer "))
            .unwrap()
            .as_slice(),
    )
    .unwrap()
}

fn header(token: &api::Token) -> String {
    format!("Bearer {}", STANDARD.encode(token.encode_to_vec()))
}

fn verify(header: &str) -> Result<VerifiedToken, Error> {
    token::verify(header, NOW, HOUR, HOUR)
}

/// The text of a changed token's refusal.
#[track_caller]
fn refused(change: impl FnOnce(&mut api::Token)) -> String {
    let mut token = decoded();
    change(&mut token);
    verify(&header(&token)).unwrap_err().to_string()
}

/// Auth data of another content, signed by Alice's identity key all the same.
fn resigned(auth_data_bytes: Vec<u8>) -> impl FnOnce(&mut api::Token) {
    use sha3::{Digest as _, Keccak256};
    let digest: [u8; 32] = Keccak256::digest(&auth_data_bytes).into();
    let signature = ALICE.identity_key().sign(&digest).to_proto();
    |token| {
        token.auth_data_bytes = auth_data_bytes;
        token.auth_data_signature = Some(signature);
    }
}

#[test]
fn captured_tokens_prove_their_wallets_for_an_hour() {
    for (base64, wallet, created_ns) in CAPTURED {
        let created = TimestampNs::from_ns(created_ns);
        let header = format!("Bearer {base64}");
        for now in [
            created,
            created.checked_add(HOUR / 6).unwrap(),
            created.checked_add(HOUR).unwrap(),
        ] {
            let verified = token::verify(&header, now, HOUR, HOUR).unwrap();
            assert_eq!(
                (verified.address().to_string().as_str(), verified.created()),
                (wallet, created)
            );
        }
        let late = TimestampNs::from_ns(created.checked_add(HOUR).unwrap().as_ns() + 1);
        let error = token::verify(&header, late, HOUR, HOUR).unwrap_err();
        assert_eq!(error.to_string(), "validating token: token expired");
    }
}

#[test]
fn a_wallet_is_recovered_as_the_reference_node_does() {
    let key = "08b488b6b891301a430a4104f98c4974d5443b58021bd0623d8ff523edd53affa528b051075a72195cfd5612bbc277b4f29535ab36f3595e8c95f1780dd7decd718137545b77859fc73836d8";
    let compact = "b6c023b2f93db3f51c392f8b9019ff2a4f19b30cac6b61f8356f027431332173043c8e0553d87740745a953d437d64a747865c4c28938d3fbbe10f961fd05b8f";
    let text = wallet::create_identity_text(&const_hex::decode(key).unwrap());
    for (recovery, wanted) in [
        ("00", "0x9727188932c3f9a218e8Fc9D8744b1B8b751Abfc"),
        ("01", "0x56E7B5A1884774D96e49e09a48e0d00d0b7F49A5"),
    ] {
        let signature = const_hex::decode(format!("{compact}{recovery}"))
            .unwrap()
            .try_into()
            .unwrap();
        assert_eq!(
            wallet::recover_text(&text, &signature),
            Ok(wanted.parse::<Address>().unwrap())
        );
    }
}

#[test]
fn the_wallet_signature_is_taken_in_either_member_and_the_auth_signature_in_one() {
    let mut token = decoded();
    let identity_key = token.identity_key.as_mut().unwrap();
    identity_key.signature = identity_key.signature.as_ref().map(to_wallet_member);
    assert_eq!(verify(&header(&token)).unwrap().address(), ALICE.address());
    let text =
        refused(|token| token.auth_data_signature = token.auth_data_signature.as_ref().map(to_wallet_member));
    assert_eq!(text, "validating token: unknown signature type");
}

fn to_wallet_member(signature: &contents::Signature) -> contents::Signature {
    let read = Signature::from_proto(signature).unwrap();
    assert_eq!(read.signer(), Signer::Key);
    let (bytes, recovery) = (read.as_bytes().to_vec(), u32::from(read.recovery()));
    let signature = contents::signature::WalletEcdsaCompact { bytes, recovery };
    contents::Signature {
        union: Some(Union::WalletEcdsaCompact(signature)),
    }
}

#[test]
fn headers_that_are_no_bearer_token_are_refused_in_the_reference_nodes_words() {
    for (header, text) in [
        ("", "invalid authorization header"),
        ("Bearer", "invalid authorization header"),
        ("Basic abc", "unrecognized authorization scheme Basic"),
        ("bearer abc", "unrecognized authorization scheme bearer"),
        ("Bearer ", "missing identity key"),
        ("Bearer aGk=", "missing identity key"),
        ("Bearer a", "extracting token: "),
        ("Bearer CgE=", "extracting token: "),
    ] {
        let error = verify(header).unwrap_err().to_string();
        assert!(error.contains(text), "{header}: {error}");
    }
}

#[test]
fn broken_tokens_are_refused_in_the_reference_nodes_words() {
    let cases: [(&str, String); 10] = [
        ("missing identity key", refused(|token| token.identity_key = None)),
        (
            "identity key is not signed",
            refused(|token| key_of(token).signature = None),
        ),
        (
            "unknown signature type",
            refused(|token| key_of(token).signature = Some(contents::Signature::default())),
        ),
        (
            "validating token: missing auth data",
            refused(|token| token.auth_data_bytes.clear()),
        ),
        (
            "missing auth data signature",
            refused(|token| token.auth_data_signature = None),
        ),
        (
            "invalid signature",
            refused(|token| token.auth_data_bytes.push(0)),
        ),
        (
            "invalid signature",
            refused(|token| token.auth_data_signature = Some(BOB.identity_key().sign(&[1; 32]).to_proto())),
        ),
        (
            "unknown public key type",
            refused(|token| key_of(token).union = None),
        ),
        (
            "wallet address mismatch",
            refused(resigned(
                api::AuthData {
                    wallet_addr: BOB.address().to_string(),
                    created_ns: NOW.as_ns(),
                }
                .encode_to_vec(),
            )),
        ),
        (
            "wallet address mismatch",
            refused(resigned(
                api::AuthData {
                    wallet_addr: ALICE.address().to_string().to_lowercase(),
                    created_ns: NOW.as_ns(),
                }
                .encode_to_vec(),
            )),
        ),
    ];
    for (wanted, found) in cases {
        assert!(found.contains(wanted), "found `{found}`, wanted `{wanted}`");
    }
    let text = refused(resigned(vec![0x0a]));
    assert!(text.starts_with("validating token: "), "{text}");
}

fn key_of(token: &mut api::Token) -> &mut contents::PublicKey {
    token.identity_key.as_mut().unwrap()
}

#[test]
fn a_token_is_good_to_the_nanosecond_on_both_ends() {
    let header = token::bearer(&ALICE, NOW).unwrap();
    let hour = u64::try_from(HOUR.as_nanos()).unwrap();
    let at =
        |ns| token::verify(&header, TimestampNs::from_ns(ns), HOUR, HOUR).map_err(|error| error.to_string());
    assert!(at(NOW.as_ns() + hour).is_ok());
    assert_eq!(
        at(NOW.as_ns() + hour + 1),
        Err("validating token: token expired".into())
    );
    assert!(at(NOW.as_ns() - hour).is_ok());
    assert_eq!(
        at(NOW.as_ns() - hour - 1),
        Err("validating token: token is from the future".into())
    );
}

#[test]
fn a_token_over_its_bound_is_not_decoded() {
    let fits = format!("Bearer {}", "A".repeat(limits::TOKEN_BYTES));
    assert!(!verify(&fits).unwrap_err().to_string().contains("at most"));
    let over = format!("Bearer {}", "A".repeat(limits::TOKEN_BYTES + 4));
    assert!(verify(&over).unwrap_err().to_string().contains("at most"));
}

#[test]
fn keys_without_a_legacy_form_make_no_token() {
    assert!(token::bearer(&native_user(4), NOW).is_err());
}
