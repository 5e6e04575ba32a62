//! Files of a test: those that it gives, then those of the bot's folder that the bot names.

use std::{collections::BTreeMap, path::Path};

use crate::bot::{audience::Audience, config::Bot};

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
    for rule in bot.rules.values() {
        for branch in rule.audience.branches() {
            let Audience::Csv(csv) = branch.audience else {
                continue;
            };
            let own = bot.folder().join(&csv.path);
            if !given.contains_key(&*csv.path.to_string_lossy()) && own.is_file() {
                std::fs::copy(own, made(folder, &csv.path)?)?;
            }
        }
    }
    for (path, text) in given {
        std::fs::write(made(folder, Path::new(path))?, text)?;
    }
    bot.file = folder.join(bot.file.file_name().unwrap_or_default());
    Ok(bot)
}

/// A path below the folder, with the folders that lead there.
fn made(folder: &Path, path: &Path) -> std::io::Result<std::path::PathBuf> {
    let path = folder.join(path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    Ok(path)
}
