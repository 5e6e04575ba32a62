//! Project Wycheproof's vectors through our own functions: every mistake that somebody once made in these primitives.
//!
//! A count beside each set says how many cases it really judged, so that a changed filter cannot make it judge none.

use ::wycheproof::{
    TestResult,
    aead::{self, TestName as Aead},
    ecdh::{self, TestName as Ecdh},
    ecdsa::{self, TestName as Ecdsa},
    hkdf::{self, TestName as Hkdf},
    mac::{self, TestName as Mac},
};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use subtle::ConstantTimeEq as _;

use crate::{
    ciphertext::{decrypt, encrypt},
    hash::{hkdf_sha256, hmac_sha256, sha256},
    key::{PrivateKey, PublicKey},
    signature::{Signature, Signer},
};

/// Half of the order of the curve: a greater S is high.
const HALF_ORDER: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";

/// Whether our verification takes these R and S of a message. What is not 64 bytes does not become a signature.
fn verifies(key: &PublicKey, message: &[u8], compact: &[u8]) -> bool {
    compact.try_into().is_ok_and(|compact| {
        let signature = Signature::new(Signer::Key, compact, false);
        key.verify(&sha256(&[message]), &signature).is_ok()
    })
}

fn is_high_s(compact: &[u8]) -> bool {
    let half = const_hex::decode(HALF_ORDER).unwrap();
    compact.get(32..64).is_some_and(|s| s > half.as_slice())
}

/// The P1363 set has signatures as the wire has them, R and S of 32 bytes each. It calls high S valid, which we refuse.
#[test]
fn ecdsa_p1363_takes_what_is_valid_and_low_s_and_nothing_else() {
    let set = ecdsa::TestSet::load(Ecdsa::EcdsaSecp256k1Sha256P1363).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for group in &set.test_groups {
        let key = PublicKey::from_bytes(&group.key.key).unwrap();
        for test in &group.tests {
            let wanted = test.result == TestResult::Valid && !is_high_s(&test.sig);
            assert_eq!(
                verifies(&key, &test.msg, &test.sig),
                wanted,
                "case {}: {}",
                test.tc_id,
                test.comment
            );
            *if wanted { &mut taken } else { &mut refused } += 1;
        }
    }
    assert!(taken > 90 && refused > 150, "{taken} taken, {refused} refused");
}

/// The Bitcoin set has our rule, low S only, but in DER, which the wire never has: the test takes it off first.
#[test]
fn ecdsa_bitcoin_takes_exactly_what_is_valid() {
    let set = ecdsa::TestSet::load(Ecdsa::EcdsaSecp256k1Sha256Bitcoin).unwrap();
    let mut judged = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_bytes(&group.key.key).unwrap();
        for test in &group.tests {
            let compact = k256::ecdsa::Signature::from_der(&test.sig).map(|signature| signature.to_bytes());
            let taken = compact.is_ok_and(|compact| {
                judged += 1;
                verifies(&key, &test.msg, &compact)
            });
            let wanted = test.result == TestResult::Valid;
            assert_eq!(taken, wanted, "case {}: {}", test.tc_id, test.comment);
        }
    }
    assert!(judged > 160, "{judged} judged");
}

/// Recovery is what tells a wallet: from a valid signature one of both bits yields its key, from an invalid one none does.
#[test]
fn ecdsa_p1363_recovers_the_key_of_valid_signatures_only() {
    let set = ecdsa::TestSet::load(Ecdsa::EcdsaSecp256k1Sha256P1363).unwrap();
    let mut recovered = 0;
    for group in &set.test_groups {
        let key = PublicKey::from_bytes(&group.key.key).unwrap();
        for test in &group.tests {
            let Ok(compact) = test.sig.as_slice().try_into() else {
                continue;
            };
            let digest = sha256(&[&test.msg]);
            let found = [false, true].into_iter().any(|bit| {
                let signature = Signature::new(Signer::Wallet, compact, bit);
                PublicKey::recover(&digest, &signature).is_ok_and(|found| found == key)
            });
            if test.result == TestResult::Invalid {
                assert!(!found, "case {}: {}", test.tc_id, test.comment);
            } else {
                recovered += usize::from(found);
            }
        }
    }
    // A few valid ones have an R that was reduced by the order, which a recovery bit of 0 or 1 cannot say.
    assert!(recovered > 160, "{recovered} recovered");
}

