//! A bot whose file changed while it runs: what is different, and what a running bot cannot take.
//!
//! Enters: the file as it was taken and as it is now. Leaves: the new bot and the difference for whoever watches, or findings;
//! the old bot then keeps running, whole.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::{
    config::{self, Bot, Code, Finding},
    running::Running,
    runtime::{Bots, Changed},
};

/// What two versions of a file differ in. Rules are named by their names, lists as `list:NAME`, commands as `command:/NAME`,
/// everything else by its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Only the new one has them.
    pub added: Vec<String>,
    /// Only the old one has them.
    pub removed: Vec<String>,
    /// Both have them, and they differ.
    pub changed: Vec<String>,
}

/// A file that is watched.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    /// The bot that runs.
    bot: String,
    /// The text that runs.
    taken: String,
    /// What was looked at last, taken or not; none when it could not be read.
    seen: Option<Stamp>,
}

/// What tells a file that was written from one that was not, without reading it: its time, length and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: std::time::SystemTime,
    length: u64,
    inode: u64,
}

/// What became of a file since the last look.
#[derive(Debug)]
pub enum Look {
    /// Nothing that matters.
    Same,
    /// It can be taken.
    Changed(Box<Changed>, Vec<Finding>),
    /// It cannot; at least one finding is an error.
    Wrong(Vec<Finding>),
}

impl Watched {
    /// Watches the file of a bot that is about to run.
    pub fn new(bot: &Bot) -> Self {
        let seen = stamp(&bot.file);
        let taken = std::fs::read_to_string(&bot.file).unwrap_or_default();
        // Written to since it was loaded: the first look takes it.
        let is_current = is_text_of(&taken, bot);
        Self {
            path: bot.file.clone(),
            bot: bot.name.clone(),
            taken: if is_current { taken } else { String::new() },
            seen: seen.filter(|_| is_current),
        }
    }

    /// The name of the bot that runs.
    pub fn bot(&self) -> &str {
        &self.bot
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file; `force` reads it whatever its stamp says.
    ///
    /// # Panics
    /// Outside of a runtime's thread that may wait.
    pub fn look(
        &mut self,
        bots: &Bots,
        force: bool,
        load: impl FnOnce(&Path) -> Result<(Bot, Vec<Finding>), Vec<Finding>>,
    ) -> Look {
        let stamp = stamp(&self.path);
        if !force && stamp == self.seen {
            return Look::Same;
        }
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        if stamp.is_some() && text == self.taken {
            self.seen = stamp;
            return Look::Same;
        }
        let loaded = load(&self.path);
        // It was written to while it was read: the next look sees it whole.
        if stamp != self::stamp(&self.path) {
            return Look::Same;
        }
        let (bot, warnings) = match loaded {
            Ok((bot, _)) if !is_text_of(&text, &bot) => return Look::Same,
            Ok(loaded) => loaded,
            Err(findings) => {
                self.seen = stamp;
                return Look::Wrong(findings);
            }
        };
        self.seen = stamp;
        let refused = match bots.find(&self.bot) {
            Some(running) => Handle::current().block_on(refused(&running, &bot, &text)),
            None => Vec::new(),
        };
        if !refused.is_empty() {
            return Look::Wrong(refused);
        }
        let difference = config::difference(&self.path, &self.taken, &text);
        self.taken = text;
        Look::Changed(Box::new(Changed { bot, difference }), warnings)
    }
}

/// What a running bot cannot become, found in the text of its new file.
pub(crate) async fn refused(running: &Running, new: &Bot, text: &str) -> Vec<Finding> {
    let old = &running.bot;
    let refusing = Refusing { old, new, text };
    let mut refused = Vec::new();
    if new.name != old.name {
        let message = format!(
            "a running bot keeps its name, `{}`; found `{}`",
            old.name, new.name
        );
        refused.push(refusing.finding(&["bot"], message, "restart herald to run it as another bot"));
        return refused;
    }
    if new.identity != old.identity {
        let message = format!("bot `{}` runs as the wallet it was started with", old.name);
        let hint = "restart herald to run it as another wallet";
        refused.push(refusing.finding(&["identity"], message, hint));
    }
    if new.node != old.node {
        let message = format!("bot `{}` is connected to {}", old.name, old.node);
        refused.push(refusing.finding(&["node"], message, "restart herald to run it at another node"));
    }
    refused.extend(refusing.fields());
    refused.extend(refusing.columns());
    if refusing.loses_states() {
        refused.extend(match running.store.flow_states(&old.name).await {
            Ok(people) => refusing.states(&people),
            Err(error) => {
                let message = format!("states are gone, and who is in them cannot be read: {error}");
                vec![refusing.finding(
                    &["flows"],
                    message,
                    "write the file again once the store can be read",
                )]
            }
        });
    }
    refused
}

/// A file that may be refused.
struct Refusing<'a> {
    old: &'a Bot,
    new: &'a Bot,
    text: &'a str,
}

