//! The log of private preferences: what is written, where, and sealed with what.

use std::fmt;

use base64::Engine as _;
use prost::Message as _;
use zeroize::Zeroizing;

use crate::{
    Error,
    address::Address,
    ciphertext::{Ciphertext, Entropy},
    error,
    hash::{hkdf_sha256, sha256},
    key::{PrivateKey, PublicKey},
    proto::contents::{
        self,
        private_preferences_action::{Addresses, Groups, InboxIds},
        private_preferences_payload::Version,
    },
    topic::Topic,
};

const TOPIC_SALT: &[u8] = b"XMTP_PRIVATE_PREFERENCES_TOPIC";
const ENCRYPTION_SALT: &[u8] = b"XMTP_PRIVATE_PREFERENCES_ENCRYPTION";

/// What is decided about somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// May write.
    Allow,
    /// May not.
    Deny,
}

/// What kind of name an entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A wallet's address in EIP-55.
    Address,
    /// The id of a group, as given.
    Group,
    /// The id of an inbox, as given.
    InboxId,
}

/// One decision about some names of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferencesAction {
    /// What is decided.
    pub permission: Permission,
    /// What kind of names follow.
    pub subject: Subject,
    /// The names, exactly as written: an address that is not in EIP-55 never matches one.
    pub names: Vec<String>,
}

impl PreferencesAction {
    /// A decision about wallets.
    pub fn addresses(permission: Permission, wallets: impl IntoIterator<Item = Address>) -> Self {
        Self {
            permission,
            subject: Subject::Address,
            names: wallets.into_iter().map(|wallet| wallet.to_string()).collect(),
        }
    }

    /// Encodes `xmtp.message_contents.PrivatePreferencesAction`.
    pub fn encode(&self) -> Vec<u8> {
        let mut proto = contents::PrivatePreferencesAction::default();
        let names = self.names.clone();
        match (self.subject, self.permission) {
            (Subject::Address, permission) => {
                let member = Some(Addresses {
                    wallet_addresses: names,
                });
                *choose(permission, &mut proto.allow_address, &mut proto.deny_address) = member;
            }
            (Subject::Group, permission) => {
                let member = Some(Groups { group_ids: names });
                *choose(permission, &mut proto.allow_group, &mut proto.deny_group) = member;
            }
            (Subject::InboxId, permission) => {
                let member = Some(InboxIds { inbox_ids: names });
                *choose(permission, &mut proto.allow_inbox_id, &mut proto.deny_inbox_id) = member;
            }
        }
        proto.encode_to_vec()
    }

    /// Decodes `xmtp.message_contents.PrivatePreferencesAction`: the members that are present, in the order in which
    /// xmtp-js applies them, addresses, groups, inbox ids, each allowed before denied. None is fine, too.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let proto: contents::PrivatePreferencesAction = error::decode("preferences action", bytes)?;
        let of_addresses = |member: Addresses| (Subject::Address, member.wallet_addresses);
        let of_groups = |member: Groups| (Subject::Group, member.group_ids);
        let of_inboxes = |member: InboxIds| (Subject::InboxId, member.inbox_ids);
        let members = [
            (Permission::Allow, proto.allow_address.map(of_addresses)),
            (Permission::Deny, proto.deny_address.map(of_addresses)),
            (Permission::Allow, proto.allow_group.map(of_groups)),
            (Permission::Deny, proto.deny_group.map(of_groups)),
            (Permission::Allow, proto.allow_inbox_id.map(of_inboxes)),
            (Permission::Deny, proto.deny_inbox_id.map(of_inboxes)),
        ];
        let present = members.into_iter().filter_map(|(permission, member)| {
            member.map(|(subject, names)| Self {
                permission,
                subject,
                names,
            })
        });
        Ok(present.collect())
    }
}

fn choose<'a, T>(permission: Permission, allow: &'a mut T, deny: &'a mut T) -> &'a mut T {
    match permission {
        Permission::Allow => allow,
        Permission::Deny => deny,
    }
}

/// Where a wallet's log of preferences is, and what seals it. Both follow from the identity key, so every client of the
/// wallet finds the same log. The secret is wiped when dropped; Debug shows the topic only.
#[derive(Clone)]
pub struct Preferences {
    topic: Topic,
    secret: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl Preferences {
    /// The log of this identity.
    pub fn of(identity_key: &PrivateKey) -> Self {
        let key = identity_key.to_bytes();
        let identifier = sha256(&[hkdf_sha256(key.as_slice(), TOPIC_SALT, &[]).as_slice()]);
        let identifier = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(identifier);
        Self {
            topic: Topic::derived_preferences(&identifier),
            secret: hkdf_sha256(key.as_slice(), ENCRYPTION_SALT, &[]),
            public: identity_key.public_key().clone(),
        }
    }

    /// The topic of the log. Its order is that of the envelopes' times, so a writer must not use one twice.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Seals one action: the payload of an envelope.
    pub fn seal(&self, action: &PreferencesAction, entropy: Entropy) -> Vec<u8> {
        let plain = action.encode();
        let ciphertext =
            Ciphertext::seal(&plain, self.secret.as_slice(), self.public.as_bytes(), entropy).into_proto();
        contents::PrivatePreferencesPayload {
            version: Some(Version::V1(ciphertext)),
        }
        .encode_to_vec()
    }

    /// Opens the payload of an envelope: the actions to apply, in order. One, as long as the writer keeps to the rules.
    pub fn open(&self, payload: &[u8]) -> Result<Vec<PreferencesAction>, Error> {
        let proto: contents::PrivatePreferencesPayload = error::decode("preferences", payload)?;
        let Some(Version::V1(ciphertext)) = proto.version else {
            return Err(Error::missing("preferences", "v1"));
        };
        let plain =
            Ciphertext::from_proto(ciphertext)?.open(self.secret.as_slice(), self.public.as_bytes())?;
        PreferencesAction::decode(&plain)
    }
}

impl fmt::Debug for Preferences {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Preferences");
        shown.field("topic", &self.topic).finish_non_exhaustive()
    }
}
