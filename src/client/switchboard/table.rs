//! Who follows which topic, and the mailboxes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use herald_protocol::{envelope::digest, limits, proto::api::Envelope, time::TimestampNs};
use tokio::sync::Notify;

use crate::client::{api, seen::Seen};

/// What one mailbox holds before it is full: some hundred messages, so that a thousand readers who are slow at once hold
/// little. A larger envelope fits into an empty one.
const MAILBOX_BYTES: usize = 64 << 10;

/// What comes to a reader.
pub(in crate::client) enum Arrived {
    /// All envelopes of the mailbox, in the order in which they came.
    Envelopes(Vec<Envelope>),
    /// Envelopes of these topics did not fit: those of this time and later are to be read from the store.
    Missed {
        /// As many as a query takes.
        topics: Vec<String>,
        /// The time of the oldest.
        since: TimestampNs,
    },
    /// The connection is another one, or is over: what came meanwhile is in the store only.
    Cut,
}

#[derive(Default)]
pub(super) struct Table {
    topics: HashMap<Arc<str>, Topic>,
    readers: HashMap<u64, Mailbox>,
    /// The id of the next reader.
    next: u64,
    /// Topics that somebody follows and no subscription has. Some of them may have been left meanwhile.
    waiting: Vec<Arc<str>>,
    /// How many topics somebody follows.
    followed: usize,
    /// Which connection this is.
    connection: u64,
}

#[derive(Default)]
struct Topic {
    /// Nobody, for a while, when all who followed it have left.
    readers: Vec<u64>,
    /// Whether a confirmed subscription has it.
    heard: bool,
}

#[derive(Default)]
struct Mailbox {
    followed: Vec<Arc<str>>,
    /// How many of these are not heard.
    unheard: usize,
    envelopes: Vec<Envelope>,
    bytes: usize,
    /// Topics of envelopes that did not fit, and the time of the oldest.
    missed: BTreeSet<String>,
    missed_since: u64,
    refusal: Option<api::Error>,
    /// The digests of what is not put in.
    left_out: Option<Arc<Mutex<Seen>>>,
    wake: Arc<Notify>,
}

impl Mailbox {
    fn is_full(&self) -> bool {
        self.bytes >= MAILBOX_BYTES
    }

    fn leaves_out(&self, envelope: &Envelope) -> bool {
        self.left_out.as_ref().is_some_and(|sent| {
            let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.contains(&digest(&envelope.content_topic, &envelope.message))
        })
    }

    /// Takes an envelope, or notes that it was missed. Behind one that was, all are: the store has them in order.
    fn put(&mut self, envelope: &Envelope) {
        if self.is_full() || !self.missed.is_empty() {
            let first = self.missed.is_empty();
            if !self.missed.contains(&envelope.content_topic) {
                self.missed.insert(envelope.content_topic.clone());
            }
            if first || envelope.timestamp_ns < self.missed_since {
                self.missed_since = envelope.timestamp_ns;
            }
        } else {
            self.bytes += bytes(envelope);
            self.envelopes.push(envelope.clone());
        }
        self.wake.notify_one();
    }

    fn take_missed(&mut self) -> Option<Arrived> {
        let topics: Vec<String> = self
            .missed
            .iter()
            .take(limits::SUBSCRIBE_TOPICS)
            .cloned()
            .collect();
        for topic in &topics {
            self.missed.remove(topic);
        }
        let since = TimestampNs::from_ns(self.missed_since);
        (!topics.is_empty()).then_some(Arrived::Missed { topics, since })
    }
}

/// What an envelope takes in memory, roughly.
fn bytes(envelope: &Envelope) -> usize {
    envelope.message.len() + envelope.content_topic.len() + size_of::<Envelope>()
}

impl Table {
    pub(super) fn add(&mut self) -> (u64, Arc<Notify>) {
        self.next += 1;
        let mailbox = Mailbox::default();
        let wake = Arc::clone(&mailbox.wake);
        self.readers.insert(self.next, mailbox);
        (self.next, wake)
    }

    pub(super) fn follow(&mut self, reader: u64, topics: &[String]) {
        let Some(mailbox) = self.readers.get_mut(&reader) else {
            return;
        };
        for name in topics {
            let name: Arc<str> = match self.topics.get_key_value(name.as_str()) {
                Some((known, _)) => Arc::clone(known),
                None => name.as_str().into(),
            };
            let is_new = !self.topics.contains_key(&name);
            let topic = self.topics.entry(Arc::clone(&name)).or_default();
            if topic.readers.contains(&reader) {
                continue;
            }
            self.followed += usize::from(topic.readers.is_empty());
            topic.readers.push(reader);
            mailbox.unheard += usize::from(!topic.heard);
            if is_new {
                self.waiting.push(Arc::clone(&name));
            }
            mailbox.followed.push(name);
        }
    }

    pub(super) fn leave_out(&mut self, reader: u64, sent: Arc<Mutex<Seen>>) {
        if let Some(mailbox) = self.readers.get_mut(&reader) {
            mailbox.left_out = Some(sent);
        }
    }

