//! Invitations: how two wallets agree on a conversation's topic and key material.

use std::fmt;

use prost::Message as _;
use zeroize::Zeroizing;

use crate::{
    Error, Excerpt, Reason,
    address::Address,
    bundle::{PrivateKeyBundle, SignedPublicKeyBundle, VerifiedBundle},
    ciphertext::{Ciphertext, Entropy},
    consent::ConsentProof,
    error,
    hash::{hkdf_sha256, hmac_sha256},
    limits,
    proto::contents::{self, invitation_v1::Encryption, sealed_invitation::Version},
    time::TimestampNs,
    topic::Topic,
    wire::Fields,
    x3dh::{self, Role},
};

/// The numbers of `InvitationV1.context` and `InvitationV1.Context.metadata`.
const CONTEXT: u32 = 2;
const METADATA: u32 = 2;
const SALT: &[u8; 32] = b"__XMTP__INVITATION__SALT__XMTP__";

/// What a conversation is about; part of its identity when the id is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InvitationContext {
    /// Tells apart the conversations of the same two wallets.
    pub conversation_id: String,
    /// Free for applications, in the order written.
    pub metadata: Vec<(String, String)>,
}

impl InvitationContext {
    /// A context with an id only.
    pub fn new(conversation_id: impl Into<String>) -> Self {
        Self {
            conversation_id: conversation_id.into(),
            metadata: Vec::new(),
        }
    }
}

/// What an invitation says. Debug hides the key material.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Always `/xmtp/0/m-<id>/proto`.
    pub topic: Topic,
    /// The secret of all messages; 32 bytes when derived, opaque and not empty when read.
    pub key_material: Zeroizing<Vec<u8>>,
    /// Present when given.
    pub context: Option<InvitationContext>,
    /// The recipient's signed wish to be written to, not checked yet.
    pub consent_proof: Option<ConsentProof>,
}

impl Invitation {
    /// The invitation that both wallets derive alike, whoever invites, as long as neither rotates its pre-key.
    /// The topic depends on the context's id, the key material does not.
    pub fn derive(own: &PrivateKeyBundle, peer: &VerifiedBundle, context: Option<InvitationContext>) -> Self {
        let [first, second] = Address::sorted_texts(own.address(), peer.address());
        // Whoever sorts first takes the recipient's part.
        let role = if own.address().to_string() == first {
            Role::Recipient
        } else {
            Role::Sender
        };
        let secret = x3dh::shared_secret(own.identity_key(), own.pre_key(), peer, role);
        let id = context.as_ref().map_or("", |context| &context.conversation_id);
        let topic_id = hmac_sha256(secret.as_slice(), format!("{id}{first},{second}").as_bytes());
        let key_material =
            hkdf_sha256(secret.as_slice(), SALT, format!("0|{first}|{second}").as_bytes()).to_vec();
        let topic = Topic::derived_conversation(topic_id);
        Self {
            topic,
            key_material: Zeroizing::new(key_material),
            context,
            consent_proof: None,
        }
    }

    /// Seals to a peer: the bytes for both invite topics, peer's and own, whose envelopes must carry exactly `created`.
    pub fn seal(
        &self,
        own: &PrivateKeyBundle,
        peer: &VerifiedBundle,
        created: TimestampNs,
        entropy: Entropy,
    ) -> Vec<u8> {
        let header_bytes = contents::SealedInvitationHeaderV1 {
            sender: Some(own.public().bundle().to_proto()),
            recipient: Some(peer.bundle().to_proto()),
            created_ns: created.as_ns(),
        }
        .encode_to_vec();
        let secret = x3dh::shared_secret(own.identity_key(), own.pre_key(), peer, Role::Sender);
        let plain = Zeroizing::new(self.encode());
        let ciphertext = Ciphertext::seal(&plain, secret.as_slice(), &header_bytes, entropy);
        let v1 = contents::SealedInvitationV1 {
            header_bytes,
            ciphertext: Some(ciphertext.into_proto()),
        };
        contents::SealedInvitation {
            version: Some(Version::V1(v1)),
        }
        .encode_to_vec()
    }

