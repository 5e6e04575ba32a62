//! So many at a time for each address.

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::caller::Source;

/// Places that addresses take and give back.
#[derive(Debug)]
pub(crate) struct Places {
    taken: Mutex<HashMap<Source, usize>>,
    most: NonZeroUsize,
}

impl Places {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self {
            taken: Mutex::default(),
            most,
        }
    }

    /// One more for this address, unless it has all it may.
    pub(crate) fn take(self: &Arc<Self>, source: Source) -> Option<Place> {
        let mut places = self.lock();
        let taken = places.entry(source).or_insert(0);
        if *taken >= self.most.get() {
            return None;
        }
        *taken += 1;
        Some(Place {
            places: Arc::clone(self),
            source,
        })
    }

    pub(crate) fn most(&self) -> usize {
        self.most.get()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One taken place; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    source: Source,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        if let Some(taken) = places.get_mut(&self.source) {
            *taken -= 1;
            if *taken == 0 {
                places.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_forgotten() {
        let places = Arc::new(Places::new(NonZeroUsize::new(2).unwrap()));
        let (one, other) = (Source::V4([192, 0, 2, 1]), Source::V4([192, 0, 2, 2]));
        let first = places.take(one).unwrap();
        let second = places.take(one).unwrap();
        assert!(places.take(one).is_none());
        assert!(places.take(other).is_some(), "each address has its own");
        drop(first);
        assert!(places.take(one).is_some());
        drop(second);
        assert!(
            places.lock().is_empty(),
            "an address without places costs nothing"
        );
    }
}
