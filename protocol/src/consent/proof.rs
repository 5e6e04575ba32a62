//! Consent proofs: a wallet's signed wish to be written to by a sender, carried in that sender's invitation.

use std::time::{Duration, SystemTime};

use crate::{
    Error, Reason, address::Address, limits, proto::contents, time::TimestampNs, wallet, wallet::WalletKey,
};

/// A proof as an invitation carries it; nothing is checked before [`ConsentProof::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentProof {
    /// `0x` and 130 hex digits: R, S, v over [`consent_proof_text`].
    pub signature: String,
    /// When it was signed, milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// 1 when written; of no consequence to readers.
    pub payload_version: i32,
}

/// The text whose signature lets `sender` write to the signing wallet. Its time has whole seconds.
pub fn consent_proof_text(sender: Address, at: TimestampNs) -> String {
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(at.as_seconds()));
    format!(
        "XMTP : Grant inbox consent to sender\n\nCurrent Time: {date}\nFrom Address: {sender}\n\n\
         For more info: https://xmtp.org/signatures/"
    )
}

impl ConsentProof {
    /// A proof from a signature (R, S, v) that a wallet made elsewhere over [`consent_proof_text`] of the same time.
    pub fn new(signature: &[u8; 65], at: TimestampNs) -> Self {
        Self {
            signature: const_hex::encode_prefixed(signature),
            timestamp_ms: at.as_ms(),
            payload_version: contents::ConsentProofPayloadVersion::ConsentProofPayloadVersion1.into(),
        }
    }

    /// Signs that `sender` may write to this wallet.
    pub fn sign(wallet: &WalletKey, sender: Address, now: TimestampNs) -> Self {
        Self::new(&wallet.sign_text(&consent_proof_text(sender, now)), now)
    }

    /// Checks that our wallet signed this for `sender` in the last 30 days. `sender` is the peer of the conversation
    /// whose invitation carries it.
    pub fn verify(&self, sender: Address, own: Address, now: TimestampNs) -> Result<(), Error> {
        if self.signature.is_empty() || self.timestamp_ms == 0 {
            return Err(Reason::ConsentProofEmpty.into());
        }
        let (found_ms, now_ms) = (self.timestamp_ms, now.as_ms());
        let future = Reason::ConsentProofFuture { found_ms, now_ms };
        if found_ms > now_ms {
            return Err(future.into());
        }
        if now_ms - found_ms > limits::CONSENT_PROOF_AGE_SECONDS * 1_000 {
            return Err(Reason::ConsentProofExpired { found_ms, now_ms }.into());
        }
        let at = TimestampNs::from_ms(found_ms).ok_or(future)?;
        let mut signature = [0; 65];
        const_hex::decode_to_slice(&self.signature, &mut signature)
            .map_err(|_| Error::malformed("consent proof", "wanted a signature of 130 hex digits"))?;
        let found = wallet::recover_text(&consent_proof_text(sender, at), &signature)?;
        if found != own {
            return Err(Reason::ConsentProofWallet { found, wanted: own }.into());
        }
        Ok(())
    }

    pub(crate) fn from_proto(proto: contents::ConsentProofPayload) -> Self {
        Self {
            signature: proto.signature,
            timestamp_ms: proto.timestamp,
            payload_version: proto.payload_version,
        }
    }

    pub(crate) fn to_proto(&self) -> contents::ConsentProofPayload {
        contents::ConsentProofPayload {
            signature: self.signature.clone(),
            timestamp: self.timestamp_ms,
            payload_version: self.payload_version,
        }
    }
}
