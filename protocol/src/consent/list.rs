//! What the log of preferences amounts to.

use std::collections::BTreeMap;

use super::preferences::{Permission, PreferencesAction, Subject};
use crate::{address::Address, time::TimestampNs};

/// Whether somebody may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ConsentState {
    /// Nothing was decided.
    #[default]
    Unknown,
    /// May write.
    Allowed,
    /// May not.
    Denied,
}

impl From<Permission> for ConsentState {
    fn from(permission: Permission) -> Self {
        match permission {
            Permission::Allow => Self::Allowed,
            Permission::Deny => Self::Denied,
        }
    }
}

/// The replay of actions in ascending order of their envelopes' times; the last word on a name counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentList {
    addresses: BTreeMap<String, Decision>,
    groups: BTreeMap<String, Decision>,
    inbox_ids: BTreeMap<String, Decision>,
}

/// What was decided, and the time of the envelope that said so.
type Decision = (TimestampNs, Permission);

impl ConsentList {
    /// Applies an action of the log, whose envelope had this time. In whatever order the log is read, a later envelope's word
    /// stays; of two with the same time the one read last counts.
    pub fn apply(&mut self, at: TimestampNs, action: &PreferencesAction) {
        let names = match action.subject {
            Subject::Address => &mut self.addresses,
            Subject::Group => &mut self.groups,
            Subject::InboxId => &mut self.inbox_ids,
        };
        for name in &action.names {
            let decided = names.entry(name.clone()).or_insert((at, action.permission));
            if decided.0 <= at {
                *decided = (at, action.permission);
            }
        }
    }

    /// What is known of a wallet.
    pub fn of_address(&self, wallet: Address) -> ConsentState {
        self.state(Subject::Address, &wallet.to_string())
    }

    /// What is known of a name, compared as it is.
    pub fn state(&self, subject: Subject, name: &str) -> ConsentState {
        self.names(subject)
            .get(name)
            .map_or(ConsentState::Unknown, |(_, permission)| (*permission).into())
    }

    /// All names of which something is known, by kind and in the order of their bytes; never with an unknown state.
    pub fn entries(&self) -> impl Iterator<Item = (Subject, &str, ConsentState)> {
        let kinds = [Subject::Address, Subject::Group, Subject::InboxId];
        kinds.into_iter().flat_map(|subject| {
            let names = self.names(subject).iter();
            names.map(move |(name, (_, permission))| (subject, name.as_str(), (*permission).into()))
        })
    }

    const fn names(&self, subject: Subject) -> &BTreeMap<String, Decision> {
        match subject {
            Subject::Address => &self.addresses,
            Subject::Group => &self.groups,
            Subject::InboxId => &self.inbox_ids,
        }
    }
}
