//! Contacts: publishing the own one, and looking up whom this wallet can write to.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use herald_protocol::{
    address::Address,
    bundle::VerifiedBundle,
    contact::{self, ContactBundle},
    proto::api::Envelope,
    time::TimestampNs,
    topic::Topic,
};

use super::{Client, Error, compute};

/// Envelopes looked at for a contact, as the JavaScript client does.
const NEWEST: u32 = 5;
/// How long a contact is believed: a rotated pre-key is noticed after this.
const BELIEVED: Duration = Duration::from_mins(5);
/// Contacts kept; when there are more, all are looked up again.
const KEPT: usize = 50_000;

/// Contacts that were looked up and verified lately.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    known: Mutex<HashMap<Address, (VerifiedBundle, TimestampNs)>>,
}

impl Contacts {
    fn find(&self, wallet: Address, now: TimestampNs) -> Option<VerifiedBundle> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (bundle, read) = known.get(&wallet)?;
        (now.saturating_since(*read) < BELIEVED).then(|| bundle.clone())
    }

    fn keep(&self, wallet: Address, bundle: VerifiedBundle, now: TimestampNs) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(wallet, (bundle, now));
    }
}

impl Client {
    /// Which of the wallets are on the network, in their order. Any number of wallets; asked in batches.
    pub async fn can_message(&self, wallets: &[Address]) -> Result<Vec<bool>, Error> {
        Ok(self
            .contacts(wallets)
            .await?
            .iter()
            .map(Option::is_some)
            .collect())
    }

    /// The newest contact of each wallet that the wallet itself signed, if there is one.
    pub(super) async fn contacts(&self, wallets: &[Address]) -> Result<Vec<Option<Contact>>, Error> {
        let now = (self.inner.clock)();
        let mut found: Vec<Option<Contact>> = wallets
            .iter()
            .map(|wallet| Some(Contact::V2(Box::new(self.inner.contacts.find(*wallet, now)?))))
            .collect();
        let asked: Vec<usize> = (0..wallets.len()).filter(|at| found[*at].is_none()).collect();
        let topics: Vec<Topic> = asked.iter().map(|at| Topic::contact(wallets[*at])).collect();
        let answers = self.inner.api.newest_of_each(&topics, NEWEST).await?;
        let questions: Vec<(usize, Address)> = asked.into_iter().map(|at| (at, wallets[at])).collect();
        let read = compute(move || {
            let answers = questions.into_iter().zip(answers);
            answers
                .map(|((at, wallet), answer)| (at, wallet, read(wallet, &answer)))
                .collect::<Vec<_>>()
        });
        for (at, wallet, contact) in read.await? {
            if let Some(Contact::V2(bundle)) = &contact {
                self.inner.contacts.keep(wallet, bundle.as_ref().clone(), now);
            }
            found[at] = contact;
        }
        Ok(found)
    }

    /// Publishes the own contact, V1 and then V2 because readers take the newest, unless it is there already.
    pub(super) async fn publish_contact(&self) -> Result<(), Error> {
        let topic = Topic::contact(self.inner.address);
        let newest = self
            .inner
            .api
            .newest_of_each(std::slice::from_ref(&topic), NEWEST)
            .await?;
        let own = self.inner.keys.public().bundle();
        if let [newest] = newest.as_slice() {
            let newest = contact::select(
                self.inner.address,
                newest.iter().map(|envelope| envelope.message.as_ref()),
            );
            if newest == Some(ContactBundle::V2(own.clone())) {
                return Ok(());
            }
        }
        for contact in [
            ContactBundle::V1(self.inner.keys.public_v1()?),
            ContactBundle::V2(own.clone()),
        ] {
            let envelope = Envelope {
                content_topic: topic.to_string(),
                timestamp_ns: (self.inner.clock)().as_ns(),
                message: contact.encode().into(),
            };
            self.publish(vec![envelope]).await?;
        }
        Ok(())
    }
}

/// How a wallet can be written to.
#[derive(Clone, Debug)]
pub(super) enum Contact {
    V1,
    V2(Box<VerifiedBundle>),
}

fn read(wallet: Address, newest_first: &[Envelope]) -> Option<Contact> {
    let newest_first = newest_first.iter().map(|envelope| envelope.message.as_ref());
    match contact::select(wallet, newest_first)? {
        ContactBundle::V1(_) => Some(Contact::V1),
        contact @ ContactBundle::V2(_) => match contact.verify() {
            Ok(bundle) => Some(Contact::V2(Box::new(bundle))),
            Err(error) => {
                tracing::warn!(%wallet, %error, "dropped a contact that does not verify");
                None
            }
        },
    }
}
