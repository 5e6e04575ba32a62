//! From the shape of a file to a valid [`Bot`]: names, types, references and values. Nothing later checks them again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::diagnostics::{Code, Finding, quote};
use super::file::{BotFile, IdentityFile, SourceFile, WatchFile};
use super::neighbours::Neighbours;
use super::secret::SecretReference;
use super::shape::Place;
use super::spanned::{Spanned, Text};
use super::testing::Test;
use super::tree::{Content, NodeId, Tree};
use super::{Bot, Flow, Identity, List, NodeAddress, Part, Profile, Rule, Table};
use crate::bot::audience::Audience;
use crate::bot::chain;
use crate::bot::dialog::command::Command;
use crate::bot::expression::{SourceTypes, Type, Value};
use crate::bot::project::{Project, Rpc};
use crate::bot::source::Source;
use crate::client::mnemonic::{self, DerivationPath};

use report::Report;

/// `to`.
mod audience;
/// `commands`.
mod command;
/// `send` and its like.
mod content;
/// Data of tests.
mod data;
/// `digest`.
mod digest;
/// Secrets in the file itself.
mod exposed;
/// `flows`.
mod flow;
/// `then` and `after`.
mod follow_up;
/// `let`.
mod lets;
/// `lists`.
mod list;
/// `log`.
mod log;
/// `node`.
mod node;
/// `defaults` and policy.
mod policy;
/// `herald.yaml`.
pub(super) mod project;
/// `feed` and `poll`.
mod reading;
/// Findings, and the readers of single texts.
mod report;
/// `rules`.
mod rule;
/// Names in scope.
mod scope;
/// `sources`.
mod source;
/// `tables`.
mod table;
/// `tests`.
mod testing;
/// `when`.
mod trigger;
/// What is defined and never used.
mod unused;
/// `vars`.
mod vars;
/// `watch` and `cleared`.
mod watch;
/// `webhook`.
mod webhook;

/// What is known of a file before its rules are resolved.
struct Context {
    /// The folder that relative paths start at.
    folder: PathBuf,
    /// Where chains and upload targets are.
    project: Project,
    /// The type of `vars`.
    vars: Type,
    /// The lists; `None` for one whose declaration has a mistake.
    lists: BTreeMap<String, Option<List>>,
    /// The tables; `None` for one whose declaration has a mistake.
    tables: BTreeMap<String, Option<Table>>,
    /// The sources, as the file has them: they are read where they are used.
    sources: Vec<(String, Spanned<SourceFile>)>,
    /// What the sources give, where expressions use them by name.
    source_types: SourceTypes,
    /// What rules watch, by their names.
    watches: Vec<(String, WatchFile)>,
    /// The lists of the bots beside it.
    neighbours: Neighbours,
}

impl Context {
    fn known_lists(&self) -> impl Iterator<Item = &List> {
        self.lists.values().flatten()
    }
}

/// Resolves a file of a project.
///
/// The bot is `None` exactly when a finding is an error.
pub(crate) fn resolve(
    tree: &Tree,
    left_out: &BTreeSet<NodeId>,
    file: &BotFile,
    (path, project, neighbours): (&Path, &Project, &Neighbours),
) -> (Option<Bot>, Vec<Finding>) {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut report = Report {
        tree,
        left_out,
        found: Vec::new(),
        used: BTreeSet::new(),
        asked: BTreeMap::new(),
    };
    if file.herald.value != "1" {
        report.word(&file.herald, &["1"]);
    }
    report.bot_name(Place::Value(file.bot.node), &file.bot.value);
    let identity = identity(&mut report, &file.identity, &folder);
    let node = match &file.node {
        Some(text) => node::resolve(&mut report, text),
        None => Some(project.node.clone()),
    };
    let profile = match &file.profile {
        Some(file) => content::profile(&mut report, file),
        None => Some(Profile::default()),
    };
    let (vars_type, vars) = vars::resolve(&mut report, file.vars.as_ref());
    let mut context = Context {
        folder,
        project: project.clone(),
        vars: vars_type,
        lists: BTreeMap::new(),
        tables: table::resolve_all(&mut report, &file.tables),
        sources: file.sources.0.clone(),
        source_types: source::types(
            tree,
            &file.sources.0,
            project.chain_names().map(ToOwned::to_owned),
        ),
        watches: watch::all(file),
        neighbours: neighbours.clone(),
    };
    context.lists = list::resolve_all(&mut report, &context, &file.lists);
    // Also when no rule is there to read them.
    let _ = policy::literals(&mut report, &context.folder, file.defaults.policy());
    let sources = source::resolve_all(&mut report, &context, file);
    let rules = rules(&mut report, &context, file);
    let commands = commands(&mut report, &context, file);
    let flows = flow::resolve_all(&mut report, &context, file);
    let fallback = fallback(&mut report, &context, file);
    let tests = testing::resolve_all(&mut report, &context, rules.as_ref(), file);
    unused::report(&mut report, file, rules.as_ref());
    chains(&mut report, project);
    let bot = assemble(
        file,
        path,
        Parts {
            identity,
            node,
            profile,
            vars,
            context,
            sources,
            rules,
            commands,
            flows,
            fallback,
            tests,
        },
    );
    (bot, report.found)
}

