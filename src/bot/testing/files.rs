//! Files of a test: those that it gives, then those of the bot's folder that the bot names.

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
    if given.is_empty() {
        return Ok(bot);
    }
    std::fs::create_dir_all(folder)?;
    for path in named(&bot) {
        let own = bot.folder().join(&path);
        if !given.contains_key(&*path.to_string_lossy()) && own.is_file() {
            std::fs::copy(own, made(folder, &path)?)?;
        }
    }
    for (path, text) in given {
        std::fs::write(made(folder, Path::new(path))?, text)?;
    }
    bot.file = folder.join(bot.file.file_name().unwrap_or_default());
    Ok(bot)
}

/// The files that the bot names; of those whose names are computed there are none.
fn named(bot: &Bot) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for branch in bot.rules.values().flat_map(|rule| rule.audience.branches()) {
        match branch.audience {
            Audience::Csv(csv) => files.insert(csv.path.clone()),
            Audience::Sql(Sql {
                database: Database::File(file),
                ..
            }) => files.insert(file.clone()),
            _ => false,
        };
    }
    let rules = bot.rules.values();
    let of_rules = rules.flat_map(|rule| {
        let later = rule.policy.then.iter().flat_map(|later| &later.parts);
        rule.parts.iter().chain(later)
    });
    let lists = bot.lists.values();
    let of_lists = lists.flat_map(|list| list.welcome.iter().chain(&list.goodbye).flatten());
    let of_commands = bot.commands.iter().flat_map(|command| &command.reply);
    for part in of_rules.chain(of_lists).chain(of_commands) {
        let (PartContent::Attach(file) | PartContent::Remote { file, .. }) = &part.content else {
            continue;
        };
        if file.file.names().is_empty()
            && let Ok(path) = file.file.render(&Scope::new())
        {
            files.insert(PathBuf::from(path.trim()));
        }
    }
    files.retain(|path| path.components().all(|part| matches!(part, Component::Normal(_))));
    files
}

/// A path below the folder, with the folders that lead there.
fn made(folder: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(path)
}
