//! Group commit, the part that every store shares: publishes wait in a bounded queue, leave it in groups, and are acknowledged
//! a group at a time. There is no timer: while one group is committed, the next gathers by itself.

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::Error;
use crate::envelope::AcceptedEnvelope;

/// One request's envelopes on their way to disk; never split over two groups.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) envelopes: Vec<AcceptedEnvelope>,
    pub(super) done: oneshot::Sender<Result<(), Error>>,
    pub(super) _backlog: OwnedSemaphorePermit,
}

/// Publishes that are committed together.
pub(super) type Group = Vec<Publish>;

/// Whatever waits behind `first`: at most [`GROUP_ROWS`] envelopes and [`GROUP_BYTES`], but always the first publish whole.
pub(super) fn gather(first: Publish, queue: &mut mpsc::Receiver<Publish>) -> Group {
    let mut rows = first.envelopes.len();
    let mut bytes = size(&first);
    let mut group = vec![first];
    while rows < GROUP_ROWS && bytes < GROUP_BYTES {
        let Ok(publish) = queue.try_recv() else { break };
        rows += publish.envelopes.len();
        bytes += size(&publish);
        group.push(publish);
    }
    group
}

fn size(publish: &Publish) -> usize {
    publish.envelopes.iter().map(AcceptedEnvelope::size).sum()
}

/// The envelopes of a group in the order they came.
pub(super) fn envelopes(group: &[Publish]) -> impl Iterator<Item = &AcceptedEnvelope> {
    group.iter().flat_map(|publish| &publish.envelopes)
}

/// Tells callers that their envelopes are on disk, a group at a time. A task of the runtime, because to wake each caller from
/// the writer costs the writer time, and sends the answers of a connection one by one instead of together.
pub(super) async fn acknowledge(mut committed: mpsc::Receiver<Group>) {
    while let Some(group) = committed.recv().await {
        for publish in group {
            // A caller that went away is of no concern: what it published is stored.
            let _ = publish.done.send(Ok(()));
        }
    }
}

/// Tells callers that nothing of theirs was stored, as far as is known.
pub(super) fn refuse(group: Group) {
    for publish in group {
        let _ = publish.done.send(Err(Error::Unwritable));
    }
}

/// Measured: 64 rows a commit give 15 thousand rows a second here, 512 give 75 thousand; more only adds waiting time.
const GROUP_ROWS: usize = 256;
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Groups that are on disk and not acknowledged yet; the writer waits when they are full.
pub(super) const COMMITTED_GROUPS: usize = 4;