impl Refusing<'_> {
    fn finding(&self, keys: &[&str], message: String, hint: &str) -> Finding {
        let hint = Some(hint.to_owned());
        config::finding_in((&self.new.file, self.text), keys, Code::Reload, message, hint)
    }

    /// Fields that would get another type while members have them.
    fn fields(&self) -> Vec<Finding> {
        let mut refused = Vec::new();
        for (name, list) in &self.new.lists {
            let Some(before) = self.old.lists.get(name) else {
                continue;
            };
            for field in &list.fields {
                let known = before.fields.iter().find(|known| known.name == field.name);
                let Some(known) = known.filter(|known| known.ty != field.ty) else {
                    continue;
                };
                let message = format!(
                    "members of `{name}` keep `{}` as {}, which is not {}",
                    field.name, known.ty, field.ty
                );
                let hint = "give the new field another name; after a restart the old values would be lost";
                refused.push(self.finding(&["lists", name, "fields", &field.name], message, hint));
            }
        }
        refused
    }

    /// Columns that would get another type while rows have them.
    fn columns(&self) -> Vec<Finding> {
        let mut refused = Vec::new();
        for (name, table) in &self.new.tables {
            let Some(before) = self.old.tables.get(name) else {
                continue;
            };
            for (column, ty) in &table.columns {
                let Some(known) = before.column(column).filter(|known| *known != ty) else {
                    continue;
                };
                let message = format!("rows of `{name}` keep `{column}` as {known}, which is not {ty}");
                let hint = "give the new column another name; after a restart the old values would be lost";
                refused.push(self.finding(&["tables", name, "columns", column], message, hint));
            }
        }
        refused
    }

    fn is_gone(&self, flow: &str, state: &str) -> bool {
        let new = self.new.flows.get(flow);
        new.is_none_or(|new| !new.states.contains_key(state))
    }

    fn loses_states(&self) -> bool {
        let flows = self.old.flows.values();
        let mut states = flows.flat_map(|flow| flow.states.keys().map(|state| (&flow.name, state)));
        states.any(|(flow, state)| self.is_gone(flow, state))
    }

    /// States that would go while people are in them.
    fn states(&self, people: &[(String, String, i64)]) -> Vec<Finding> {
        let mut refused = Vec::new();
        for (flow, state, count) in people.iter().filter(|(flow, state, _)| self.is_gone(flow, state)) {
            let people = match count {
                1 => "1 person is".to_owned(),
                _ => format!("{count} people are"),
            };
            let message = format!("the state `{state}` of `{flow}` is gone, and {people} in it");
            let hint = "keep it until they are through, with `go` to where they are to be";
            refused.push(self.finding(&["flows", flow, "states"], message, hint));
        }
        refused
    }
}

fn is_text_of(text: &str, bot: &Bot) -> bool {
    <[u8; 32]>::from(Sha256::digest(text)) == bot.file_digest
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
        inode: metadata.ino(),
    })
}
