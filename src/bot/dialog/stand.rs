//! What is kept of somebody in a flow beside its state.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bot::config::Flow;

/// The longest text that a transcript shows of one message, in characters.
const LINE: usize = 1_000;

/// The messages of one person that wait for people, and their bytes.
const PENDING: usize = 50;
const PENDING_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stand {
    /// Messages that did not fit in this state.
    pub(super) misses: u32,
    /// What was asked and answered, as JSON of its types.
    pub(super) answers: serde_json::Map<String, serde_json::Value>,
    /// The conversation that it is held in.
    pub(super) conversation: Option<String>,
    /// What was said lately, where a state forwards it.
    pub(super) lines: Vec<Line>,
    /// What waits to be forwarded until people are there.
    pub(super) pending: Vec<String>,
    /// Whether the person was told that no more is kept.
    #[serde(default)]
    pub(super) is_full: bool,
    /// When they are.
    pub(super) opens: Option<DateTime<Utc>>,
    /// When others take over if nobody has answered.
    pub(super) escalates: Option<DateTime<Utc>>,
    /// Who owns it of those it is forwarded to.
    pub(super) claimed: Option<String>,
    /// What is posted when nobody answered, and until when it is tried.
    pub(super) post: Option<Post>,
}

/// Something that is to be posted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Post {
    pub(super) url: String,
    pub(super) body: String,
    pub(super) tries: u32,
    pub(super) due: DateTime<Utc>,
    pub(super) expires: DateTime<Utc>,
}

/// A message of a flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    /// The bot said it.
    is_ours: bool,
    text: String,
}

impl Line {
    pub(super) fn ours(text: &str) -> Self {
        Self {
            is_ours: true,
            text: text.chars().take(LINE).collect(),
        }
    }

    pub(super) fn theirs(text: &str) -> Self {
        Self {
            is_ours: false,
            ..Self::ours(text)
        }
    }
}

impl Stand {
    pub(super) fn read(kept: &str) -> Self {
        serde_json::from_str(kept).unwrap_or_default()
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Keeps a message for the transcripts of a flow's states.
    pub(super) fn hear(&mut self, flow: &Flow, line: Line) {
        let forwards = flow.states.values().filter_map(|state| state.forward.as_ref());
        let Some(most) = forwards.map(|forward| forward.transcript).max() else {
            return;
        };
        self.lines.push(line);
        let surplus = self.last_of_theirs().saturating_sub(most);
        self.lines.drain(..surplus);
    }

    /// Where the message is that the bot answers now.
    fn last_of_theirs(&self) -> usize {
        self.lines.iter().rposition(|line| !line.is_ours).unwrap_or(0)
    }

    /// Keeps a message until people are there. Says whether there is room: somebody who writes on and on is not kept in whole.
    pub(super) fn put_off(&mut self, text: &str) -> bool {
        let kept: usize = self.pending.iter().map(String::len).sum();
        let has_room = self.pending.len() < PENDING && kept + text.len() <= PENDING_BYTES;
        if has_room {
            self.pending.push(text.to_owned());
        }
        has_room
    }

    /// What was said before the last message, as those see it who take over.
    pub(super) fn before(&self, most: usize) -> String {
        let last = self.last_of_theirs();
        Self::shown(&self.lines[last.saturating_sub(most)..last])
    }

    /// What was said lately, as those see it who take over.
    pub(super) fn transcript(&self) -> String {
        Self::shown(&self.lines)
    }

    fn shown(lines: &[Line]) -> String {
        let mut text = String::new();
        for line in lines {
            text.push_str(if line.is_ours { "\nbot: " } else { "\nthey: " });
            text.push_str(&line.text);
        }
        text
    }

    /// When time alone does something in a forwarded state.
    pub(super) fn due(&self) -> Option<DateTime<Utc>> {
        let post = self.post.as_ref().map(|post| post.due);
        [self.opens, self.escalates, post].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::{PENDING, PENDING_BYTES, Stand};

    #[test]
    fn what_waits_for_people_is_bounded_in_number_and_bytes() {
        let mut stand = Stand::default();
        assert!((0..PENDING).all(|_| stand.put_off("hi")));
        assert!(!stand.put_off("hi"));
        assert_eq!(stand.pending.len(), PENDING);
        let mut stand = Stand::default();
        assert!(!stand.put_off(&"x".repeat(PENDING_BYTES + 1)));
        assert!(stand.put_off(&"x".repeat(PENDING_BYTES)));
        assert!(!stand.put_off("x"));
        assert_eq!(stand.pending.len(), 1);
    }
}
