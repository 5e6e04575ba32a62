//! What every bot with lists answers: `/tz`, `/quiet`, `/me` and `/forget me`.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::answer::Answer;
use crate::bot::{
    config::{Bot, diagnostics::quote},
    dialog::command::CommandDeclaration,
    event::Kind,
    expression::{Type, Value},
    policy::window::Window,
    store::{self, Standing},
};

/// What `/help` says of them.
pub(super) const HELP: [&str; 4] = [
    "/tz ZONE - your time zone, such as Europe/Lisbon",
    "/quiet 22:00-08:00 - when I do not write to you, by your clock; /quiet off ends it",
    "/me - what I know of you",
    "/forget me - forgets all of it, and you are not written to again",
];

/// A message that asks for one of them. The slash is needed: people begin sentences with these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'m> {
    /// `/tz`, and what follows.
    Zone(&'m str),
    /// `/quiet`, and what follows.
    Quiet(&'m str),
    /// `/me`.
    Me,
    /// `/forget`, and what follows.
    Forget(&'m str),
}

impl<'m> Asked<'m> {
    /// Reads a message; the first word in any case.
    pub(super) fn read(message: &'m str) -> Option<Self> {
        let message = message.trim();
        let (first, rest) = message.split_once(char::is_whitespace).unwrap_or((message, ""));
        let rest = rest.trim();
        match first.to_ascii_lowercase().as_str() {
            "/tz" => Some(Self::Zone(rest)),
            "/quiet" => Some(Self::Quiet(rest)),
            "/me" => Some(Self::Me),
            "/forget" => Some(Self::Forget(rest)),
            _ => None,
        }
    }
}

impl Answer<'_> {
    /// Does what is asked and answers.
    pub(super) fn serve(&mut self, asked: Asked<'_>) -> Result<(), rusqlite::Error> {
        let (bot, wallet, now) = (&self.running.bot, self.incoming.from, self.running.now());
        match asked {
            Asked::Zone(zone) => {
                let said = match Type::Tz.read_text(zone) {
                    Ok(Value::Tz(zone)) => {
                        if store::set_zone(self.transaction, &bot.name, (wallet, zone.name()), now)? {
                            format!("Your time zone is {zone} now.")
                        } else {
                            format!("I keep the time zones of members only.{}", way_in(bot))
                        }
                    }
                    _ => misuse("/tz ZONE", "a time zone like `Europe/Lisbon`", zone),
                };
                self.say("command:/tz", 0, said)
            }
            Asked::Quiet(hours) => {
                let said = if matches!(hours.to_ascii_lowercase().as_str(), "off" | "none") {
                    store::set_quiet(self.transaction, &bot.name, (wallet, None), now)?;
                    "You have no quiet hours any more.".to_owned()
                } else if let Some(hours) = quiet_hours(hours) {
                    store::set_quiet(self.transaction, &bot.name, (wallet, Some(&hours)), now)?;
                    format!("I do not write to you {hours}, by your clock.")
                } else {
                    misuse("/quiet 22:00-08:00", "hours like `22:00-08:00`", hours)
                };
                self.say("command:/quiet", 0, said)
            }
            Asked::Me => {
                let standing = store::standing(self.transaction, &bot.name, wallet)?;
                let rows = store::row_counts(self.transaction, &bot.name, wallet)?;
                let known = known(wallet, &standing, &rows);
                self.say("command:/me", 0, known)
            }
            Asked::Forget(whom) if whom.eq_ignore_ascii_case("me") => {
                self.forget()?;
                let said = format!(
                    "Done. I have forgotten you and do not write to you again.{}",
                    way_in(bot)
                );
                self.say("command:/forget", 0, said)
            }
            Asked::Forget(whom) => self.say("command:/forget", 0, misuse("/forget me", "`me`", whom)),
        }
    }

    /// Erases the sender. No rule hears of it: an occurrence would keep what is to be forgotten.
    pub(super) fn forget(&mut self) -> Result<(), rusqlite::Error> {
        let (bot, wallet) = (&self.running.bot.name, self.incoming.from);
        let standing = store::standing(self.transaction, bot, wallet)?;
        store::forget(self.transaction, bot, wallet, self.running.now())?;
        for list in standing.lists.keys() {
            self.event(Kind::Left, &format!("list:{list}"));
        }
        Ok(())
    }
}

fn misuse(usage: &str, wanted: &str, found: &str) -> String {
    format!("Usage: {usage}\nexpected {wanted}, found {}", quote(found))
}

/// How to become a member, where people can.
fn way_in(bot: &Bot) -> String {
    let joins = bot.lists.values().flat_map(|list| &list.join);
    let first = joins.map(CommandDeclaration::text).next();
    first.map(|join| format!(" To join: {join}")).unwrap_or_default()
}

/// Reads hours, `22:00-08:00`, which may have days before them; gives them with single spaces.
fn quiet_hours(text: &str) -> Option<String> {
    let hours = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let window = Window::parse(&format!("{hours} recipient"));
    window.is_ok().then_some(hours)
}

/// What a bot knows of a wallet, in lines.
fn known(wallet: herald_protocol::address::Address, standing: &Standing, rows: &[(String, i64)]) -> String {
    let mut lines = vec![format!("Wallet: {wallet}")];
    for (name, member) in &standing.lists {
        let fields: Vec<String> = member
            .fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name} {}", shown(value)))
            .collect();
        let fields = if fields.is_empty() {
            String::new()
        } else {
            format!(": {}", fields.join(", "))
        };
        lines.push(format!("On the list {name} since {}{fields}", day(member.joined)));
    }
    if standing.lists.is_empty() {
        lines.push("On no list".to_owned());
    }
    lines.extend(rows.iter().map(|(table, count)| format!("Your {table}: {count}")));
    if let Some(quiet) = &standing.quiet {
        lines.push(format!("Quiet hours: {quiet}"));
    }
    lines.push(match (&standing.proof, standing.left) {
        (_, true) => "Consent: none, you left".to_owned(),
        (Some(proof), _) => {
            let signed = i64::try_from(proof.timestamp_ms)
                .ok()
                .and_then(DateTime::from_timestamp_millis);
            let signed = signed.map(day).unwrap_or_default();
            format!("Consent: signed on {signed}, {}", proof.signature)
        }
        (None, _) if standing.lists.is_empty() => "Consent: none".to_owned(),
        (None, _) => "Consent: you joined".to_owned(),
    });
    lines.join("\n")
}

