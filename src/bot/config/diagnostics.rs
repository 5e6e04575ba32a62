//! Findings: one thing wrong in a bot's file, with its place, for people (`Display`) and for editors (serde).

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// How much of a source line is shown around the caret, in characters.
const SHOWN: usize = 100;

/// How much of a text from the file a message repeats, in characters.
const QUOTED: usize = 60;

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file as it was named on the command line.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The line, from 1; 0 when the finding concerns the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 when the finding concerns the file as a whole.
    pub column: usize,
    /// What kind of finding it is; stable across releases.
    pub code: Code,
    /// Whether the bot can run nevertheless.
    pub severity: Severity,
    /// The keys that lead there, such as `rules.post.when.cron`; empty for the whole file.
    pub path: String,
    /// What was found and what was wanted.
    pub message: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
    /// The line of the file, for people.
    #[serde(skip)]
    pub source_line: String,
}

fn lossy<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, " {} {}: {}", self.severity, self.code, self.message)?;
        // The line of a secret is not shown.
        if self.line > 0 && self.code != Code::ExposedSecret {
            let (line, caret) = excerpt(&self.source_line, self.column);
            let number = self.line.to_string();
            write!(f, "\n {number} | {line}\n {:1$} | {caret}^", "", number.len())?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The part of a line around a column, and what stands before the caret: spaces, and the tabs of the line.
fn excerpt(line: &str, column: usize) -> (String, String) {
    let at = column.saturating_sub(1);
    let first = at.saturating_sub(SHOWN / 2);
    let first = if first + SHOWN > line.chars().count() && first > 0 {
        line.chars().count().saturating_sub(SHOWN).min(first)
    } else {
        first
    };
    let shown: String = line.chars().skip(first).take(SHOWN).map(printable).collect();
    let caret = line
        .chars()
        .skip(first)
        .take(at - first)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    (shown, caret)
}

/// Keeps what a terminal only prints, and replaces what it would obey.
fn printable(c: char) -> char {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if (c.is_control() && c != '\t') || reorders {
        '\u{fffd}'
    } else {
        c
    }
}

/// A text from a file as a message repeats it: one line, without control characters, cut when long.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(QUOTED)
        .map(|c| if c == '\n' { ' ' } else { printable(c) })
        .collect();
    if text.chars().nth(QUOTED).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// Whether a finding stops the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The bot cannot run.
    Error,
    /// The bot can run; something may not be as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// The kinds of findings. Codes are stable: one is never given another meaning.
///
/// `E0..` concern the file, `E1..` its keys and names, `E2..` its values, `W3..` are warnings, `E4..` concern a change of a running bot,
/// `E5..` what `check --connect` could not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Code {
    /// The file cannot be read.
    #[serde(rename = "E001")]
    Unreadable,
    /// The file is larger, deeper or longer than a bot can be.
    #[serde(rename = "E002")]
    Bounds,
    /// The file is not YAML.
    #[serde(rename = "E003")]
    Yaml,
    /// YAML that a bot does not use: tags, merge keys, a second document, keys that are not text.
    #[serde(rename = "E004")]
    Feature,
    /// A key stands twice in one map.
    #[serde(rename = "E005")]
    DuplicateKey,
    /// A key that the language does not have at this place.
    #[serde(rename = "E101")]
    UnknownKey,
    /// A key that must be there is missing.
    #[serde(rename = "E102")]
    MissingKey,
    /// A text where a map or list belongs, or the reverse; an empty value.
    #[serde(rename = "E103")]
    Shape,
    /// An expression or template that does not check: grammar, names, types.
    #[serde(rename = "E104")]
    Expression,
    /// A key or value of the language that this release does not have yet.
    #[serde(rename = "E105")]
    NotYet,
    /// A name that nothing in the file defines.
    #[serde(rename = "E106")]
    Undefined,
    /// A word outside the closed set of its key.
    #[serde(rename = "E107")]
    Word,
    /// A name that is not spelled as names are, or that is taken.
    #[serde(rename = "E108")]
    Name,
    /// Something that is defined and never used.
    #[serde(rename = "E109")]
    Unused,
    /// A secret, or the name of one, where everybody who gets the message reads it.
    #[serde(rename = "E110")]
    ExposedSecret,
    /// Not a duration, or one that does not fit here.
    #[serde(rename = "E201")]
    Duration,
    /// Not a cron line.
    #[serde(rename = "E202")]
    Cron,
    /// Not a time zone.
    #[serde(rename = "E203")]
    TimeZone,
    /// Not an instant.
    #[serde(rename = "E204")]
    Instant,
    /// Not a limit.
    #[serde(rename = "E205")]
    Limit,
    /// Not an address, or one with a wrong checksum.
    #[serde(rename = "E206")]
    Address,
    /// Not a node.
    #[serde(rename = "E207")]
    Node,
    /// Not a reference to a secret.
    #[serde(rename = "E208")]
    Secret,
    /// Not a type, or a value that is not of its type.
    #[serde(rename = "E209")]
    Type,
    /// Not a command declaration.
    #[serde(rename = "E210")]
    Command,
    /// Not the path of a webhook.
    #[serde(rename = "E211")]
    WebhookPath,
    /// Not the derivation path of a key.
    #[serde(rename = "E212")]
    DerivationPath,
    /// Not an address on the web that can be used here.
    #[serde(rename = "E213")]
    Url,
    /// Not a network, or not an address to listen at.
    #[serde(rename = "E214")]
    Network,
    /// Not a store.
    #[serde(rename = "E215")]
    Store,
    /// Not hours of the day.
    #[serde(rename = "E216")]
    Window,
    /// Not a file that a bot may name, or not what it should hold.
    #[serde(rename = "E220")]
    File,
    /// Not an audience: too many parts, none, or not a count.
    #[serde(rename = "E221")]
    Audience,
    /// Not the type of a content or file.
    #[serde(rename = "E217")]
    ContentType,
    /// A list of a bot that is not loaded beside this one, or that has no such list.
    #[serde(rename = "E222")]
    OtherBot,
    /// A secret is missing on this machine.
    #[serde(rename = "W301")]
    SecretMissing,
    /// A rule writes to people who did not ask for it.
    #[serde(rename = "W302")]
    NoConsent,
    /// A node beyond this machine is reached without encryption.
    #[serde(rename = "W303")]
    PlainNode,
    /// A webhook takes requests of anybody.
    #[serde(rename = "W304")]
    Unverified,
    /// A chain that the project names no node for.
    #[serde(rename = "W305")]
    NoRpc,
    /// An upload target, where the project names none.
    #[serde(rename = "W306")]
    NoUpload,
    /// A file is missing on this machine.
    #[serde(rename = "W310")]
    FileMissing,
    /// A change that a running bot cannot take.
    #[serde(rename = "E401")]
    Reload,
    /// A source that does not answer as the bot wants.
    #[serde(rename = "E501")]
    SourceAway,
    /// A query that its database does not take.
    #[serde(rename = "E502")]
    QueryAway,
    /// A node that does not answer.
    #[serde(rename = "E503")]
    NodeAway,
    /// An upload target that cannot be used.
    #[serde(rename = "E504")]
    UploadAway,
    /// A chain that one of its nodes does not tell of as it should.
    #[serde(rename = "E505")]
    ChainAway,
}

