//! What clients of one process share: one connection to a node, and on it one stream for each 10,000 topics that any of them
//! follows.
//!
//! Enters: topics, from readers. Leaves: envelopes, each into the mailboxes of those who follow its topic. [`operator`] keeps
//! the subscriptions; [`table`] knows whose an envelope is. A mailbox is small: what does not fit is missed while others read
//! on, and its reader finds it in the store; when nobody has room, the node is not read, and feeds the stream from its store.

mod operator;
mod table;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, task::JoinSet};

use super::{
    api::{self, Api, NodeAddress},
    seen::Seen,
};
use operator::Operator;
pub(super) use table::Arrived;
use table::Table;

/// The ways to nodes that clients share, see [`Builder::switchboard`](super::Builder::switchboard). Clones are one.
///
/// However many clients use a node through it, the node sees one connection, and one stream for each 10,000 topics. Without
/// one each client has its own.
#[derive(Clone, Default)]
pub struct Switchboard {
    lines: Arc<Mutex<HashMap<NodeAddress, Line>>>,
}

impl std::fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Switchboard")
    }
}

impl Switchboard {
    /// The way to a node, opened when it is first used.
    pub(super) fn line(&self, node: &NodeAddress) -> Result<Line, api::Error> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(node) {
            return Ok(line.clone());
        }
        let line = Line {
            api: Api::new(node.clone())?,
            desk: Arc::default(),
            operator: Arc::default(),
        };
        lines.insert(node.clone(), line.clone());
        Ok(line)
    }
}

/// The way to one node. Its operator ends with the last clone.
#[derive(Clone)]
pub(super) struct Line {
    api: Api,
    desk: Arc<Desk>,
    operator: Arc<Mutex<JoinSet<()>>>,
}

/// Where readers and the operator meet.
#[derive(Default)]
struct Desk {
    table: Mutex<Table>,
    /// Told when topics wait to be heard, when nobody follows them any more, and when a full mailbox has room.
    changed: Notify,
}

impl Desk {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The calls of one client: the waits that a node asks a wallet for are that wallet's.
    pub(super) fn api(&self) -> Api {
        self.api.of_another_wallet()
    }

    /// A reader that follows nothing yet.
    pub(super) fn reader(&self) -> Reader {
        let (id, wake) = self.desk.table().add();
        Reader {
            line: self.clone(),
            id,
            wake,
        }
    }

    /// Has an operator at work.
    fn operate(&self) {
        let mut operator = self.operator.lock().unwrap_or_else(PoisonError::into_inner);
        // One ends with its runtime only.
        while operator.try_join_next().is_some() {}
        if operator.is_empty() {
            operator.spawn(Operator::new(Arc::clone(&self.desk), self.api.clone()).run());
        }
    }
}

/// Follows topics of one node; it is left out of the table when it is dropped.
pub(super) struct Reader {
    line: Line,
    id: u64,
    wake: Arc<Notify>,
}

impl Reader {
    /// Follows these topics, too.
    pub(super) fn follow(&self, topics: &[String]) {
        self.line.desk.table().follow(self.id, topics);
        self.line.desk.changed.notify_one();
    }

    /// Is not given envelopes whose digests are in there, nor made to read them from the store: its own client sent them.
    pub(super) fn leave_out(&self, sent: Arc<Mutex<Seen>>) {
        self.line.desk.table().leave_out(self.id, sent);
    }

    /// Waits until the node has confirmed that it tells everything followed. Gives the number of the connection: under another
    /// one there was a gap. Fails when the node refuses for good, once for each time.
    ///
    /// Cancel-safe.
    pub(super) async fn standing(&self) -> Result<u64, api::Error> {
        self.line.operate();
        loop {
            let standing = self.line.desk.table().standing(self.id);
            match standing {
                Some(standing) => return standing,
                None => self.wake.notified().await,
            }
        }
    }

    /// The number of the connection under which everything followed is heard now; none while it is not.
    pub(super) fn connection(&self) -> Option<u64> {
        self.line.desk.table().connection(self.id)
    }

    /// What comes next; waits for it. [`Arrived::Cut`] when `connection` is over.
    ///
    /// Cancel-safe.
    pub(super) async fn next(&self, connection: u64) -> Arrived {
        loop {
            let taken = self.line.desk.table().take(self.id, connection);
            match taken {
                Some((arrived, was_full)) => {
                    if was_full {
                        self.line.desk.changed.notify_one();
                    }
                    return arrived;
                }
                None => self.wake.notified().await,
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.line.desk.table().remove(self.id);
        self.line.desk.changed.notify_one();
    }
}
