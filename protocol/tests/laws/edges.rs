//! Keys, signatures and ciphertexts at the edges of what is allowed.

use herald_protocol::{
    Error, Reason,
    ciphertext::Ciphertext,
    key::{PrivateKey, PublicKey},
    proto::contents::{
        self,
        ciphertext::{Aes256gcmHkdfsha256, Union},
        signature,
    },
    signature::Signature,
};

use crate::people::{ALICE, entropy};

/// The order of the group, the prime of the field.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
const PRIME: &str = "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f";

fn number(hex: &str) -> [u8; 32] {
    const_hex::decode_to_array(hex).unwrap()
}

fn signature(r: [u8; 32], s: [u8; 32], recovery: u32) -> Result<Signature, Error> {
    let bytes = [r, s].concat();
    let union = signature::Union::EcdsaCompact(signature::EcdsaCompact { bytes, recovery });
    Signature::from_proto(&contents::Signature { union: Some(union) })
}

#[test]
fn private_keys_end_just_below_the_order() {
    let order = number(ORDER);
    let mut below = order;
    below[31] -= 1;
    assert!(PrivateKey::from_bytes(&below).is_ok());
    let mut one = [0; 32];
    one[31] = 1;
    assert!(PrivateKey::from_bytes(&one).is_ok());
    for wrong in [order, [0; 32], [0xff; 32], number(PRIME)] {
        assert!(PrivateKey::from_bytes(&wrong).is_err());
    }
}

#[test]
fn points_at_infinity_beyond_the_field_and_off_the_curve_are_refused() {
    let valid = *ALICE.identity_key().public_key().as_bytes();
    let zero = [&[4][..], &[0; 64]].concat();
    let beyond = [&[4][..], &number(PRIME), &[1; 32]].concat();
    let mut negated = valid;
    negated[1..33].copy_from_slice(&valid[33..]);
    negated[33..].copy_from_slice(&valid[1..33]);
    for wrong in [&[0][..], &[0; 65], &zero, &beyond, &negated, &[4]] {
        assert!(PublicKey::from_bytes(wrong).is_err());
    }
    assert!(PublicKey::from_bytes(&valid).is_ok());
}

#[test]
fn signatures_of_zero_or_the_order_neither_verify_nor_recover() {
    let key = ALICE.identity_key().public_key();
    let (zero, order, one) = ([0; 32], number(ORDER), {
        let mut one = [0; 32];
        one[31] = 1;
        one
    });
    for (r, s) in [
        (zero, one),
        (one, zero),
        (order, one),
        (one, order),
        (zero, zero),
        ([0xff; 32], one),
    ] {
        for recovery in [0, 1] {
            let signature = signature(r, s, recovery).unwrap();
            assert_eq!(key.verify(&[7; 32], &signature), Err(Reason::Signature.into()));
            assert_eq!(
                PublicKey::recover(&[7; 32], &signature).unwrap_err(),
                Error::from(Reason::Unrecoverable)
            );
        }
    }
}

#[test]
fn recovery_ids_beyond_one_are_no_signatures() {
    assert!(signature([1; 32], [1; 32], 1).is_ok());
    for recovery in [2, 3, 27, 28, u32::MAX] {
        assert!(signature([1; 32], [1; 32], recovery).is_err());
    }
}

#[test]
fn ciphertexts_of_other_lengths_are_refused_before_any_key_is_derived() {
    let sealed = Ciphertext::seal(b"hi", b"secret", &[], entropy(1)).into_proto();
    let Some(Union::Aes256GcmHkdfSha256(genuine)) = sealed.union else {
        panic!("another cipher");
    };
    let refused = |edit: &dyn Fn(&mut Aes256gcmHkdfsha256)| {
        let mut parts = genuine.clone();
        edit(&mut parts);
        let union = Some(Union::Aes256GcmHkdfSha256(parts));
        matches!(
            Ciphertext::from_proto(contents::Ciphertext { union }),
            Err(Error::Malformed { .. })
        )
    };
    for length in [0, 11, 13, 16] {
        assert!(
            refused(&|parts| parts.gcm_nonce.resize(length, 1)),
            "nonce of {length}"
        );
    }
    for length in [0, 31, 33] {
        assert!(
            refused(&|parts| parts.hkdf_salt.resize(length, 1)),
            "salt of {length}"
        );
    }
    for length in [0, 15] {
        assert!(
            refused(&|parts| parts.payload.truncate(length)),
            "payload of {length}"
        );
    }
    assert!(!refused(&|parts| parts.payload.truncate(16)));
    // A tag that is cut by a byte is a wrong tag.
    let mut parts = genuine;
    parts.payload.pop();
    let union = Some(Union::Aes256GcmHkdfSha256(parts));
    let cut = Ciphertext::from_proto(contents::Ciphertext { union }).unwrap();
    assert_eq!(cut.open(b"secret", &[]), Err(Error::Crypto));
}
