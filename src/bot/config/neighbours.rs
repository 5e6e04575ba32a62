//! The lists of the bots that are loaded together: a bot may write to the members of another one's.

use std::collections::BTreeMap;
use std::num::NonZero;
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

/// Reads each file by itself, on all cores.
fn load_alone<P: AsRef<Path>>(project: &Project, files: &[P]) -> Vec<Loaded> {
    let files: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let part = files.len().div_ceil(cores).max(1);
    let alone = Neighbours::default();
    let load = |file: &&Path| load_beside(project, file, &alone);
    std::thread::scope(|scope| {
        let mut parts = files.chunks(part);
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().map(load).collect::<Vec<_>>()))
            .collect();
        let mut loaded: Vec<Loaded> = own.iter().map(load).collect();
        for part in others {
            match part.join() {
                Ok(part) => loaded.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        loaded
    })
}

/// Reads the files of bots that run together, each with the lists of the others.
///
/// Gives for each file, in their order, the bot and its warnings, or every finding.
pub fn load_all<P: AsRef<Path>>(project: &Project, files: &[P]) -> Vec<Loaded> {
    let mut loaded = load_alone(project, files);
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
