//! Contacts: the bundle a wallet publishes so that others can write to it.

use prost::Message as _;

use crate::{
    Error, Reason,
    address::Address,
    bundle::{PublicKeyBundle, SignedPublicKeyBundle, VerifiedBundle},
    error, limits,
    proto::contents::{self, contact_bundle::Version},
};

/// A published bundle: parsed, no signature checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContactBundle {
    /// Legacy keys.
    V1(PublicKeyBundle),
    /// Signed keys.
    V2(SignedPublicKeyBundle),
}

/// The generation of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationVersion {
    /// Messages under the pair's X3DH secret.
    V1,
    /// Messages under an invitation's key material.
    V2,
}

impl ContactBundle {
    /// The generation a new conversation with this contact is of: a contact that only has legacy keys is sure to read
    /// V1 only, which has no conversation ids (an empty one is none).
    pub fn conversation_version(&self, conversation_id: Option<&str>) -> ConversationVersion {
        match self {
            Self::V1(_) if conversation_id.is_none_or(str::is_empty) => ConversationVersion::V1,
            _ => ConversationVersion::V2,
        }
    }

    /// Decodes `xmtp.message_contents.ContactBundle`. A bundle without that wrapper is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let missing = || Error::missing("contact", "key_bundle");
        let proto: contents::ContactBundle = error::decode("contact", bytes)?;
        match proto.version {
            Some(Version::V1(v1)) => {
                PublicKeyBundle::from_proto(&v1.key_bundle.ok_or_else(missing)?).map(Self::V1)
            }
            Some(Version::V2(v2)) => {
                SignedPublicKeyBundle::from_proto(&v2.key_bundle.ok_or_else(missing)?).map(Self::V2)
            }
            None => Err(missing()),
        }
    }

    /// Encodes `xmtp.message_contents.ContactBundle`.
    pub fn encode(&self) -> Vec<u8> {
        let version = match self {
            Self::V1(bundle) => Version::V1(contents::ContactBundleV1 {
                key_bundle: Some(bundle.to_proto()),
            }),
            Self::V2(bundle) => Version::V2(contents::ContactBundleV2 {
                key_bundle: Some(bundle.to_proto()),
            }),
        };
        contents::ContactBundle {
            version: Some(version),
        }
        .encode_to_vec()
    }

    /// The wallet that signed the identity key.
    pub fn wallet_address(&self) -> Result<Address, Error> {
        match self {
            Self::V1(bundle) => bundle.identity_key.wallet_address(),
            Self::V2(bundle) => bundle.identity_key().wallet_address(),
        }
    }

    /// The bundle as V2 uses it.
    pub fn to_signed(&self) -> Result<SignedPublicKeyBundle, Error> {
        match self {
            Self::V1(bundle) => bundle.to_signed(),
            Self::V2(bundle) => Ok(bundle.clone()),
        }
    }

    /// Checks the pre-key's signature and recovers the wallet.
    pub fn verify(&self) -> Result<VerifiedBundle, Error> {
        self.to_signed()?.verify()
    }
}

/// What a wallet's contact topic holds for those who want to write to the wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The newest contact that fits.
    pub contact: Option<ContactBundle>,
    /// Why the newer ones do not, newest first.
    pub skipped: Vec<Error>,
}

/// Picks a wallet's contact out of the payloads of its contact topic, newest first: the first that parses and whose
/// identity key this wallet signed. Others are skipped; no more than [`limits::CONTACTS`] are looked at. Costs one
/// recovery for each that parses. The pre-key's signature is left to [`ContactBundle::verify`].
pub fn select<'a>(wallet: Address, newest_first: impl IntoIterator<Item = &'a [u8]>) -> Selection {
    let mut skipped = Vec::new();
    for bytes in newest_first.into_iter().take(limits::CONTACTS) {
        match of_wallet(wallet, bytes) {
            Ok(contact) => {
                return Selection {
                    contact: Some(contact),
                    skipped,
                };
            }
            Err(error) => skipped.push(error),
        }
    }
    Selection {
        contact: None,
        skipped,
    }
}

fn of_wallet(wanted: Address, bytes: &[u8]) -> Result<ContactBundle, Error> {
    let contact = ContactBundle::decode(bytes)?;
    let found = contact.wallet_address()?;
    if found != wanted {
        return Err(Reason::OtherWallet { found, wanted }.into());
    }
    Ok(contact)
}