fn shown(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn day(time: DateTime<Utc>) -> String {
    time.with_timezone(&Tz::UTC).format("%-d %b %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::{Asked, quiet_hours};

    #[test]
    fn only_words_with_the_slash_are_taken() {
        assert_eq!(
            Asked::read(" /TZ  Europe/Lisbon "),
            Some(Asked::Zone("Europe/Lisbon"))
        );
        assert_eq!(Asked::read("/forget me"), Some(Asked::Forget("me")));
        assert_eq!(Asked::read("/me"), Some(Asked::Me));
        for other in ["me too", "quiet please", "forget it", "/mention", ""] {
            assert_eq!(Asked::read(other), None, "{other}");
        }
    }

    #[test]
    fn quiet_hours_are_hours_without_a_zone() {
        assert_eq!(quiet_hours("22:00-08:00").as_deref(), Some("22:00-08:00"));
        assert_eq!(
            quiet_hours(" sat,sun  00:00-24:00 ").as_deref(),
            Some("sat,sun 00:00-24:00")
        );
        for wrong in [
            "",
            "-",
            "22:00",
            "22:60-08:00",
            "08:00-08:00",
            "22:00-08:00 UTC",
            "late",
        ] {
            assert_eq!(quiet_hours(wrong), None, "{wrong}");
        }
    }
}
