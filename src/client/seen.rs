//! What was told or sent lately.

use std::collections::HashSet;

/// The envelopes told or sent lately: two generations, so that the memory is bounded and the newest are never forgotten.
pub(super) struct Seen {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
    /// Ids in a generation.
    generation: usize,
}

/// Ids in a generation unless said otherwise: 4 MiB.
const GENERATION: usize = 100_000;

impl Default for Seen {
    fn default() -> Self {
        Self::of(GENERATION)
    }
}

impl Seen {
    /// The last `generation` are known at least, and up to twice as many.
    pub(super) fn of(generation: usize) -> Self {
        Self {
            young: HashSet::new(),
            old: HashSet::new(),
            generation,
        }
    }

    pub(super) fn contains(&self, id: &[u8; 32]) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    pub(super) fn insert(&mut self, id: [u8; 32]) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_the_memory_is_bounded() {
        let id = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            id
        };
        let mut seen = Seen::default();
        let count = 3 * GENERATION + 5;
        for number in 0..count {
            seen.insert(id(number));
        }
        assert!((count - GENERATION..count).all(|number| seen.contains(&id(number))));
        assert!(seen.young.len() + seen.old.len() <= 2 * GENERATION);
        assert!(!seen.contains(&id(0)));
    }
}
