//! Answers that stand for a while, for all sources of a bot.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

/// The answers, and who is on the way to one.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    answers: Mutex<VecDeque<Cached>>,
    /// Held by whoever asks, so that others who want the same wait for its answer.
    turns: Mutex<HashMap<[u8; 32], Weak<tokio::sync::Mutex<()>>>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Cached {
    /// The digest of the request.
    pub(super) request: [u8; 32],
    pub(super) asked: Instant,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
    pub(super) body: Bytes,
}

impl Cached {
    /// An answer that comes now and has no validators.
    pub(super) fn of(request: [u8; 32], body: Bytes) -> Self {
        Self {
            request,
            asked: Instant::now(),
            etag: None,
            last_modified: None,
            body,
        }
    }
}

impl Cache {
    /// The answer to a request, however old.
    pub(super) fn find(&self, request: &[u8; 32]) -> Option<Cached> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .iter()
            .rev()
            .find(|known| known.request == *request)
            .cloned()
    }

    /// The answer to a request, if it is not older than that.
    pub(super) fn get(&self, request: &[u8; 32], most: Duration) -> Option<Bytes> {
        let known = self.find(request)?;
        (known.asked.elapsed() < most).then_some(known.body)
    }

    /// Keeps an answer; the oldest ones go when there are too many.
    pub(super) fn put(&self, answer: Cached) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|known| known.request != answer.request);
        answers.push_back(answer);
        while answers.len() > 1 && answers.iter().map(|known| known.body.len()).sum::<usize>() > CACHED {
            answers.pop_front();
        }
    }

    /// The turn to ask a request.
    pub(super) fn turn(&self, request: [u8; 32]) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&request).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(request, Arc::downgrade(&turn));
        turn
    }
}

/// Bytes of all answers that are kept for one bot.
const CACHED: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: [u8; 32]) -> Cached {
        Cached {
            request,
            asked: Instant::now(),
            etag: None,
            last_modified: None,
            body: Bytes::from(vec![0; CACHED / 3]),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_stands_for_its_time_and_the_oldest_go_first() {
        let cache = Cache::default();
        for number in 0..3 {
            cache.put(answer([number; 32]));
        }
        let minute = Duration::from_mins(1);
        assert!(cache.get(&[0; 32], minute).is_some());
        cache.put(answer([3; 32]));
        assert!(cache.get(&[0; 32], minute).is_none(), "the oldest made room");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(cache.get(&[1; 32], minute).is_some());
        cache.put(answer([1; 32]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.get(&[1; 32], minute).is_some(), "asked anew");
        assert!(cache.get(&[2; 32], minute).is_none());
    }
}
