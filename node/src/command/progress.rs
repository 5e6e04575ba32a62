//! How far a long command is, on a terminal only.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// A line that is written over again and again, and ends at its end.
pub(super) struct Progress {
    /// What is counted, as in "12 of 50 envelopes".
    what: &'static str,
    whole: u64,
    said: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    pub(super) fn new(what: &'static str, whole: u64) -> Self {
        Self {
            what,
            whole,
            said: None,
            is_shown: io::stderr().is_terminal(),
        }
    }

    /// Says how much is done, not more often than people read.
    pub(super) fn at(&mut self, done: u64) {
        if self.is_shown && self.said.is_none_or(|said| said.elapsed() >= PAUSE) {
            self.said = Some(Instant::now());
            self.say(done, "");
        }
    }

    /// Says that all is done.
    pub(super) fn end(self) {
        if self.is_shown {
            self.say(self.whole, "\n");
        }
    }

    fn say(&self, done: u64, end: &str) {
        let Self { what, whole, .. } = self;
        // Without standard error there is nobody to tell.
        let _ = write!(io::stderr(), "\r{} of {whole} {what}{end}", done.min(*whole));
        let _ = io::stderr().flush();
    }
}

const PAUSE: Duration = Duration::from_millis(100);
