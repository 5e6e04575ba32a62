//! What the client left out, told to those whom it concerns: each listener hears of an envelope once, however often it is read.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use herald::client::{Dropped, DroppedKind, MessageId};

use crate::told;

/// Which rejections a listener hears.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Messages of all conversations, and what would have opened one.
    All,
    /// Messages on one topic.
    Topic(String),
    /// What would have opened a conversation.
    Conversations,
    /// Entries of the consent log.
    Consent,
}

impl Scope {
    fn has(&self, dropped: &Dropped<'_>) -> bool {
        match self {
            Self::All => matches!(dropped.kind, DroppedKind::Message | DroppedKind::Invitation),
            Self::Topic(topic) => dropped.kind == DroppedKind::Message && dropped.topic == topic,
            Self::Conversations => dropped.kind == DroppedKind::Invitation,
            Self::Consent => dropped.kind == DroppedKind::Preference,
        }
    }
}

/// Who listens to rejections now.
#[derive(Clone, Default)]
pub(crate) struct Rejections {
    listeners: Arc<Mutex<Vec<Listener>>>,
    last: Arc<AtomicU64>,
}

struct Listener {
    number: u64,
    scope: Scope,
    heard: HashSet<MessageId>,
    tell: Box<dyn FnMut(String) + Send>,
}

/// Ends a listener when it is dropped.
pub(crate) struct Listening {
    number: u64,
    listeners: Arc<Mutex<Vec<Listener>>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.number != self.number);
    }
}

impl Rejections {
    /// Has `tell` called with the error of each envelope in scope, until the guard is dropped.
    pub(crate) fn listen(&self, scope: Scope, tell: impl FnMut(String) + Send + 'static) -> Listening {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let listener = Listener {
            number,
            scope,
            heard: HashSet::new(),
            tell: Box::new(tell),
        };
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
        Listening {
            number,
            listeners: Arc::clone(&self.listeners),
        }
    }

    /// Tells what was left out.
    pub(crate) fn hear(&self, dropped: &Dropped<'_>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        for listener in listeners
            .iter_mut()
            .filter(|listener| listener.scope.has(dropped))
        {
            if dropped.id.is_none_or(|id| listener.heard.insert(id)) {
                (listener.tell)(told(dropped.error));
            }
        }
    }
}
