//! Signatures as the wire carries them: R, S and a recovery bit, marked by who signed.

use crate::{
    Error,
    proto::contents::{self, signature::Union},
};

/// Who signed: the member of the wire's `Signature` that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signer {
    /// An XMTP key (`ecdsa_compact`).
    Key,
    /// A wallet (`wallet_ecdsa_compact`).
    Wallet,
}

/// A well-formed signature; it says nothing about what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    signer: Signer,
    bytes: [u8; 64],
    recovery: u8,
}

impl Signature {
    pub(crate) const fn new(signer: Signer, bytes: [u8; 64], recovery: bool) -> Self {
        Self {
            signer,
            bytes,
            recovery: recovery as u8,
        }
    }

    /// A wallet's 65 bytes R, S, v, where v is 0, 1, 27 or 28.
    pub fn from_wallet(bytes: &[u8; 65]) -> Result<Self, Error> {
        let [compact @ .., v] = *bytes;
        let recovery = match v {
            0 | 27 => false,
            1 | 28 => true,
            _ => {
                return Err(Error::malformed(
                    "wallet signature",
                    format!("found v `{v}`, wanted 27 or 28"),
                ));
            }
        };
        Ok(Self::new(Signer::Wallet, compact, recovery))
    }

    /// Reads the wire's form: exactly one known member, 64 bytes, recovery 0 or 1.
    pub fn from_proto(proto: &contents::Signature) -> Result<Self, Error> {
        let (signer, bytes, recovery) = match &proto.union {
            Some(Union::EcdsaCompact(signature)) => (Signer::Key, &signature.bytes, signature.recovery),
            Some(Union::WalletEcdsaCompact(signature)) => {
                (Signer::Wallet, &signature.bytes, signature.recovery)
            }
            None => return Err(Error::missing("signature", "ecdsa_compact")),
        };
        let compact = bytes
            .as_slice()
            .try_into()
            .map_err(|_| Error::length("signature", bytes.len(), 64))?;
        match recovery {
            0 | 1 => Ok(Self::new(signer, compact, recovery == 1)),
            _ => Err(Error::malformed(
                "signature",
                format!("found recovery `{recovery}`, wanted 0 or 1"),
            )),
        }
    }

    /// The wire's form.
    pub fn to_proto(&self) -> contents::Signature {
        let (bytes, recovery) = (self.bytes.to_vec(), u32::from(self.recovery));
        let union = match self.signer {
            Signer::Key => Union::EcdsaCompact(contents::signature::EcdsaCompact { bytes, recovery }),
            Signer::Wallet => {
                Union::WalletEcdsaCompact(contents::signature::WalletEcdsaCompact { bytes, recovery })
            }
        };
        contents::Signature { union: Some(union) }
    }

    /// Who signed.
    pub const fn signer(&self) -> Signer {
        self.signer
    }

    /// R and S, 32 bytes each, big-endian.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// 0 or 1.
    pub const fn recovery(&self) -> u8 {
        self.recovery
    }

    /// The same numbers under the other member: legacy keys keep wallet signatures as `ecdsa_compact`.
    #[must_use]
    pub(crate) const fn with_signer(mut self, signer: Signer) -> Self {
        self.signer = signer;
        self
    }
}