    pub(super) fn remove(&mut self, reader: u64) {
        let Some(mailbox) = self.readers.remove(&reader) else {
            return;
        };
        for name in mailbox.followed {
            let Some(topic) = self.topics.get_mut(&name) else {
                continue;
            };
            topic.readers.retain(|id| *id != reader);
            // One that is heard stays until its subscription is opened anew: who follows it till then hears it at once.
            self.followed -= usize::from(topic.readers.is_empty());
        }
    }

    /// Whether everything that a reader follows is heard, and under which connection; none while it is not.
    pub(super) fn connection(&self, reader: u64) -> Option<u64> {
        let mailbox = self.readers.get(&reader)?;
        (mailbox.unheard == 0).then_some(self.connection)
    }

    /// The same, or why it cannot be.
    pub(super) fn standing(&mut self, reader: u64) -> Option<Result<u64, api::Error>> {
        let refusal = self.readers.get_mut(&reader)?.refusal.take();
        refusal.map(Err).or_else(|| self.connection(reader).map(Ok))
    }

    /// What comes next to a reader, and whether its mailbox was full.
    pub(super) fn take(&mut self, reader: u64, connection: u64) -> Option<(Arrived, bool)> {
        let is_over = self.connection(reader) != Some(connection);
        let mailbox = self.readers.get_mut(&reader)?;
        let was_full = mailbox.is_full();
        if !mailbox.envelopes.is_empty() {
            mailbox.bytes = 0;
            let envelopes = std::mem::take(&mut mailbox.envelopes);
            return Some((Arrived::Envelopes(envelopes), was_full));
        }
        let arrived = mailbox.take_missed().or(is_over.then_some(Arrived::Cut));
        arrived.map(|arrived| (arrived, false))
    }

    /// Puts an envelope into the mailboxes of those who follow its topic. Gives it back when one of them is full and nobody has
    /// room: then it waits.
    pub(super) fn route(&mut self, envelope: Envelope) -> Result<(), Envelope> {
        let Some(topic) = self.topics.get(envelope.content_topic.as_str()) else {
            return Ok(());
        };
        let takes = |id: &&u64| {
            self.readers
                .get(id)
                .is_some_and(|mailbox| !mailbox.leaves_out(&envelope))
        };
        let readers: Vec<u64> = topic.readers.iter().filter(takes).copied().collect();
        let is_full = |id: &u64| self.readers.get(id).is_some_and(Mailbox::is_full);
        if readers.iter().any(is_full) {
            let mut reading = self.readers.values().filter(|reader| !reader.followed.is_empty());
            if reading.all(Mailbox::is_full) {
                return Err(envelope);
            }
        }
        for id in readers {
            if let Some(mailbox) = self.readers.get_mut(&id) {
                mailbox.put(&envelope);
            }
        }
        Ok(())
    }

    /// How many topics somebody follows.
    pub(super) fn followed(&self) -> usize {
        self.followed
    }

    /// How many topics are subscribed that nobody follows any more.
    pub(super) fn left(&self) -> usize {
        self.topics.len() - self.followed
    }

    /// Whether topics wait to be heard.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes topics that wait to be heard, as many as one subscription has.
    pub(super) fn take_waiting(&mut self) -> Vec<Arc<str>> {
        let mut taken = Vec::new();
        while taken.len() < limits::SUBSCRIBE_TOPICS {
            let Some(name) = self.waiting.pop() else { break };
            if self.is_followed(&name) {
                taken.push(name);
            }
        }
        taken
    }

    /// Whether anybody follows a topic; one that nobody does is forgotten.
    pub(super) fn is_followed(&mut self, name: &Arc<str>) -> bool {
        let is_followed = self
            .topics
            .get(name)
            .is_some_and(|topic| !topic.readers.is_empty());
        if !is_followed {
            self.topics.remove(name);
        }
        is_followed
    }

    /// Notes that a confirmed subscription has these topics.
    pub(super) fn heard(&mut self, topics: &[Arc<str>]) {
        for name in topics {
            let Some(topic) = self.topics.get_mut(name).filter(|topic| !topic.heard) else {
                continue;
            };
            topic.heard = true;
            for id in &topic.readers {
                if let Some(mailbox) = self.readers.get_mut(id) {
                    mailbox.unheard -= 1;
                    if mailbox.unheard == 0 {
                        mailbox.wake.notify_one();
                    }
                }
            }
        }
    }

