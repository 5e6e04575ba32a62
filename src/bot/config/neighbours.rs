//! The lists of the bots that are loaded together: a bot may write to the members of another one's.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Bot, Finding, List, load_beside, whole_lists};
use crate::bot::config::diagnostics::Code;
use crate::bot::project::Project;

/// The lists of other bots, by the bots' names.
#[derive(Debug, Clone, Default)]
pub(super) struct Neighbours {
    lists: BTreeMap<String, BTreeMap<String, List>>,
}

/// What became of one file.
pub type Loaded = Result<(Bot, Vec<Finding>), Vec<Finding>>;

impl Neighbours {
    /// The names of the bots.
    pub(super) fn bots(&self) -> impl Iterator<Item = &str> {
        self.lists.keys().map(String::as_str)
    }

    /// The lists of a bot.
    pub(super) fn lists(&self, bot: &str) -> Option<&BTreeMap<String, List>> {
        self.lists.get(bot)
    }

    /// The list that `BOT/LIST` names.
    pub(super) fn find(&self, reference: &str) -> Option<&List> {
        let (bot, list) = reference.split_once('/')?;
        self.lists.get(bot)?.get(list)
    }
}

/// Reads one of the files of bots that run together, with the lists of the others.
///
/// # Errors
/// As [`load_in`](super::load_in).
pub fn load_among<P: AsRef<Path>>(project: &Project, files: &[P], file: &Path) -> Loaded {
    let loaded = load_beside(project, file, &Neighbours::default());
    if !asks(&loaded) {
        return loaded;
    }
    let lists = files
        .iter()
        .filter_map(|file| whole_lists(project, file.as_ref()));
    let neighbours = Neighbours {
        lists: lists.collect(),
    };
    load_beside(project, file, &neighbours)
}

/// Whether a file names the list of another bot that was not known.
fn asks(loaded: &Loaded) -> bool {
    let found = loaded.as_ref().err();
    found.is_some_and(|found| found.iter().any(|finding| finding.code == Code::OtherBot))
}

/// Reads the files of bots that run together, each with the lists of the others.
///
/// Gives for each file, in their order, the bot and its warnings, or every finding.
pub fn load_all<P: AsRef<Path>>(project: &Project, files: &[P]) -> Vec<Loaded> {
    let alone = Neighbours::default();
    let mut loaded: Vec<Loaded> = files
        .iter()
        .map(|file| load_beside(project, file.as_ref(), &alone))
        .collect();
    // Most bots keep to their own lists, and are read once.
    if !loaded.iter().any(asks) {
        return loaded;
    }
    let mut neighbours = Neighbours::default();
    for (file, loaded) in files.iter().zip(&loaded) {
        let lists = match loaded {
            Ok((bot, _)) => Some((bot.name.clone(), bot.lists.clone())),
            Err(_) => whole_lists(project, file.as_ref()),
        };
        neighbours.lists.extend(lists);
    }
    for (file, loaded) in files.iter().zip(&mut loaded) {
        if asks(loaded) {
            *loaded = load_beside(project, file.as_ref(), &neighbours);
        }
    }
    loaded
}
