//! What keeps a bot from answering without end: somebody who writes too much, and another program that answers its answers.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Answers to one wallet in a sliding hour.
const ANSWERS: usize = 20;
/// Messages of one wallet that flows take in a sliding hour, those to people among them: far above what a person writes.
const IN_FLOWS: usize = 60;
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// Turns with a sender that answers this fast before the bot stops.
const TURNS: u32 = 5;
const FAST: TimeDelta = TimeDelta::seconds(1);
/// How long such a sender is to be silent before it is answered again.
const SILENCE: TimeDelta = TimeDelta::minutes(1);

/// How it went with one wallet of late; kept in the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Talker {
    /// When it was answered in the last hour, oldest first.
    answers: Vec<DateTime<Utc>>,
    /// Whether it was told that it is not answered any more.
    is_told: bool,
    /// When flows took its messages in the last hour, oldest first.
    in_flows: Vec<DateTime<Utc>>,
    /// Whether it was told that they take no more.
    is_told_of_flows: bool,
    /// How often in a row it answered fast.
    turns: u32,
    /// When the bot last reacted to it.
    reacted: Option<DateTime<Utc>>,
    /// When it last wrote, whatever its clock says.
    heard: Option<DateTime<Utc>>,
}

impl Talker {
    pub(super) fn read(kept: Option<&str>) -> Self {
        kept.and_then(|kept| serde_json::from_str(kept).ok())
            .unwrap_or_default()
    }

    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes note of a message that its sender dates `sent`. Says whether the bot is to keep silent.
    ///
    /// What was sent before the bot's last answer answers nothing, be it fast or slow: people write several messages at once, and those of
    /// programs cross.
    pub(super) fn hear(&mut self, sent: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        let was_silent = self.heard.is_none_or(|heard| now - heard >= SILENCE);
        if was_silent {
            self.turns = 0;
        }
        let is_paused = self.turns >= TURNS;
        let took = self.reacted.map(|reacted| sent.signed_duration_since(reacted));
        let took = took.filter(|took| !is_paused && took.num_milliseconds() > 0);
        if let Some(took) = took {
            let is_fast = took.num_milliseconds() <= FAST.num_milliseconds();
            self.turns = if is_fast { self.turns + 1 } else { 0 };
        }
        self.heard = Some(now);
        self.answers.retain(|answer| now - *answer < WINDOW);
        if self.answers.len() < ANSWERS {
            self.is_told = false;
        }
        self.in_flows.retain(|message| now - *message < WINDOW);
        if self.in_flows.len() < IN_FLOWS {
            self.is_told_of_flows = false;
        }
        is_paused
    }

    /// When there is room for an answer again; nothing when there is now.
    pub(super) fn full_until(&self) -> Option<DateTime<Utc>> {
        room(&self.answers, ANSWERS)
    }

    /// When flows take its messages again; nothing when they do now.
    pub(super) fn flows_full_until(&self) -> Option<DateTime<Utc>> {
        room(&self.in_flows, IN_FLOWS)
    }

    /// It was answered, or a rule fired for it.
    pub(super) fn react(&mut self, is_answer: bool, now: DateTime<Utc>) {
        self.reacted = Some(now);
        if is_answer {
            self.answers.push(now);
        }
    }

    /// A flow took its message.
    pub(super) fn flow(&mut self, now: DateTime<Utc>) {
        self.in_flows.push(now);
    }

    /// Whether it is to be told now that it is not answered; once.
    pub(super) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, true)
    }

    /// Whether it is to be told now that flows take no more; once.
    pub(super) fn tell_of_flows(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told_of_flows, true)
    }
}

/// When fewer than `most` of these are in the window; nothing when they are now.
fn room(times: &[DateTime<Utc>], most: usize) -> Option<DateTime<Utc>> {
    let first = times.first().filter(|_| times.len() >= most);
    first.and_then(|first| first.checked_add_signed(WINDOW))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};

    use super::Talker;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::milliseconds(ms)
    }

    #[test]
    fn twenty_answers_fit_into_a_sliding_hour_and_the_end_is_told_once() {
        let mut talker = Talker::default();
        for second in 0..20 {
            assert!(!talker.hear(at(second * 2000), at(second * 2000)));
            assert_eq!(talker.full_until(), None, "{second}");
            talker.react(true, at(second * 2000));
        }
        assert_eq!(talker.full_until(), Some(at(3_600_000)));
        assert!(talker.tell() && !talker.tell());
        let mut talker = Talker::read(Some(&talker.write()));
        talker.hear(at(3_599_999), at(3_599_999));
        assert!(talker.full_until().is_some() && !talker.tell());
        talker.hear(at(3_600_000), at(3_600_000));
        assert!(talker.full_until().is_none() && talker.tell());
    }

    #[test]
    fn flows_take_sixty_messages_in_a_sliding_hour_beside_the_answers() {
        let mut talker = Talker::default();
        for minute in 0..59 {
            talker.hear(at(minute * 60_000), at(minute * 60_000));
            talker.flow(at(minute * 60_000));
        }
        assert_eq!(talker.flows_full_until(), None);
        talker.flow(at(59 * 60_000));
        assert_eq!(talker.flows_full_until(), Some(at(3_600_000)));
        assert_eq!(talker.full_until(), None);
        assert!(talker.tell_of_flows() && !talker.tell_of_flows() && talker.tell());
        talker.hear(at(3_600_000), at(3_600_000));
        assert!(talker.flows_full_until().is_none() && talker.tell_of_flows());
    }

    #[test]
    fn what_an_older_herald_kept_is_read() {
        let kept =
            r#"{"answers":["2026-01-01T00:00:00Z"],"is_told":true,"turns":3,"reacted":null,"heard":null}"#;
        let talker = Talker::read(Some(kept));
        assert!(talker.is_told && talker.turns == 3 && talker.in_flows.is_empty());
    }

    #[test]
    fn who_answers_within_a_second_is_answered_five_times_until_it_is_silent_for_a_minute() {
        let mut talker = Talker::default();
        let mut now = 0;
        let mut heard = Vec::new();
        for _ in 0..8 {
            heard.push(talker.hear(at(now), at(now)));
            talker.react(true, at(now));
            now += 900;
        }
        assert_eq!(heard, [false, false, false, false, false, false, true, true]);
        assert!(talker.hear(at(now + 58_000), at(now + 58_000)));
        assert!(!talker.hear(at(now + 118_000), at(now + 118_000)));
    }

    #[test]
    fn messages_that_cross_on_the_way_are_no_way_out_of_a_loop() {
        let mut talker = Talker::default();
        let mut heard = Vec::new();
        for turn in 0..8 {
            let sent = at(turn * 900);
            heard.push(talker.hear(sent, sent));
            talker.react(true, sent);
            // Another one that was on its way while the bot answered.
            talker.hear(at(turn * 900 - 100), sent);
        }
        assert_eq!(heard, [false, false, false, false, false, false, true, true]);
    }

    #[test]
    fn several_messages_at_once_and_slow_ones_are_no_turns() {
        let mut talker = Talker::default();
        for _ in 0..10 {
            assert!(!talker.hear(at(0), at(0)));
            talker.react(true, at(0));
        }
        for second in 0..10 {
            assert!(!talker.hear(at(second * 1100), at(second * 1100)));
            talker.react(true, at(second * 1100));
        }
    }
}
