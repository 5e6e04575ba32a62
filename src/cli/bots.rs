//! Which bots a command is about, and what they need to run.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Failure, Options, check, print, project};
use crate::bot::{
    Project,
    config::{self, Bot, Finding},
};

/// The files of `paths`: files as they are, and every *.yaml of a folder in the order of their names.
pub(super) fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = in_folder(path)?;
            if found.is_empty() {
                let reason = format!("there is no *.yaml in {}", path.display());
                return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
            }
            files.extend(found);
        } else if path.exists() {
            files.push(path.clone());
        } else if path == Path::new("bots") && Path::new(ALONE).is_file() {
            files.push(PathBuf::from(ALONE));
        } else {
            let reason = format!("there is no file or folder {}", path.display());
            return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
        }
    }
    Ok(files)
}

/// The bot of a folder that has one, as `herald new` makes it: what is meant where no path is named and there is no folder `bots`.
const ALONE: &str = "bot.yaml";

fn in_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let is_bot = path.extension().is_some_and(|extension| extension == "yaml")
            && path.file_name().is_some_and(|name| name != "herald.yaml");
        if is_bot && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What becomes of a bot without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identities {
    /// It cannot run, and a warning says so.
    MustExist,
    /// It gets one.
    AreMade,
}

/// Loads every bot and the project they belong to, or prints every finding and starts nothing.
pub(super) fn load(
    paths: &[PathBuf],
    options: &Options,
    identities: Identities,
) -> anyhow::Result<(Vec<Bot>, Project)> {
    let (project, mut findings) = project::read(options, paths)?;
    let Some(project) = project else {
        check::tell(&findings, options);
        return Err(Failure::Findings(2).into());
    };
    let (mut bots, mut failed) = (Vec::<Bot>::new(), false);
    for loaded in config::load_all(&project, &files(paths)?) {
        match loaded {
            Ok((bot, warnings)) => {
                if let Some(other) = bots.iter().find(|other| other.name == bot.name) {
                    let (first, second) = (other.file.display(), bot.file.display());
                    let reason = format!(
                        "{first} and {second} are both bot `{}`; give one another name",
                        bot.name
                    );
                    return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
                }
                findings.extend(warnings);
                bots.push(bot);
            }
            Err(found) => {
                findings.extend(found);
                failed = true;
            }
        }
    }
    if failed {
        check::tell(&findings, options);
        return Err(Failure::Findings(2).into());
    }
    let is_news = |finding: &&Finding| identities == Identities::MustExist || finding.path != "identity";
    for warning in findings.iter().filter(is_news) {
        print::talk(&warning.to_string());
    }
    Ok((bots, project))
}
