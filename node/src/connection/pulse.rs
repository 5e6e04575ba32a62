//! Signs of life of one connection: what has been said, which calls are open, whether anything is taken.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config;

/// Shared by a connection's socket, its calls, and whoever watches it. Times are milliseconds since it was opened.
#[derive(Debug)]
pub(super) struct Pulse {
    opened: Instant,
    spoken: AtomicBool,
    calls: AtomicUsize,
    /// When the last call ended.
    quiet_since: AtomicU64,
    /// When the other end stopped taking what is sent, or [`NEVER`].
    blocked_since: AtomicU64,
}

/// What a look at a connection found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Look again then.
    Until(Instant),
    /// It has not said what every client begins with.
    Silent,
    /// There are no calls on it.
    Idle,
    /// It takes nothing.
    Blocked,
}

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            spoken: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            quiet_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(NEVER),
        })
    }

    /// A call, which is open until the value is dropped.
    pub(super) fn call(self: &Arc<Self>) -> OpenCall {
        self.calls.fetch_add(1, Ordering::Relaxed);
        OpenCall(Arc::clone(self))
    }

    pub(super) fn verdict(&self, limits: &config::Limits) -> Verdict {
        let now = Instant::now();
        let first_words = self.opened + limits.handshake;
        if !self.spoken.load(Ordering::Relaxed) {
            return if now < first_words {
                Verdict::Until(first_words)
            } else {
                Verdict::Silent
            };
        }
        let passed = |since: u64| self.opened + Duration::from_millis(since) + limits.idle;
        let blocked = self.blocked_since.load(Ordering::Relaxed);
        if blocked != NEVER && now >= passed(blocked) {
            return Verdict::Blocked;
        }
        if self.calls.load(Ordering::Relaxed) > 0 {
            return Verdict::Until(now + limits.idle);
        }
        let idle = passed(self.quiet_since.load(Ordering::Relaxed));
        if now < idle {
            Verdict::Until(idle)
        } else {
            Verdict::Idle
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}

/// A call on a connection that is being answered.
#[derive(Debug)]
pub(super) struct OpenCall(Arc<Pulse>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        if self.0.calls.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.quiet_since.store(self.0.now(), Ordering::Relaxed);
        }
    }
}

/// A socket that tells a [`Pulse`] what goes over it.
#[derive(Debug)]
pub(super) struct Watched<S> {
    socket: S,
    pulse: Arc<Pulse>,
    read: usize,
    blocked: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S, pulse: Arc<Pulse>) -> Self {
        Self {
            socket,
            pulse,
            read: 0,
            blocked: false,
        }
    }

    fn written<T>(&mut self, progress: Poll<T>) -> Poll<T> {
        if progress.is_pending() != self.blocked {
            self.blocked = progress.is_pending();
            let since = if self.blocked { self.pulse.now() } else { NEVER };
            self.pulse.blocked_since.store(since, Ordering::Relaxed);
        }
        progress
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if self.read < FIRST_WORDS {
            self.read += buffer.filled().len() - before;
            if self.read >= FIRST_WORDS {
                self.pulse.spoken.store(true, Ordering::Relaxed);
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, pieces);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        self.written(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

const NEVER: u64 = u64::MAX;
/// The preface of HTTP/2; no HTTP/1.1 request that says its host is shorter.
const FIRST_WORDS: usize = 24;
