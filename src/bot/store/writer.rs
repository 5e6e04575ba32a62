//! The writer: a thread that makes changes one after the other. Those that came while it was busy are committed together, so that
//! they share one sync of the disk; one that fails takes nothing of the others with it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::log::Log;

/// Changes in one commit: as many rows as a broadcast has under way, some milliseconds of work.
const GROUP: usize = 64;
/// Changes that wait; whoever brings more waits, too.
const WAITING: usize = 1_024;

/// Makes a change in a transaction.
type Job = Box<dyn FnOnce(&Transaction<'_>) -> Made + Send>;

/// A change that was made, or failed.
struct Made {
    is_good: bool,
    /// Tells whoever asked, once it is known whether the change is durable.
    answer: Answer,
}

type Answer = Box<dyn FnOnce(Result<(), &rusqlite::Error>) + Send>;

/// The one connection that changes the file. It is closed when this is dropped, after the changes that wait.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `log` is that of a file which others look at, too; `kept` is let go of in its order once the connection is closed.
    pub(super) fn start<K: Send + 'static>(
        connection: Connection,
        log: Option<Log>,
        kept: K,
    ) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel(WAITING);
        let run = move || {
            run(connection, queue, log);
            drop(kept);
        };
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread::Builder::new().name("store".to_owned()).spawn(run)?),
        })
    }

    /// Makes a change and waits until it is durable. None when the writer has ended, or the change has panicked.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Option<Result<T, rusqlite::Error>> {
        let (answer, answered) = oneshot::channel();
        let job = move |transaction: &Transaction<'_>| {
            let changed = catch_unwind(AssertUnwindSafe(|| change(transaction))).ok();
            let is_good = matches!(changed, Some(Ok(_)));
            let answer = Box::new(move |committed: Result<(), &rusqlite::Error>| {
                let outcome = match (changed, committed) {
                    (Some(Ok(value)), Ok(())) => Ok(value),
                    (Some(Err(error)), _) => Err(error),
                    (Some(Ok(_)), Err(error)) => Err(same(error)),
                    (None, _) => return,
                };
                // Whoever asked may have gone.
                let _ = answer.send(outcome);
            });
            Made { is_good, answer }
        };
        self.jobs.as_ref()?.send(Box::new(job)).await.ok()?;
        answered.await.ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // A change may have held the last handle to the store.
        if let Some(thread) = self
            .thread
            .take()
            .filter(|own| own.thread().id() != thread::current().id())
        {
            let _ = thread.join();
        }
    }
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Job>, mut log: Option<Log>) {
    while let Some(first) = queue.blocking_recv() {
        let mut answers = Vec::new();
        let committed = commit(&mut connection, first, &mut queue, &mut answers);
        for answer in answers {
            answer(committed.as_ref().copied());
        }
        if let Some(log) = &mut log {
            log.look_after(&connection);
        }
    }
    drop(log);
}

/// Makes a change and those that wait, and commits the good ones.
fn commit(
    connection: &mut Connection,
    first: Job,
    queue: &mut mpsc::Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    let step = |statement| transaction.prepare_cached(statement)?.execute([]).map(drop);
    let made = first(&transaction);
    answers.push(made.answer);
    if !made.is_good {
        return transaction.rollback();
    }
    while answers.len() < GROUP
        && let Ok(job) = queue.try_recv()
    {
        step("SAVEPOINT change")?;
        let made = job(&transaction);
        answers.push(made.answer);
        if !made.is_good {
            // Where SQLite has undone everything by itself this fails, and with it what came before.
            step("ROLLBACK TO change")?;
        }
        step("RELEASE change")?;
    }
    transaction.commit()
}

/// The error of a commit, for each of those that it fails.
fn same(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    }
}
