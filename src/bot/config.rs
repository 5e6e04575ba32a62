//! How a bot's YAML file is read.
//!
//! ```text
//! file ── bounds ──> tree ── shape ──> file::BotFile ── resolution ──> Bot
//!                      └────────── places ───────────────> findings
//! ```
//!
//! What enters is a path; what leaves is a [`Bot`] that nothing later checks again, or every finding with its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::bot::audience::Audience;
use crate::bot::dialog::command::{Command, CommandDeclaration};
use crate::bot::expression::{Expression, Names, Template, Type, Value};
use crate::bot::project::Project;
use crate::bot::source::Source;
use crate::bot::trigger::Trigger;
use crate::client::mnemonic::DerivationPath;

pub use content::{CustomPart, FilePart, Part, PartContent, Profile};
pub use diagnostics::{Code, Finding, Severity};
pub(crate) use difference::{difference, finding_in};
pub(crate) use expectation::{expectation, expectation_count};
pub use flow::{Escalate, Flow, FlowState, Forward, Go, Otherwise, Wallets};
pub use neighbours::{Loaded, load_all, load_among};
pub use policy::{
    After, Callback, CallbackEvent, Canary, Consent, Digest, FollowUp, Later, Limit, Limits, Period, Policy,
    Priority, Retry, Unreached,
};
pub use secret::SecretReference;
pub use table::Table;

use neighbours::Neighbours;
use tree::{NodeId, Tree};

/// What is sent.
mod content;
/// Findings: what is wrong, where, and what would be right.
pub mod diagnostics;
/// Two versions of a file.
mod difference;
/// Spans of time such as `5m`.
pub mod duration;
/// Where `expect` of a test stands.
mod expectation;
/// What each code means.
pub mod explain;
/// The shape of the file.
mod file;
/// Flows.
mod flow;
/// What the language has and this release has not.
mod later;
/// Bots that are loaded together.
mod neighbours;
/// The kinds and places of nodes, and the bounds of a file.
mod outline;
/// Policy.
mod policy;
/// The reference.
pub mod reference;
/// From the shape to a valid bot.
mod resolve;
/// The JSON Schema of files.
pub mod schema;
/// References to secrets.
pub mod secret;
/// Reading the shape from the tree.
mod shape;
/// Places in a file.
mod span;
/// Values that know their places.
mod spanned;
/// Tables.
mod table;
/// Tests.
pub mod testing;
/// The file as a tree.
mod tree;

/// Reads a bot's file, in a project without a file.
///
/// # Errors
/// As [`load_in`].
pub fn load(path: &Path) -> Result<(Bot, Vec<Finding>), Vec<Finding>> {
    load_in(&Project::default(), path)
}

/// Reads the file of a bot of a project.
///
/// # Errors
/// Every finding, errors and warnings, in the order of the file, when at least one is an error.
pub fn load_in(project: &Project, path: &Path) -> Result<(Bot, Vec<Finding>), Vec<Finding>> {
    load_beside(project, path, &Neighbours::default())
}

/// Reads the file of a bot that may write to the lists of others.
fn load_beside(project: &Project, path: &Path, neighbours: &Neighbours) -> Loaded {
    let bytes = read_file(path).map_err(|finding| vec![*finding])?;
    load_bytes(project, path, bytes, neighbours)
}

/// Reads a text as the file of a bot that knows no others.
pub(crate) fn load_text(project: &Project, path: &Path, bytes: Vec<u8>) -> Loaded {
    load_bytes(project, path, bytes, &Neighbours::default())
}

fn load_bytes(project: &Project, path: &Path, bytes: Vec<u8>, neighbours: &Neighbours) -> Loaded {
    let file_digest = Sha256::digest(&bytes).into();
    let (bot, found) = read::<file::BotFile, Bot>(path, bytes, "bot", |tree, left_out, file| {
        resolve::resolve(tree, left_out, file, (path, project, neighbours))
    })?;
    Ok((Bot { file_digest, ..bot }, found))
}

/// The name of a file's bot and its lists that have no mistake, whatever the rest of the file says.
fn whole_lists(project: &Project, path: &Path) -> Option<(String, BTreeMap<String, List>)> {
    let mut lists = None;
    let _ = read::<file::BotFile, ()>(path, read_file(path).ok()?, "bot", |tree, left_out, file| {
        lists = Some(resolve::lists(tree, left_out, file, (path, project)));
        (None, Vec::new())
    });
    lists
}

/// Reads a project's file; see [`Project::load`].
pub(crate) fn load_project(path: &Path) -> Result<(Project, Vec<Finding>), Vec<Finding>> {
    let bytes = read_file(path).map_err(|finding| vec![*finding])?;
    read::<file::ProjectFile, Project>(path, bytes, "project", |tree, left_out, file| {
        resolve::project::resolve(tree, left_out, file, path)
    })
}

