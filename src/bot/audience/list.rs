//! Leaving lists by a word.

use std::collections::BTreeMap;

use crate::bot::config::List;

/// The words that leave every list of every bot.
pub const LEAVE_WORDS: [&str; 4] = ["stop", "leave", "unsubscribe", "cancel"];

/// What a leave word asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave<'a> {
    /// To leave all lists of the bot.
    All,
    /// To leave the list of this name: `stop LIST`.
    List(&'a str),
}

/// Reads a message as a leave word: the whole message in any case, without one final `.` or `!`, alone or followed by the
/// name of a list. The words are the standard ones and those of the bot's lists.
pub fn leave<'a>(message: &str, lists: &'a BTreeMap<String, List>) -> Option<Leave<'a>> {
    let message = message.trim();
    let message = message.strip_suffix(['.', '!']).unwrap_or(message);
    let message = normalised(message);
    let is_leave_word = |text: &str| {
        LEAVE_WORDS.contains(&text)
            || lists
                .values()
                .flat_map(|list| &list.leave)
                .any(|word| normalised(word) == text)
    };
    if is_leave_word(&message) {
        return Some(Leave::All);
    }
    let (word, name) = message.rsplit_once(' ')?;
    let list = lists.keys().find(|list| list.to_lowercase() == name)?;
    is_leave_word(word).then_some(Leave::List(list))
}

/// Lower case, with single spaces.
fn normalised(text: &str) -> String {
    text.to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Leave, leave};
    use crate::bot::config::List;
    use std::collections::BTreeMap;

    fn lists() -> BTreeMap<String, List> {
        let list = |name: &str, leave: &[&str]| {
            let list = List {
                name: name.to_owned(),
                join: Vec::new(),
                leave: leave.iter().map(|word| (*word).to_owned()).collect(),
                fields: Vec::new(),
                confirms: false,
                welcome: None,
                goodbye: None,
            };
            (name.to_owned(), list)
        };
        BTreeMap::from([list("readers", &["No more"]), list("vip-club", &[])])
    }

    #[test]
    fn a_leave_word_is_the_whole_message_in_any_case() {
        for message in [
            "stop",
            " STOP\n",
            "Stop.",
            "Stop!",
            "leave",
            "unsubscribe",
            "Cancel",
            "no  more",
            "No more!",
        ] {
            assert_eq!(leave(message, &lists()), Some(Leave::All), "{message:?}");
        }
        for message in [
            "",
            ".",
            "stop!!",
            "stop?",
            "/stop",
            "please stop",
            "stop it",
            "stopp",
            "no",
        ] {
            assert_eq!(leave(message, &lists()), None, "{message:?}");
        }
    }

    #[test]
    fn a_leave_word_with_the_name_of_a_list_leaves_that_one() {
        assert_eq!(leave("stop readers", &lists()), Some(Leave::List("readers")));
        assert_eq!(leave("LEAVE VIP-Club.", &lists()), Some(Leave::List("vip-club")));
        assert_eq!(leave("no more readers", &lists()), Some(Leave::List("readers")));
        assert_eq!(leave("stop writers", &lists()), None);
        assert_eq!(leave("readers", &lists()), None);
    }
}