    /// Encodes `xmtp.message_contents.InvitationV1`.
    pub fn encode(&self) -> Vec<u8> {
        use contents::invitation_v1::{Aes256gcmHkdfsha256, Context, context::MetadataEntry};
        let context = self.context.as_ref().map(|context| Context {
            conversation_id: context.conversation_id.clone(),
            metadata: context
                .metadata
                .iter()
                .map(|(key, value)| MetadataEntry {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        });
        let encryption = Encryption::Aes256GcmHkdfSha256(Aes256gcmHkdfsha256 {
            key_material: self.key_material.to_vec(),
        });
        contents::InvitationV1 {
            topic: self.topic.to_string(),
            context,
            encryption: Some(encryption),
            consent_proof: self.consent_proof.as_ref().map(ConsentProof::to_proto),
        }
        .encode_to_vec()
    }

    /// Decodes `xmtp.message_contents.InvitationV1`; the topic must be a conversation's, key material present, metadata are at most
    /// [`limits::PARAMETERS`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        bound_metadata(bytes)?;
        let proto: contents::InvitationV1 = error::decode("invitation", bytes)?;
        let topic = Topic::new(proto.topic)?;
        if !topic.is_conversation() {
            let found = Excerpt::of(topic.as_str());
            return Err(Reason::NotConversationTopic { found }.into());
        }
        let key_material = match proto.encryption {
            Some(Encryption::Aes256GcmHkdfSha256(keys)) if !keys.key_material.is_empty() => {
                Zeroizing::new(keys.key_material)
            }
            _ => return Err(Reason::NoKeyMaterial.into()),
        };
        let context = proto.context.map(|context| InvitationContext {
            conversation_id: context.conversation_id,
            metadata: context
                .metadata
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect(),
        });
        Ok(Self {
            topic,
            key_material,
            context,
            consent_proof: proto.consent_proof.map(ConsentProof::from_proto),
        })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Invitation");
        shown
            .field("topic", &self.topic)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}

/// Refuses more metadata than [`limits::PARAMETERS`], counted over all contexts: of a context that is written several times the
/// generated decoder makes one, with the metadata of all.
fn bound_metadata(invitation: &[u8]) -> Result<(), Error> {
    let mut left = limits::PARAMETERS;
    let mut fields = Fields::of("invitation", invitation);
    while let Some((tag, field)) = fields.next()? {
        if tag == CONTEXT {
            left = left_after(field, left)?;
        }
    }
    Ok(())
}

/// How many metadata may still come after those of this context.
fn left_after(context: &[u8], mut left: usize) -> Result<usize, Error> {
    let what = "invitation context";
    let mut fields = Fields::of(what, context);
    while let Some((tag, _)) = fields.next()? {
        if tag == METADATA {
            left = left.checked_sub(1).ok_or_else(|| {
                let most = limits::PARAMETERS;
                Error::malformed(what, format!("found more than {most} of `metadata`"))
            })?;
        }
    }
    Ok(left)
}

/// An invitation that was sealed by one of the two wallets to the other, one of them ours. Of several with the same
/// topic the first one read counts.
#[derive(Debug, Clone)]
pub struct OpenedInvitation {
    invitation: Invitation,
    peer: VerifiedBundle,
    we_invited: bool,
    created: TimestampNs,
}

impl OpenedInvitation {
    /// What the invitation says.
    pub const fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// The other wallet.
    pub const fn peer(&self) -> Address {
        self.peer.address()
    }

    /// The other wallet's keys as the invitation names them.
    pub const fn peer_bundle(&self) -> &VerifiedBundle {
        &self.peer
    }

    /// Whether our identity key sealed it.
    pub const fn we_invited(&self) -> bool {
        self.we_invited
    }

    /// When it was made, by its header and its envelope alike.
    pub const fn created(&self) -> TimestampNs {
        self.created
    }
}

/// Opens an envelope of our invite topic. Any of our pre-keys will do, ours being told by the identity key, so that
/// invitations survive a rotation.
pub fn open(
    envelope_timestamp: TimestampNs,
    bytes: &[u8],
    own: &PrivateKeyBundle,
) -> Result<OpenedInvitation, Error> {
    let missing = |field| Error::missing("sealed invitation", field);
    let sealed: contents::SealedInvitation = error::decode("sealed invitation", bytes)?;
    let Some(Version::V1(sealed)) = sealed.version else {
        return Err(missing("v1"));
    };
    let ciphertext = Ciphertext::from_proto(sealed.ciphertext.ok_or_else(|| missing("ciphertext"))?)?;
    let header: contents::SealedInvitationHeaderV1 =
        error::decode("sealed invitation header", &sealed.header_bytes)?;
    let sender = SignedPublicKeyBundle::from_proto(&header.sender.ok_or_else(|| missing("sender"))?)?;
    let recipient =
        SignedPublicKeyBundle::from_proto(&header.recipient.ok_or_else(|| missing("recipient"))?)?;
    let created = TimestampNs::from_ns(header.created_ns);
    if created != envelope_timestamp {
        return Err(Reason::HeaderTime {
            header: created,
            envelope: envelope_timestamp,
        }
        .into());
    }
    let we_invited = sender.identity_key().key() == own.identity_key().public_key();
    let (ours, peer, role) = if we_invited {
        (sender, recipient, Role::Sender)
    } else {
        (recipient, sender, Role::Recipient)
    };
    if ours.identity_key().key() != own.identity_key().public_key() {
        return Err(Reason::NotOurPreKey.into());
    }
    let pre_key = own.pre_key_of(ours.pre_key()).ok_or(Reason::NotOurPreKey)?;
    let peer = peer.verify()?;
    let secret = x3dh::shared_secret(own.identity_key(), pre_key, &peer, role);
    let plain = Zeroizing::new(ciphertext.open(secret.as_slice(), &sealed.header_bytes)?);
    let invitation = Invitation::decode(&plain)?;
    Ok(OpenedInvitation {
        invitation,
        peer,
        we_invited,
        created,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An invitation whose context is written several times, with so many metadata each: messages one behind the other are one.
    fn with_contexts(metadata: &[usize]) -> Vec<u8> {
        let mut invitation = Invitation {
            topic: Topic::derived_conversation([7; 32]),
            key_material: Zeroizing::new(vec![7; 32]),
            context: None,
            consent_proof: None,
        };
        let mut bytes = Vec::new();
        for count in metadata {
            invitation.context = Some(InvitationContext {
                conversation_id: "id".to_owned(),
                metadata: vec![(String::new(), String::new()); *count],
            });
            bytes.extend(invitation.encode());
        }
        bytes
    }

    #[test]
    fn metadata_are_counted_over_all_contexts_before_they_are_built() {
        let most = limits::PARAMETERS;
        for fits in [&[most][..], &[most / 2, most / 2], &[1, 0, most - 1]] {
            let read = Invitation::decode(&with_contexts(fits)).unwrap();
            assert_eq!(read.context.unwrap().metadata.len(), most, "{fits:?}");
        }
        for over in [&[most + 1][..], &[most, 1], &[most / 2, 0, most / 2 + 1]] {
            let error = Invitation::decode(&with_contexts(over)).unwrap_err().to_string();
            assert!(
                error.contains("more than 1000 of `metadata`"),
                "{over:?}: {error}"
            );
        }
    }
}
