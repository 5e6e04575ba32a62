//! How many blocks are read at once: fewer when a node refuses, more after each range that it gives.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{nodes::Error, rpc};

/// Blocks of the first range, and of the largest. Ours: most nodes take ten thousand, some two.
const FIRST: u64 = 2_000;
const LARGEST: u64 = 10_000;
/// Blocks of the largest range of a long history. Ours: nodes of one's own take as many, others refuse before.
const LARGEST_OF_HISTORY: u64 = 1_000_000;
/// Logs of one range; one with more is read in parts.
pub(crate) const MOST_LOGS: usize = 5_000;

/// A number of blocks that suits the nodes.
#[derive(Debug)]
pub(crate) struct Span {
    blocks: AtomicU64,
    most: u64,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            blocks: AtomicU64::new(FIRST),
            most: LARGEST,
        }
    }
}

impl Span {
    /// A span for long histories, in most of which there is nothing.
    pub(crate) fn of_history() -> Self {
        Self {
            most: LARGEST_OF_HISTORY,
            ..Self::default()
        }
    }

    /// The last block of a range that begins with `from` and goes no further than `target`.
    pub(crate) fn end(&self, from: u64, target: u64) -> u64 {
        target.min(from.saturating_add(self.blocks.load(Ordering::Relaxed) - 1))
    }

    /// A range was read.
    pub(crate) fn grow(&self) {
        let blocks = self.blocks.load(Ordering::Relaxed);
        let wider = blocks + (blocks / 8).max(1);
        self.blocks.store(wider.min(self.most), Ordering::Relaxed);
    }

    /// A range was read that had so many logs: the next one is to have as many as are taken at once.
    pub(crate) fn fit(&self, logs: usize) {
        if logs <= MOST_LOGS {
            return self.grow();
        }
        let times = u64::try_from(logs / MOST_LOGS).unwrap_or(u64::MAX);
        let blocks = self.blocks.load(Ordering::Relaxed);
        self.blocks
            .store((blocks / times.saturating_add(1)).max(1), Ordering::Relaxed);
    }

    /// A range was too much. Both ends are of it.
    pub(crate) fn shrink(&self, (from, end): (u64, u64)) {
        let blocks = end.saturating_sub(from).saturating_add(1);
        self.blocks.store((blocks / 2).max(1), Ordering::Relaxed);
    }

    /// Shrinks after a range that failed, where less of it may do better. Says whether a part of it is worth a try at once.
    pub(crate) fn shrink_after(&self, range: (u64, u64), error: &Error) -> bool {
        match error {
            Error::Node(rpc::Error::Refused { .. }) if range.1 > range.0 => {
                self.shrink(range);
                true
            }
            Error::Node(rpc::Error::Unreachable { .. }) => {
                self.shrink(range);
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, FIRST, LARGEST, LARGEST_OF_HISTORY, Span, rpc};

    #[test]
    fn ranges_grow_to_the_largest_and_end_with_the_target() {
        for (span, largest) in [
            (Span::default(), LARGEST),
            (Span::of_history(), LARGEST_OF_HISTORY),
        ] {
            assert_eq!(span.end(1, u64::MAX), FIRST);
            for _ in 0..60 {
                span.grow();
            }
            assert_eq!(span.end(0, u64::MAX), largest - 1);
            assert_eq!(span.end(7, 7), 7);
            assert_eq!(span.end(u64::MAX, u64::MAX), u64::MAX);
        }
    }

    #[test]
    fn ranges_are_halved_down_to_one_block_when_a_node_refuses() {
        let span = Span::default();
        let refused = Error::Node(rpc::Error::Refused {
            place: String::new(),
            code: -32_005,
            message: String::new(),
            data: Vec::new(),
        });
        assert!(span.shrink_after((1, 4), &refused));
        assert_eq!(span.end(1, 9), 2);
        assert!(span.shrink_after((1, 2), &refused));
        assert_eq!(span.end(1, 9), 1);
        assert!(!span.shrink_after((1, 1), &refused), "there is no less");
        span.grow();
        assert_eq!(span.end(1, 9), 2);
    }
}