/// Reads the bytes of a file that is to be a `what`.
fn read<F: DeserializeOwned, T>(
    path: &Path,
    bytes: Vec<u8>,
    what: &'static str,
    resolve: impl FnOnce(&Tree, &BTreeSet<NodeId>, &F) -> (Option<T>, Vec<Finding>),
) -> Result<(T, Vec<Finding>), Vec<Finding>> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error
            .as_bytes()
            .iter()
            .take(valid)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        let message = format!("expected UTF-8, found another byte in line {line}");
        vec![*whole_file(path, Code::Yaml, message)]
    })?;
    let tree = Tree::parse(path, text, what).map_err(|finding| vec![*finding])?;
    let mut found = Vec::new();
    let mut left_out = BTreeSet::new();
    let mut value = None;
    if let Some(file) = shape::read::<F>(&tree, &mut left_out, &mut found) {
        let (resolved, more) = resolve(&tree, &left_out, &file);
        value = resolved;
        found.extend(more);
    }
    found.sort_by_key(|finding| (finding.line, finding.column, finding.code));
    let is_wrong = found.iter().any(|finding| finding.severity == Severity::Error);
    match value {
        Some(value) if !is_wrong => Ok((value, found)),
        _ => Err(found),
    }
}

/// Reads a file that is not larger than a bot can be.
fn read_file(path: &Path) -> Result<Vec<u8>, Box<Finding>> {
    let unreadable =
        |error: std::io::Error| whole_file(path, Code::Unreadable, format!("cannot read the file: {error}"));
    // Opening a pipe would wait for its writer, so the kind is looked at first.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(whole_file(path, Code::Unreadable, "expected a file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(outline::MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > outline::MAX_BYTES {
        return Err(whole_file(
            path,
            Code::Bounds,
            "expected a file of at most 256 KiB".to_owned(),
        ));
    }
    Ok(bytes)
}

/// Whether a name can be a bot's: it stands in addresses and file names.
pub fn is_bot_name(name: &str) -> bool {
    (2..=63).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn whole_file(path: &Path, code: Code, message: String) -> Box<Finding> {
    Box::new(Finding {
        file: path.to_owned(),
        line: 0,
        column: 0,
        code,
        severity: code.severity(),
        path: String::new(),
        message,
        hint: None,
        source_line: String::new(),
    })
}

/// One bot: everything its file says, checked.
#[derive(Debug, Clone)]
pub struct Bot {
    /// The bot's name: 2 to 63 of `a-z`, `0-9` and `-`, starting with a letter.
    pub name: String,
    /// What the bot is for, in its author's words.
    pub about: Option<String>,
    /// Where the bot's wallet key is found.
    pub identity: Identity,
    /// The node the bot publishes to.
    pub node: NodeAddress,
    /// What its conversations say of it.
    pub profile: Profile,
    /// The constants of the file: a record.
    pub vars: Value,
    /// The lists people can join, by name.
    pub lists: BTreeMap<String, List>,
    /// Rows that people own, by the name of their table.
    pub tables: BTreeMap<String, Table>,
    /// The lists of other bots that its rules write to, by `BOT/LIST`.
    pub borrowed: BTreeMap<String, List>,
    /// The sources that expressions may use, by name; what a name stands for is known where it is used.
    pub sources: BTreeMap<String, Source>,
    /// The rules, by name.
    pub rules: BTreeMap<String, Rule>,
    /// The commands, in the order of the file.
    pub commands: Vec<Command>,
    /// The flows, by name.
    pub flows: BTreeMap<String, Flow>,
    /// What is answered to a text that nothing else takes.
    pub fallback: Option<Vec<Part>>,
    /// The tests, in the order of the file.
    pub tests: Vec<testing::Test>,
    /// The file as it was named to [`load`].
    pub file: PathBuf,
    /// SHA-256 of the file's bytes.
    pub file_digest: [u8; 32],
}

impl Bot {
    /// A list that its rules write to: its own by the list's name, another bot's by `BOT/LIST`.
    pub(crate) fn list(&self, name: &str) -> Option<&List> {
        self.lists.get(name).or_else(|| self.borrowed.get(name))
    }

    /// The folder that relative paths of the file start at.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }
}

/// Where a bot's wallet key is found. Reading it is the business of whoever starts the bot.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// A hex key in this environment variable.
    Environment(String),
    /// A hex key or an Ethereum keystore in this file, relative to the bot's file.
    File(PathBuf),
    /// A hex key or an Ethereum keystore that a command prints.
    Command(SecretReference),
    /// An Ethereum keystore (version 3) and its passphrase.
    Keystore {
        /// The keystore's file, relative to the bot's file.
        path: PathBuf,
        /// Where the passphrase is found.
        passphrase: SecretReference,
    },
    /// The words of a mnemonic (BIP-39) and which of its keys.
    Mnemonic {
        /// Where the words are found.
        words: SecretReference,
        /// The key's path.
        path: DerivationPath,
    },
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(reference) => write!(f, "{reference}"),
            Self::Keystore { path, passphrase } => f
                .debug_struct("Keystore")
                .field("path", path)
                .field("passphrase", passphrase)
                .finish(),
            Self::Mnemonic { words, path } => f
                .debug_struct("Mnemonic")
                .field("words", words)
                .field("path", path)
                .finish(),
        }
    }
}

