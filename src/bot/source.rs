//! Sources by name: places on the web whose answers bots read.
//!
//! Enters: what a bot's file says of a source, and the names of an occurrence. Leaves: its items, a page of the answer at a time,
//! or as they were given where nothing is to be asked. Promised: an answer is asked through the guarded client, bounded in size and time; paging ends; a part of an answer is never
//! taken for the whole.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    config::SecretReference,
    expression::{Expression, Template},
};

/// Where answers come from.
mod answers;
/// Asking, page by page.
mod pages;
/// What is posted.
mod post;

pub use answers::Answer;
pub(crate) use answers::{Answers, CALLBACK, Given};
pub(crate) use pages::{Asker, Pages};
pub use post::Post;

/// A source that answers JSON over HTTP.
#[derive(Debug, Clone)]
pub struct Http {
    /// Its name in the bot's file.
    pub name: String,
    /// The URL.
    pub url: Template,
    /// The body of a POST; a GET without.
    pub post: Option<Post>,
    /// Headers by name.
    pub headers: Vec<(String, Header)>,
    /// A token that is sent as `authorization: Bearer …`.
    pub auth: Option<SecretReference>,
    /// The items in `body`; the body itself unless said otherwise.
    pub pick: Option<Expression>,
    /// The URL of the next page in `body`, relative to the one that was asked; none ends it.
    pub next: Option<Expression>,
    /// How long an answer stands for the same request.
    pub cache: Option<Duration>,
    /// How long an answer may take, the whole of one page.
    pub timeout: Duration,
}

/// The value of a header.
#[derive(Debug, Clone)]
pub enum Header {
    /// Told in the file.
    Text(Template),
    /// Kept secret.
    Secret(SecretReference),
}

impl Header {
    /// What is told in the file.
    pub(crate) fn template(&self) -> Option<&Template> {
        match self {
            Self::Text(template) => Some(template),
            Self::Secret(_) => None,
        }
    }
}

/// Answers that stand for a while, for all sources of a bot.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    answers: Mutex<VecDeque<Cached>>,
}

#[derive(Debug)]
struct Cached {
    /// The digest of the request.
    request: [u8; 32],
    asked: Instant,
    body: Bytes,
}

impl Cache {
    /// The answer to a request, if it is not older than that.
    fn get(&self, request: &[u8; 32], most: Duration) -> Option<Bytes> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = answers.iter().rev().find(|known| known.request == *request)?;
        (known.asked.elapsed() < most).then(|| known.body.clone())
    }

    /// Keeps an answer; the oldest ones go when there are too many.
    fn put(&self, request: [u8; 32], body: Bytes) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|known| known.request != request);
        answers.push_back(Cached {
            request,
            asked: Instant::now(),
            body,
        });
        while answers.len() > 1 && answers.iter().map(|known| known.body.len()).sum::<usize>() > CACHED {
            answers.pop_front();
        }
    }
}

/// Bytes of all answers that are kept for one bot.
const CACHED: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{CACHED, Cache};
    use bytes::Bytes;

    #[tokio::test(start_paused = true)]
    async fn an_answer_stands_for_its_time_and_the_oldest_go_first() {
        let cache = Cache::default();
        let large = || Bytes::from(vec![0; CACHED / 3]);
        for number in 0..3 {
            cache.put([number; 32], large());
        }
        let minute = Duration::from_mins(1);
        assert!(cache.get(&[0; 32], minute).is_some());
        cache.put([3; 32], large());
        assert!(cache.get(&[0; 32], minute).is_none(), "the oldest made room");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(cache.get(&[1; 32], minute).is_some());
        cache.put([1; 32], large());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.get(&[1; 32], minute).is_some(), "asked anew");
        assert!(cache.get(&[2; 32], minute).is_none());
    }
}
