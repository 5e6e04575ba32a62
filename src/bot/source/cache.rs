//! Answers that stand for a while, for all sources of a bot.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

/// The answers, and who is on the way to one.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    answers: Mutex<Kept>,
    /// Held by whoever asks, so that others who want the same wait for its answer.
    turns: Mutex<HashMap<[u8; 32], Weak<tokio::sync::Mutex<()>>>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By the digests of their requests, each with its number.
    answers: HashMap<[u8; 32], (u64, Cached)>,
    /// The digests by the numbers of the answers, the oldest first.
    order: BTreeMap<u64, [u8; 32]>,
    next: u64,
    /// Bytes of them all.
    size: usize,
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

    /// The bytes it takes, about.
    fn size(&self) -> usize {
        AROUND + self.body.len()
    }
}

impl Cache {
    /// The answer to a request, however old.
    pub(super) fn find(&self, request: &[u8; 32]) -> Option<Cached> {
        let kept = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        kept.answers.get(request).map(|(_, known)| known.clone())
    }

    /// The answer to a request, if it is not older than that.
    pub(super) fn get(&self, request: &[u8; 32], most: Duration) -> Option<Bytes> {
        let known = self.find(request)?;
        (known.asked.elapsed() < most).then_some(known.body)
    }

    /// Keeps an answer; the oldest ones go when there are too many.
    pub(super) fn put(&self, answer: Cached) {
        let mut kept = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&answer.request);
        let number = kept.next;
        kept.next += 1;
        kept.size += answer.size();
        kept.order.insert(number, answer.request);
        kept.answers.insert(answer.request, (number, answer));
        while kept.size > CACHED
            && kept.answers.len() > 1
            && let Some(oldest) = kept.order.values().next().copied()
        {
            kept.remove(&oldest);
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

impl Kept {
    fn remove(&mut self, request: &[u8; 32]) {
        if let Some((number, gone)) = self.answers.remove(request) {
            self.order.remove(&number);
            self.size -= gone.size();
        }
    }
}

/// Bytes of all answers that are kept for one bot.
const CACHED: usize = 16 * 1024 * 1024;
/// Bytes around the body of one: digests, validators, places in maps.
const AROUND: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(request: [u8; 32]) -> Cached {
        Cached {
            request,
            asked: Instant::now(),
            etag: None,
            last_modified: None,
            body: Bytes::from(vec![0; CACHED / 3 - AROUND]),
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

    #[test]
    fn many_small_answers_are_kept_within_the_same_bound() {
        let cache = Cache::default();
        let most = CACHED / (AROUND + 4);
        for number in 0..2 * most {
            let mut request = [0; 32];
            request[..8].copy_from_slice(&number.to_be_bytes());
            cache.put(Cached::of(request, Bytes::from_static(&[0; 4])));
        }
        let kept = cache.answers.lock().unwrap();
        assert_eq!((kept.answers.len(), kept.order.len()), (most, most));
        assert_eq!(kept.size, most * (AROUND + 4));
    }
}