/// The name of a bot, and its lists that have no mistake.
pub(crate) fn lists(
    tree: &Tree,
    left_out: &BTreeSet<NodeId>,
    file: &BotFile,
    (path, project): (&Path, &Project),
) -> (String, BTreeMap<String, List>) {
    let mut report = Report {
        tree,
        left_out,
        found: Vec::new(),
        used: BTreeSet::new(),
        asked: BTreeMap::new(),
    };
    let context = Context {
        project: project.clone(),
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        vars: vars::resolve(&mut report, file.vars.as_ref()).0,
        lists: BTreeMap::new(),
        tables: BTreeMap::new(),
        sources: Vec::new(),
        source_types: source::types(tree, &[], project.chain_names().map(ToOwned::to_owned)),
        watches: Vec::new(),
        neighbours: Neighbours::default(),
    };
    let lists = list::resolve_all(&mut report, &context, &file.lists);
    let whole = lists.into_iter().filter_map(|(name, list)| Some((name, list?)));
    (file.bot.value.clone(), whole.collect())
}

/// The resolved parts of a bot; `None` for those with a mistake.
struct Parts {
    identity: Option<Identity>,
    node: Option<NodeAddress>,
    profile: Option<Profile>,
    vars: Option<Value>,
    context: Context,
    sources: Option<BTreeMap<String, Source>>,
    rules: Option<BTreeMap<String, Rule>>,
    commands: Option<Vec<Command>>,
    flows: Option<BTreeMap<String, Flow>>,
    #[expect(
        clippy::option_option,
        reason = "no fallback and a wrong one are different things"
    )]
    fallback: Option<Option<Vec<Part>>>,
    tests: Option<Vec<Test>>,
}

fn assemble(file: &BotFile, path: &Path, parts: Parts) -> Option<Bot> {
    let rules = parts.rules?;
    let branches = rules.values().flat_map(|rule: &Rule| rule.audience.branches());
    let borrowed = branches.filter_map(|branch| match branch.audience {
        Audience::List { list, .. } => {
            let found = parts.context.neighbours.find(list)?;
            Some((list.clone(), found.clone()))
        }
        _ => None,
    });
    let borrowed = borrowed.collect();
    let mut lists = BTreeMap::new();
    for (name, list) in parts.context.lists {
        lists.insert(name, list?);
    }
    let mut tables = BTreeMap::new();
    for (name, table) in parts.context.tables {
        tables.insert(name, table?);
    }
    Some(Bot {
        name: file.bot.value.clone(),
        about: file.about.as_ref().map(|about| about.value.clone()),
        identity: parts.identity?,
        node: parts.node?,
        profile: parts.profile?,
        vars: parts.vars?,
        lists,
        tables,
        borrowed,
        sources: parts.sources?,
        rules,
        commands: parts.commands?,
        flows: parts.flows?,
        fallback: parts.fallback?,
        tests: parts.tests?,
        file: path.to_owned(),
        // Filled in by the caller, who has the bytes.
        file_digest: [0; 32],
    })
}

fn identity(report: &mut Report<'_>, file: &Spanned<IdentityFile>, folder: &Path) -> Option<Identity> {
    let identity = match &file.value {
        IdentityFile::Reference(text) => {
            let reference = report.secret(text)?;
            note_missing(report, text.node, &reference, folder);
            match reference {
                SecretReference::Environment(name) => Identity::Environment(name),
                SecretReference::File(path) => Identity::File(path),
                command @ SecretReference::Command(_) => Identity::Command(command),
            }
        }
        IdentityFile::Keystore(keystore) => {
            let path = PathBuf::from(&keystore.keystore.value);
            if !folder.join(&path).is_file() {
                let message = format!("there is no file {}", quote(&keystore.keystore.value));
                report.wrong(&keystore.keystore, Code::SecretMissing, message, None);
            }
            let passphrase = report.secret(&keystore.passphrase)?;
            note_missing(report, keystore.passphrase.node, &passphrase, folder);
            Identity::Keystore { path, passphrase }
        }
        IdentityFile::Mnemonic(mnemonic) => {
            let words = report.secret(&mnemonic.mnemonic);
            let path = mnemonic.path.as_ref().map(|text| {
                let path = text.value.parse();
                let wrong = |error: mnemonic::Error| {
                    report.wrong(text, Code::DerivationPath, error.to_string(), None);
                };
                path.map_err(wrong).ok()
            });
            let path = path.unwrap_or_else(|| Some(DerivationPath::default()));
            let words = words?;
            note_missing(report, mnemonic.mnemonic.node, &words, folder);
            Identity::Mnemonic { words, path: path? }
        }
    };
    Some(identity)
}

