//! An open live stream, with what it costs its caller.

use std::sync::Arc;

use super::{access::Reader, limits::Limits, query, status::Error};
use crate::{
    caller::Caller,
    envelope::Arrival,
    places::Place,
    subscription::{End, Subscription},
};

/// A live stream of one caller.
#[derive(Debug)]
pub(crate) struct LiveStream {
    subscription: Subscription,
    limits: Arc<Limits>,
    caller: Caller,
    allow_listed: bool,
    /// Judged once: a stream outlives its token.
    reader: Reader,
    /// Counted as one of the caller's until it is dropped.
    _place: Option<Place>,
}

impl LiveStream {
    /// Charges the caller and opens what he asked for.
    pub(super) fn open(
        limits: &Arc<Limits>,
        caller: Caller,
        (allow_listed, reader): (bool, Reader),
        subscribe: impl FnOnce() -> Result<Subscription, End>,
    ) -> Result<Self, Error> {
        let place = limits.stream(caller)?;
        limits.other(caller, allow_listed, OPENING)?;
        Ok(Self {
            subscription: subscribe()?,
            limits: Arc::clone(limits),
            caller,
            allow_listed,
            reader,
            _place: place,
        })
    }

    /// Waits for the next arrival. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Arc<Arrival>, End> {
        self.subscription.next().await
    }

    /// Gives the stream other topics.
    pub(crate) fn replace_topics(&mut self, topics: Vec<String>) -> Result<(), Error> {
        query::check_topic_count(&topics)?;
        self.reader.check_may_read(&topics)?;
        self.limits.other(self.caller, self.allow_listed, UPDATE)?;
        self.subscription.replace_topics(topics);
        Ok(())
    }
}

const OPENING: u32 = 1;
const UPDATE: u32 = 1;