/// The head of a named-curve public key in X.509, before the 65 bytes that the wire has.
const X509_HEAD: &str = "3056301006072a8648ce3d020106052b8104000a034200";

/// The set wraps keys in X.509, which the wire never has: in another wrapping than the plain one they are not keys to us.
#[test]
fn ecdh_shares_the_point_of_valid_keys_and_refuses_invalid_ones() {
    let set = ecdh::TestSet::load(Ecdh::EcdhSecp256k1).unwrap();
    let head = const_hex::decode(X509_HEAD).unwrap();
    let (mut shared, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let unwrapped = test
            .public_key
            .strip_prefix(head.as_slice())
            .unwrap_or(&test.public_key);
        let Ok(public) = PublicKey::from_bytes(unwrapped) else {
            assert_ne!(
                test.result,
                TestResult::Valid,
                "case {}: {}",
                test.tc_id,
                test.comment
            );
            refused += 1;
            continue;
        };
        assert_ne!(
            test.result,
            TestResult::Invalid,
            "case {}: {}",
            test.tc_id,
            test.comment
        );
        let point = PrivateKey::from_bytes(&last_32(&test.private_key))
            .unwrap()
            .diffie_hellman(&public);
        assert_eq!(
            &point[1..33],
            test.shared_secret.as_slice(),
            "case {}",
            test.tc_id
        );
        shared += 1;
    }
    assert!(shared > 470 && refused > 49, "{shared} shared, {refused} refused");
}

/// An integer of any length in 32 bytes.
fn last_32(number: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().rev().zip(number.iter().rev()) {
        *to = *from;
    }
    bytes
}

/// Of all key, nonce and tag sizes those the wire has; the other nonces are no arrays of 12 bytes and never arrive here.
#[test]
fn aes_gcm_opens_what_is_valid_and_nothing_else() {
    let set = aead::TestSet::load(Aead::AesGcm).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    let ours = set
        .test_groups
        .iter()
        .filter(|group| group.key_size == 256 && group.tag_size == 128);
    for test in ours.flat_map(|group| &group.tests) {
        let Ok(nonce) = <[u8; 12]>::try_from(test.nonce.as_slice()) else {
            continue;
        };
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let mut opened = sealed.clone();
        let outcome = decrypt(&mut opened, &cipher, &test.aad, &nonce);
        if test.result == TestResult::Invalid {
            assert_eq!(outcome, Err(crate::Error::Crypto), "case {}", test.tc_id);
            invalid += 1;
            continue;
        }
        assert_eq!(
            (outcome, opened.as_slice()),
            (Ok(()), test.pt.as_slice()),
            "case {}",
            test.tc_id
        );
        let mut again = test.pt.to_vec();
        encrypt(&mut again, &cipher, &test.aad, &nonce);
        assert_eq!(again, sealed, "case {}", test.tc_id);
        valid += 1;
    }
    assert!(valid > 20 && invalid > 20, "{valid} valid, {invalid} invalid");
}

/// We derive 32 bytes always; a shorter or longer output begins with the same ones. Invalid are only outputs beyond the
/// most that HKDF has, which our function cannot be asked for.
#[test]
fn hkdf_derives_what_it_should() {
    let set = hkdf::TestSet::load(Hkdf::HkdfSha256).unwrap();
    let mut judged = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        if test.result == TestResult::Invalid {
            assert!(test.size > 255 * 32, "case {}: {}", test.tc_id, test.comment);
            continue;
        }
        let derived = hkdf_sha256(&test.ikm, &test.salt, &test.info);
        let length = test.okm.len().min(derived.len());
        assert_eq!(derived[..length], test.okm[..length], "case {}", test.tc_id);
        judged += 1;
    }
    assert!(judged > 80, "{judged} judged");
}

#[test]
fn hmac_takes_right_tags_and_no_other() {
    let set = mac::TestSet::load(Mac::HmacSha256).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let made = hmac_sha256(&test.key, &test.msg);
            let same: bool = made[..group.tag_size / 8].ct_eq(&test.tag).into();
            assert_eq!(
                same,
                test.result == TestResult::Valid,
                "case {}: {}",
                test.tc_id,
                test.comment
            );
            *if same { &mut valid } else { &mut invalid } += 1;
        }
    }
    assert!(valid > 60 && invalid > 100, "{valid} valid, {invalid} invalid");
}