/// The node a bot publishes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeAddress {
    /// The node that runs inside this process.
    BuiltIn,
    /// A node on this machine at its usual ports.
    Local,
    /// A node at a host and port.
    Remote {
        /// A host name or an address; IPv6 in brackets.
        host: String,
        /// The gRPC port.
        port: u16,
        /// Whether the connection is TLS (`grpcs://`).
        tls: bool,
    },
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in"),
            Self::Local => f.write_str("local"),
            Self::Remote { host, port, tls } => {
                write!(f, "{}://{host}:{port}", if *tls { "grpcs" } else { "grpc" })
            }
        }
    }
}

/// When something happens, to whom what is written.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule's name, unique in its bot: 1 to 63 letters, digits, `-` and `_`, a letter first.
    pub name: String,
    /// What the rule does, in its author's words.
    pub about: Option<String>,
    /// What makes it fire: one or more.
    pub triggers: Vec<Trigger>,
    /// The names its triggers give, by which an occurrence is read back.
    pub names: Names,
    /// `if`: an occurrence whose condition is false is dropped.
    pub condition: Option<Expression>,
    /// `let`: names for values, in the order of the file.
    pub lets: Vec<Let>,
    /// To whom it writes.
    pub audience: Audience,
    /// What it writes: one or more messages, in order.
    pub parts: Vec<Part>,
    /// The id of the conversation that it writes in; empty is none.
    pub thread: Option<Template>,
    /// When and how often it may write, and to whom not.
    pub policy: Policy,
    /// A paused rule does not fire.
    pub paused: bool,
}

/// A name of a rule for the value of an expression.
#[derive(Debug, Clone)]
pub struct Let {
    /// Unique among the names of its rule.
    pub name: String,
    /// What it stands for.
    pub expression: Expression,
}

impl Let {
    /// Whether its value depends on the recipient; else it is computed once, when the rule fires.
    pub fn is_per_recipient(&self) -> bool {
        self.expression.names().contains("to")
    }
}

/// People who asked to be written to.
#[derive(Debug, Clone)]
pub struct List {
    /// The list's name, unique in its bot: 1 to 63 letters, digits, `-` and `_`, a letter first.
    pub name: String,
    /// The commands that join it; empty means that people are added by the operator only.
    pub join: Vec<CommandDeclaration>,
    /// Words that leave it, beside the standard ones, as [`list`](crate::bot::audience::list) compares them.
    pub leave: Vec<String>,
    /// What is kept of each member beside the wallet: the declared fields and the join commands' arguments.
    pub fields: Vec<Field>,
    /// Whether a join by web, command line or import needs a signed proof; one by message never does.
    pub confirms: bool,
    /// Written to a wallet that joins.
    pub welcome: Option<Vec<Part>>,
    /// Written to a wallet that leaves.
    pub goodbye: Option<Vec<Part>>,
}

impl List {
    /// Whether every way to join by message gives a field, so that each member has it.
    pub fn is_given(&self, field: &str) -> bool {
        let gives = |join: &CommandDeclaration| {
            let mut arguments = join.arguments().iter();
            arguments.any(|argument| argument.name == field)
        };
        !self.join.is_empty() && self.join.iter().all(gives)
    }

    /// Whether something of this name is kept of a member, and can be told anew.
    pub fn keeps(&self, field: &str) -> bool {
        matches!(field, "name" | "tz" | "lang") || self.fields.iter().any(|own| own.name == field)
    }
}

/// Something a list keeps of each member.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, unique in its list.
    pub name: String,
    /// The type of its values.
    pub ty: Type,
    /// The value of members who gave none.
    pub default: Option<Value>,
    /// The least value.
    pub min: Option<Value>,
    /// The greatest value.
    pub max: Option<Value>,
}

#[cfg(test)]
mod tests;