    /// Notes that nothing is heard any more, and why it will not be if a node has refused for good.
    pub(super) fn cut(&mut self, refusal: Option<&api::Error>) {
        self.connection += 1;
        self.topics.retain(|_, topic| !topic.readers.is_empty());
        self.waiting.clear();
        for (name, topic) in &mut self.topics {
            topic.heard = false;
            self.waiting.push(Arc::clone(name));
        }
        for mailbox in self.readers.values_mut() {
            mailbox.unheard = mailbox.followed.len();
            mailbox.refusal = refusal.cloned();
            mailbox.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(topic: &str, time: u64, bytes: usize) -> Envelope {
        Envelope {
            content_topic: topic.to_owned(),
            timestamp_ns: time,
            message: vec![0; bytes].into(),
        }
    }

    /// A table with a reader for each of these topics, which are heard.
    fn table<const N: usize>(topics: [&str; N]) -> (Table, [u64; N]) {
        let mut table = Table::default();
        let readers = topics.map(|topic| {
            let (reader, _) = table.add();
            table.follow(reader, &[topic.to_owned()]);
            reader
        });
        let waiting = table.take_waiting();
        table.heard(&waiting);
        (table, readers)
    }

    fn times(arrived: Option<(Arrived, bool)>) -> Vec<u64> {
        match arrived {
            Some((Arrived::Envelopes(envelopes), _)) => {
                envelopes.iter().map(|envelope| envelope.timestamp_ns).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn an_envelope_comes_to_all_who_follow_its_topic_and_to_nobody_else() {
        let (mut table, [a, also_a, b]) = table(["a", "a", "b"]);
        for (topic, time) in [("a", 1), ("b", 2), ("nobody's", 3), ("a", 4)] {
            assert!(table.route(envelope(topic, time, 1)).is_ok());
        }
        assert_eq!(times(table.take(a, 0)), [1, 4]);
        assert_eq!(times(table.take(also_a, 0)), [1, 4]);
        assert_eq!(times(table.take(b, 0)), [2]);
        assert!(table.take(b, 0).is_none());
        table.remove(a);
        assert!(table.route(envelope("a", 5, 1)).is_ok());
        assert_eq!(times(table.take(also_a, 0)), [5]);
    }

    #[test]
    fn what_a_reader_leaves_out_takes_no_room_and_is_not_missed() {
        let (mut table, [sender, other]) = table(["a", "a"]);
        let (own, full) = (envelope("a", 2, 7), envelope("a", 1, MAILBOX_BYTES));
        let sent = Arc::new(Mutex::new(Seen::of(1)));
        table.leave_out(sender, Arc::clone(&sent));
        sent.lock()
            .unwrap()
            .insert(digest(&own.content_topic, &own.message));
        assert!(table.route(full).is_ok());
        assert_eq!(times(table.take(other, 0)), [1]);
        assert!(table.route(own).is_ok());
        assert_eq!(times(table.take(other, 0)), [2]);
        assert_eq!(times(table.take(sender, 0)), [1]);
        assert!(table.take(sender, 0).is_none());
    }

    #[test]
    fn who_has_no_room_misses_what_others_have_room_for_and_is_told_from_when_on() {
        let (mut table, [full, other]) = table(["a", "b"]);
        assert!(table.route(envelope("a", 1, MAILBOX_BYTES)).is_ok());
        for time in [9, 7, 8] {
            assert!(table.route(envelope("a", time, 1)).is_ok());
        }
        assert_eq!(times(table.take(full, 0)), [1]);
        // What comes behind is in the store, too: in order.
        assert!(table.route(envelope("a", 10, 1)).is_ok());
        match table.take(full, 0) {
            Some((Arrived::Missed { topics, since }, _)) => {
                assert_eq!((topics, since.as_ns()), (vec!["a".to_owned()], 7));
            }
            _ => panic!("something is missed"),
        }
        assert!(table.route(envelope("a", 11, 1)).is_ok());
        assert_eq!(times(table.take(full, 0)), [11]);
        assert!(table.take(other, 0).is_none());
    }

    #[test]
    fn when_nobody_has_room_nothing_is_missed_and_the_envelope_waits() {
        let (mut table, [a, b]) = table(["a", "b"]);
        for topic in ["a", "b"] {
            assert!(table.route(envelope(topic, 1, MAILBOX_BYTES)).is_ok());
        }
        let held = table.route(envelope("a", 2, 1)).unwrap_err();
        assert_eq!(times(table.take(a, 0)), [1]);
        assert!(table.route(held).is_ok());
        assert_eq!(times(table.take(a, 0)), [2]);
        assert_eq!(times(table.take(b, 0)), [1]);
    }

    #[test]
    fn a_reader_stands_when_all_it_follows_is_heard_and_is_told_of_a_cut() {
        let (mut table, [a]) = table(["a"]);
        assert_eq!(table.connection(a), Some(0));
        table.follow(a, &["b".to_owned(), "a".to_owned()]);
        assert_eq!(table.connection(a), None);
        let waiting = table.take_waiting();
        assert_eq!(waiting, ["b".into()]);
        table.heard(&waiting);
        assert_eq!(table.connection(a), Some(0));
        table.cut(None);
        assert!(matches!(table.take(a, 0), Some((Arrived::Cut, _))));
        let waiting = table.take_waiting();
        assert_eq!(waiting.len(), 2);
        table.heard(&waiting);
        assert_eq!(table.connection(a), Some(1));
    }

    #[test]
    fn a_topic_that_is_left_and_still_subscribed_is_heard_at_once() {
        let (mut table, [a]) = table(["a"]);
        table.remove(a);
        assert_eq!((table.followed(), table.left()), (0, 1));
        let (again, _) = table.add();
        table.follow(again, &["a".to_owned()]);
        assert_eq!(table.connection(again), Some(0));
        assert_eq!((table.followed(), table.left()), (1, 0));
    }
}
