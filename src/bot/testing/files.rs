//! Files of a test: those that it gives, then those of the bot's folder that the bot names, then a stand-in for what would be sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use crate::bot::{
    audience::{Audience, Database, Sql},
    config::{Bot, PartContent},
    expression::Scope,
};

/// The bot as if it stood in `folder`, beside the files that the test gives.
pub(super) fn with_files(
    mut bot: Bot,
    given: &BTreeMap<String, String>,
    folder: &Path,
) -> std::io::Result<Bot> {
    let absent = absent(&bot, given);
    if given.is_empty() && absent.is_empty() {
        return Ok(bot);
    }
    std::fs::create_dir_all(folder)?;
    for path in read(&bot).union(&sent(&bot)) {
        let own = bot.folder().join(path);
        if !given.contains_key(&*path.to_string_lossy()) && own.is_file() {
            std::fs::copy(own, made(folder, path)?)?;
        }
    }
    for path in absent {
        let text = format!("in place of {}\n", path.display());
        std::fs::write(made(folder, &path)?, text)?;
    }
    for (path, text) in given {
        std::fs::write(made(folder, Path::new(path))?, text)?;
    }
    bot.file = folder.join(bot.file.file_name().unwrap_or_default());
    Ok(bot)
}

/// The files that the bot would send and that are nowhere; of those whose names are computed there are none.
pub(super) fn absent(bot: &Bot, given: &BTreeMap<String, String>) -> BTreeSet<PathBuf> {
    let mut files = sent(bot);
    files.retain(|path| !given.contains_key(&*path.to_string_lossy()) && !bot.folder().join(path).exists());
    files
}

/// The upload targets that the bot names.
pub(super) fn uploads(bot: &Bot) -> BTreeSet<String> {
    let targets = contents(bot).filter_map(|content| match content {
        PartContent::Remote { upload, .. } => Some(upload.clone()),
        _ => None,
    });
    targets.collect()
}

/// The files of the bot's audiences.
fn read(bot: &Bot) -> BTreeSet<PathBuf> {
    let branches = bot.rules.values().flat_map(|rule| rule.audience.branches());
    let files = branches.filter_map(|branch| match branch.audience {
        Audience::Csv(csv) => Some(csv.path.clone()),
        Audience::Sql(Sql {
            database: Database::File(file),
            ..
        }) => Some(file.clone()),
        _ => None,
    });
    files.filter(|path| is_below(path)).collect()
}

/// The files that the bot sends; of those whose names are computed there are none.
fn sent(bot: &Bot) -> BTreeSet<PathBuf> {
    let files = contents(bot).filter_map(|content| match content {
        PartContent::Attach(file) | PartContent::Remote { file, .. } if file.file.names().is_empty() => {
            let path = file.file.render(&Scope::new()).ok()?;
            Some(PathBuf::from(path.trim()))
        }
        _ => None,
    });
    files.filter(|path| is_below(path)).collect()
}

fn contents(bot: &Bot) -> impl Iterator<Item = &PartContent> {
    let rules = bot.rules.values();
    let of_rules = rules.flat_map(|rule| {
        let later = rule.policy.then.iter().flat_map(|later| &later.parts);
        rule.parts.iter().chain(later)
    });
    let lists = bot.lists.values();
    let of_lists = lists.flat_map(|list| list.welcome.iter().chain(&list.goodbye).flatten());
    let of_commands = bot.commands.iter().flat_map(|command| &command.reply);
    let parts = of_rules.chain(of_lists).chain(of_commands);
    parts.map(|part| &part.content)
}

fn is_below(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// A path below the folder, with the folders that lead there.
fn made(folder: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(path)
}
