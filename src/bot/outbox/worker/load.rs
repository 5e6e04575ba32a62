//! The files of messages.

use chrono::{DateTime, Utc};

use super::{Error, Loaded, Ready, Worker, looked_at_again};
use crate::bot::{
    outbox::{
        files::{Failure, Files},
        render::{Message, Outgoing},
    },
    store::State,
};

/// Files inside of messages in one round: 16 MB at the most, and their seals.
const ATTACHED: usize = 16;

/// What the messages of one round share.
#[derive(Default)]
pub(super) struct Loader {
    files: Files,
    attached: usize,
}

impl Worker {
    /// Reads and uploads the files of messages. A file that may be there later holds its row; files inside of messages that would
    /// take too much memory at once stay for the next round.
    pub(super) async fn load(
        &self,
        ready: Vec<Ready>,
        shared: &mut Loader,
        now: DateTime<Utc>,
    ) -> Result<Vec<Loaded>, Error> {
        let mut loaded = Vec::with_capacity(ready.len());
        let (mut held, mut settled) = (Vec::new(), Vec::new());
        for Ready { row, message, proof } in ready {
            let Outgoing {
                message,
                thread,
                conversation,
            } = message;
            let content = match message {
                Message::Content(content) => content,
                Message::File(file) => {
                    if file.upload.is_none() {
                        shared.attached += 1;
                        if shared.attached > ATTACHED {
                            continue;
                        }
                    }
                    let _turn = match file.upload {
                        Some(_) => Some(self.uploading.lock().await),
                        None => None,
                    };
                    match shared.files.content(&self.running, &row, file).await? {
                        Ok(content) => content,
                        Err(Failure::Later(reason)) => {
                            held.push(looked_at_again(row, reason, now));
                            continue;
                        }
                        Err(Failure::Never(reason)) => {
                            settled.push((row, State::Rejected, Some(reason)));
                            continue;
                        }
                    }
                }
            };
            loaded.push(Loaded {
                row,
                content,
                thread,
                conversation,
                proof,
            });
        }
        self.hold(held).await?;
        self.settle(settled).await?;
        Ok(loaded)
    }
}