impl Code {
    /// Whether a finding of this kind stops the bot.
    pub fn severity(self) -> Severity {
        match self {
            Self::SecretMissing
            | Self::NoConsent
            | Self::PlainNode
            | Self::Unverified
            | Self::NoRpc
            | Self::NoUpload
            | Self::FileMissing => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variant's serde name is the one place where the code is written.
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Finding, quote};

    fn finding(source_line: &str, column: usize) -> Finding {
        Finding {
            file: "bots/dao.yaml".into(),
            line: 31,
            column,
            code: Code::Expression,
            severity: Code::Expression.severity(),
            path: "rules.proposal.key".into(),
            message: "`event` has no field `propsalId`".into(),
            hint: Some("did you mean `proposalId`?".into()),
            source_line: source_line.into(),
        }
    }

    #[test]
    fn a_finding_shows_place_line_caret_and_hint() {
        insta::assert_snapshot!(finding("\tkey: event.propsalId", 13), @r"
        bots/dao.yaml:31:13 error E104: `event` has no field `propsalId`
         31 | 	key: event.propsalId
            | 	           ^
        hint: did you mean `proposalId`?
        ");
    }

    #[test]
    fn json_has_exactly_the_documented_keys() {
        insta::assert_json_snapshot!(finding("key: event.propsalId", 9), @r#"
        {
          "file": "bots/dao.yaml",
          "line": 31,
          "column": 9,
          "code": "E104",
          "severity": "error",
          "path": "rules.proposal.key",
          "message": "`event` has no field `propsalId`",
          "hint": "did you mean `proposalId`?"
        }
        "#);
    }

    #[test]
    fn a_long_or_hostile_line_stays_one_short_harmless_line() {
        let line = format!("{}{}X{}", "é".repeat(500), "\u{1b}[31m\u{202e}", "z".repeat(500));
        let shown = finding(&line, 507).to_string();
        assert!(!shown.contains(['\u{1b}', '\u{202e}']));
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].chars().count() < 120 && lines[2].chars().count() < 120);
        let caret = lines[2].chars().position(|c| c == '^').unwrap();
        assert_eq!(lines[1].chars().nth(caret), Some('X'));
        assert_eq!(quote("a\nb\u{7}"), "`a b\u{fffd}`");
        assert_eq!(quote(&"x".repeat(70)).chars().count(), 63);
    }
}
