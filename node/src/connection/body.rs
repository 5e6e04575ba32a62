//! Bodies on their way in and out.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Sleep;
use tonic::Status;

use super::{gate::Gate, pulse::OpenCall};
use crate::metrics;

/// A request's body: one that stops arriving ends, and all together hold no more than the node has room for.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Incoming,
    gate: Arc<Gate>,
    /// Set for calls that talk as long as they last: they may pause between messages.
    messages: Option<Messages>,
    /// It was refused; what still comes is not kept.
    refused: bool,
    /// Bytes of what has not arrived in full.
    arrived: usize,
    /// Since the deadline was set.
    progress: usize,
    /// Set while the body is waited for.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(super) fn new(body: Incoming, gate: Arc<Gate>, conversation: bool) -> Self {
        Self {
            body,
            gate,
            messages: conversation.then(Messages::default),
            refused: false,
            arrived: 0,
            progress: 0,
            deadline: None,
        }
    }

    fn count(&mut self, bytes: &[u8]) -> Result<(), Status> {
        if self.refused {
            return Ok(());
        }
        self.progress += bytes.len();
        self.arrived += bytes.len();
        let gate = &self.gate;
        let unfinished = gate.unfinished.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        if self.arrived > PROGRESS && unfinished > gate.limits.unfinished_requests {
            metrics::request_stopped("memory");
            self.refuse();
            return Err(Status::resource_exhausted(
                "the node has no room for more unfinished requests",
            ));
        }
        let complete = self.messages.as_mut().is_some_and(|messages| {
            messages.advance(bytes);
            messages.is_between()
        });
        if complete {
            self.release();
        }
        if complete || self.progress >= PROGRESS {
            self.progress = 0;
            self.deadline = None;
        }
        Ok(())
    }

    /// From here on the body comes or not: somebody may still read it to let the client see the answer.
    fn refuse(&mut self) {
        self.refused = true;
        self.release();
    }

    fn release(&mut self) {
        let arrived = std::mem::take(&mut self.arrived);
        self.gate.unfinished.fetch_sub(arrived, Ordering::Relaxed);
    }

    fn may_pause(&self) -> bool {
        self.refused || self.messages.as_ref().is_some_and(Messages::is_between)
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                let counted = frame.data_ref().map_or(Ok(()), |bytes| self.count(bytes));
                Poll::Ready(Some(counted.map(|()| frame).map_err(Into::into)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|frame| frame.map_err(Into::into))),
            Poll::Pending if self.may_pause() => Poll::Pending,
            Poll::Pending => {
                let limit = self.gate.limits.body;
                let deadline = self
                    .deadline
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
                ready!(deadline.as_mut().poll(context));
                metrics::request_stopped("slow");
                self.refuse();
                let slow = Status::deadline_exceeded("the request did not arrive in time");
                Poll::Ready(Some(Err(slow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.release();
    }
}

/// Where the messages of a gRPC body end: five bytes say how long each is.
#[derive(Debug, Default)]
struct Messages {
    prefix: [u8; 5],
    known: usize,
    left: usize,
}

impl Messages {
    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let missing = self.prefix.len() - self.known;
            let (taken, rest) = bytes.split_at(bytes.len().min(missing.max(self.left)));
            if missing > 0 {
                self.prefix[self.known..][..taken.len()].copy_from_slice(taken);
                self.known += taken.len();
                if let (5, [_compressed, length @ ..]) = (self.known, self.prefix) {
                    self.left = u32::from_be_bytes(length) as usize;
                }
            } else {
                self.left -= taken.len();
            }
            if self.known == self.prefix.len() && self.left == 0 {
                self.known = 0;
            }
            bytes = rest;
        }
    }

    fn is_between(&self) -> bool {
        self.known == 0
    }
}

/// An answer's body, which is a call until it is gone.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) body: axum::body::Body,
    pub(super) _call: OpenCall,
}

impl Body for Leaving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that brings so much while it is waited for is waited for again; less than that is not worth counting.
const PROGRESS: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_they_say_however_they_are_cut() {
        let body = [
            &[0, 0, 0, 0, 3, 7, 7, 7][..],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 7],
        ]
        .concat();
        let ends = [8, 13, 19];
        for piece in 1..=body.len() {
            let mut messages = Messages::default();
            let mut seen = 0;
            for bytes in body.chunks(piece) {
                messages.advance(bytes);
                seen += bytes.len();
                assert_eq!(messages.is_between(), ends.contains(&seen), "{piece} {seen}");
            }
        }
    }
}
