//! Contacts: publishing the own one, and looking up whom this wallet can write to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use herald_protocol::{
    address::Address,
    bundle::{SignedPublicKeyBundle, VerifiedBundle},
    contact::{self, ContactBundle, Selection},
    proto::api::Envelope,
    time::TimestampNs,
    topic::Topic,
};

use super::{Client, DroppedKind, Error, api::Range, compute_each};

/// Envelopes asked for a contact: as many as [`contact::select`] looks at.
const NEWEST: u32 = 5;
/// How long a contact is believed: a rotated pre-key is noticed after this.
const BELIEVED: Duration = Duration::from_mins(5);
/// Contacts kept; when there are more, all are looked up again.
const KEPT: usize = 50_000;

/// How a wallet can be written to: the newest contact it signed, verified.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    bundle: Arc<VerifiedBundle>,
    is_v1: bool,
}

impl Contact {
    /// Whether the wallet reads V1 only.
    pub(super) fn is_v1(&self) -> bool {
        self.is_v1
    }

    /// The wallet's keys, converted if the contact is V1.
    pub(super) fn bundle(&self) -> &VerifiedBundle {
        &self.bundle
    }

    pub(super) fn into_bundle(self) -> Arc<VerifiedBundle> {
        self.bundle
    }
}

/// Contacts that were looked up and verified lately.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: Mutex<HashMap<Address, (Contact, TimestampNs)>>,
}

impl Contacts {
    fn find(&self, wallet: Address, now: TimestampNs) -> Option<Contact> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (contact, read) = known.get(&wallet)?;
        (now.saturating_since(*read) < BELIEVED).then(|| contact.clone())
    }

    fn keep(&self, wallet: Address, contact: Contact, now: TimestampNs) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(wallet, (contact, now));
    }
}

impl Client {
    /// Which of the wallets can be written to, in their order. Any number of wallets; asked in batches. Not those whose
    /// contacts cannot be used, as when another wallet signed them.
    pub async fn can_message(&self, wallets: &[Address]) -> Result<Vec<bool>, Error> {
        Ok(self.contacts(wallets).await?.iter().map(Result::is_ok).collect())
    }

    /// The newest contact of each wallet that the wallet itself signed; an inner error says why it has none.
    pub(super) async fn contacts(&self, wallets: &[Address]) -> Result<Vec<Result<Contact, Error>>, Error> {
        let now = self.inner.clock.now();
        let known = |wallet: &Address| {
            let found = self.inner.contacts.find(*wallet, now);
            found.ok_or(Error::NotOnNetwork { wallet: *wallet })
        };
        let mut found: Vec<Result<Contact, Error>> = wallets.iter().map(known).collect();
        let asked: Vec<usize> = (0..wallets.len()).filter(|at| found[*at].is_err()).collect();
        let topics: Vec<Topic> = asked.iter().map(|at| Topic::contact(wallets[*at])).collect();
        let answers = self.inner.api.newest_of_each(&topics, NEWEST).await?;
        let answers: Vec<_> = asked.into_iter().zip(answers).collect();
        let (client, wallet_of) = (self.clone(), wallets.to_vec());
        let read = compute_each(answers, move |(at, answer)| {
            let wallet = wallet_of[at];
            (at, wallet, client.read_contact(wallet, &answer))
        });
        for (at, wallet, contact) in read.await? {
            if let Ok(contact) = &contact {
                self.inner.contacts.keep(wallet, contact.clone(), now);
            }
            found[at] = contact;
        }
        Ok(found)
    }

    /// Publishes the own contact, V1 and then V2 because readers take the newest, unless it is there already. Keys that were
    /// given and are older than the contact that is there leave it: the wallet's other clients have the newer pre-key.
    pub(super) async fn publish_contact(&self) -> Result<(), Error> {
        let topic = Topic::contact(self.inner.address);
        let range = Range {
            topics: vec![topic.to_string()],
            descending: true,
            page: NEWEST,
            ..Range::default()
        };
        let newest = self.inner.api.query(&range, None).await?.envelopes;
        let keys = self.keys();
        let own = keys.public().bundle();
        let v2 = ContactBundle::V2(own.clone());
        // The usual case, and nothing has to be verified.
        if newest
            .first()
            .is_some_and(|envelope| envelope.message == v2.encode())
        {
            return Ok(());
        }
        let messages = newest.iter().map(|envelope| envelope.message.as_ref());
        if let Some(found) = contact::select(self.inner.address, messages).contact {
            if found == v2 {
                return Ok(());
            }
            if !self.inner.identity.has_kept_keys() && is_newer(&found, own) {
                tracing::info!(wallet = %self.inner.address, "the keys that were given are older than the wallet's contact");
                return Ok(());
            }
        }
        // The clock of whoever published the last one may be ahead of this one.
        let mut latest = newest.first().map_or(0, |envelope| envelope.timestamp_ns);
        // Imported keys may have no V1 form.
        let v1 = keys.public_v1().ok().map(ContactBundle::V1);
        for contact in v1.into_iter().chain([v2]) {
            latest = self.inner.clock.now().as_ns().max(latest.saturating_add(1));
            let envelope = Envelope {
                content_topic: topic.to_string(),
                timestamp_ns: latest,
                message: contact.encode().into(),
            };
            self.publish_until_taken(&[envelope]).await?;
        }
        Ok(())
    }

    /// Reads what a contact topic holds; what cannot be used is dropped.
    fn read_contact(&self, wallet: Address, newest_first: &[Envelope]) -> Result<Contact, Error> {
        let newest_first = newest_first.iter().map(|envelope| envelope.message.as_ref());
        let Selection { contact, mut skipped } = contact::select(wallet, newest_first);
        let mut usable = None;
        if let Some(contact) = contact {
            match contact.verify() {
                Ok(bundle) => {
                    usable = Some(Contact {
                        bundle: Arc::new(bundle),
                        is_v1: matches!(contact, ContactBundle::V1(_)),
                    });
                }
                Err(error) => skipped.push(error),
            }
        }
        for error in &skipped {
            self.drop_bad(DroppedKind::Contact, Topic::contact(wallet).as_str(), None, error);
        }
        match (usable, skipped.into_iter().next()) {
            (Some(contact), _) => Ok(contact),
            (None, Some(source)) => Err(Error::Contact { wallet, source }),
            (None, None) => Err(Error::NotOnNetwork { wallet }),
        }
    }
}

/// Whether a contact is of the same identity and its pre-key was made later.
fn is_newer(contact: &ContactBundle, own: &SignedPublicKeyBundle) -> bool {
    contact.verify().is_ok_and(|found| {
        let found = found.bundle();
        found.identity_key() == own.identity_key() && found.pre_key().created() > own.pre_key().created()
    })
}