/// Warns of a secret that is not to be had on this machine. Commands are not run to see what they would print.
fn note_missing(report: &mut Report<'_>, node: NodeId, reference: &SecretReference, folder: &Path) {
    if matches!(reference, SecretReference::Command(_)) {
        return;
    }
    if let Err(error) = reference.resolve(folder) {
        let hint = match reference {
            SecretReference::Environment(name) => Some(format!("set `{name}` before the bot runs")),
            SecretReference::File(_) | SecretReference::Command(_) => None,
        };
        report.add(Place::Value(node), Code::SecretMissing, error.to_string(), hint);
    }
}

/// Warns of chains that are asked and have no node, and of nodes whose address is missing on this machine.
fn chains(report: &mut Report<'_>, project: &Project) {
    for (name, node) in std::mem::take(&mut report.asked) {
        let nodes = project.chains.get(&name).map_or(&[][..], |chain| &chain.rpc);
        if nodes.is_empty() {
            report.add(Place::Value(node), Code::NoRpc, chain::without_rpc(&name), None);
        }
        for rpc in nodes {
            if let Rpc::Reference(reference) = rpc {
                note_missing(report, node, reference, project.folder());
            }
        }
    }
}

fn rules(report: &mut Report<'_>, context: &Context, file: &BotFile) -> Option<BTreeMap<String, Rule>> {
    let mut rules = Some(BTreeMap::new());
    let mut paths = BTreeSet::new();
    for (name, rule) in &file.rules.0 {
        let is_named = report.name(Place::Key(rule.node), name, "rule name");
        let resolved = rule::resolve(report, context, file.defaults.policy(), (name, rule), &mut paths)
            .filter(|_| is_named);
        if report.is_full() {
            return None;
        }
        match (&mut rules, resolved) {
            (Some(rules), Some(rule)) => {
                rules.insert(name.clone(), rule);
            }
            _ => rules = None,
        }
    }
    rules
}

fn commands(report: &mut Report<'_>, context: &Context, file: &BotFile) -> Option<Vec<Command>> {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for list in context.known_lists() {
        for join in &list.join {
            taken.insert(join.name().to_owned(), format!("list `{}`", list.name));
        }
    }
    let mut commands = Some(Vec::new());
    for (declaration, command) in &file.commands.0 {
        let resolved = command::resolve(report, context, file, (declaration, command), &mut taken);
        if report.is_full() {
            return None;
        }
        match (&mut commands, resolved) {
            (Some(commands), Some(command)) => commands.push(command),
            _ => commands = None,
        }
    }
    commands
}

/// The answer to what nothing else takes; the outer option is for a mistake.
#[expect(
    clippy::option_option,
    reason = "no fallback and a wrong one are different things"
)]
fn fallback(report: &mut Report<'_>, context: &Context, file: &BotFile) -> Option<Option<Vec<Part>>> {
    let Some(answer) = &file.fallback else {
        return Some(None);
    };
    let names = scope::of_message(context);
    content::parts(report, context, answer, content::InScope::of_one(&names)).map(Some)
}

/// The names that a map of the file declares, also those whose declaration was left out.
fn declared<'t>(tree: &'t Tree, key: &str) -> impl Iterator<Item = &'t str> {
    let entries = tree.entry(Tree::ROOT, key).map(|id| tree.content(id));
    let entries = match entries {
        Some(Content::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries.iter().map(|(name, _)| name.as_str())
}

/// What the name of a list leads to.
enum ListReference<'c> {
    Valid(&'c List),
    /// Declared, with a mistake that is reported there.
    Mistaken,
    /// Not declared; this is reported.
    Undefined,
}

/// Finds a list by the name that a text gives.
fn find_list<'c>(report: &mut Report<'_>, context: &'c Context, text: &Text) -> ListReference<'c> {
    let tree = report.tree;
    report.used.insert(format!("lists.{}", text.value));
    match context.lists.get(&text.value) {
        Some(Some(list)) => return ListReference::Valid(list),
        Some(None) => return ListReference::Mistaken,
        None if declared(tree, "lists").any(|name| name == text.value) => return ListReference::Mistaken,
        None => {}
    }
    if text.value.contains('/') {
        let message = format!("expected a list of this bot, found {}", quote(&text.value));
        report.wrong(text, Code::Undefined, message, None);
        return ListReference::Undefined;
    }
    let hint = if text.value.starts_with("0x") || text.value.contains('.') {
        Some("one wallet is written `{ wallet: … }`".to_owned())
    } else {
        Report::meant(&text.value, declared(tree, "lists"))
    };
    report.wrong(
        text,
        Code::Undefined,
        format!("there is no list {}", quote(&text.value)),
        hint,
    );
    ListReference::Undefined
}
