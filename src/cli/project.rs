//! Which project a command works in.

use std::path::{Path, PathBuf};

use super::{Failure, Options, check};
use crate::bot::{Project, config::Finding};

/// The project of these bots: the file of `--project`, else the one in their folders or above them, else none. Findings of the
/// file are the caller's to tell.
///
/// # Errors
/// The bots belong to two projects. A file with an error is no project, and its findings say why.
pub(super) fn read(options: &Options, paths: &[PathBuf]) -> anyhow::Result<(Option<Project>, Vec<Finding>)> {
    Ok(match file(options, paths)? {
        Some(file) => match Project::load(&file) {
            Ok((project, warnings)) => (Some(project), warnings),
            Err(found) => (None, found),
        },
        None => (Some(Project::default()), Vec::new()),
    })
}

/// As [`read`], for commands that need no more than the project: its findings are told, and errors end the command.
pub(super) fn load(options: &Options, paths: &[PathBuf]) -> anyhow::Result<Project> {
    match read(options, paths)? {
        (Some(project), _) => Ok(project),
        (None, findings) => {
            check::tell(&findings, options);
            Err(Failure::Findings(2).into())
        }
    }
}

/// Where commands that name no bot look for the project.
pub(super) fn here() -> Vec<PathBuf> {
    vec![PathBuf::from("bots")]
}

fn file(options: &Options, paths: &[PathBuf]) -> anyhow::Result<Option<PathBuf>> {
    if let Some(file) = &options.project {
        return Ok(Some(file.clone()));
    }
    let mut found: Option<PathBuf> = None;
    for path in paths {
        let folder = if path.is_dir() {
            path
        } else {
            path.parent().unwrap_or(Path::new(""))
        };
        let Some(file) = Project::find(folder) else {
            continue;
        };
        match &found {
            Some(first) if !is_same(first, &file) => {
                let reason = format!(
                    "the bots belong to two projects, {} and {}; start them apart, or name one with --project",
                    first.display(),
                    file.display()
                );
                return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
            }
            Some(_) => {}
            None => found = Some(file),
        }
    }
    Ok(found)
}

fn is_same(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first == second,
        _ => first == second,
    }
}
