//! `herald check`: every finding of every file, with its place.

mod connect;

use std::{path::PathBuf, sync::Arc};

use clap::Args;

use super::{Failure, Options, bots, print, project};
use crate::bot::config::{self, Finding, Severity};

/// Checks bot files and runs nothing.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Say what a code such as E104 means, with a wrong and a right file, and check nothing
    #[arg(long, value_name = "CODE", conflicts_with = "paths")]
    explain: Option<String>,
    /// Also reach what the bots name: sources, databases, nodes, chains, upload targets
    #[arg(long, conflicts_with = "explain")]
    connect: bool,
    /// Bot files, or folders: every *.yaml in them
    #[arg(value_name = "PATH", default_value = "bots")]
    paths: Vec<PathBuf>,
}

impl Check {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        if let Some(code) = &self.explain {
            return explain(code, options);
        }
        let files = bots::files(&self.paths)?;
        let (project, mut findings) = project::read(options, &self.paths)?;
        // Without it the bots are checked all the same: most of what they say does not change with the project.
        let project = Arc::new(project.unwrap_or_default());
        let mut bots = Vec::new();
        for loaded in config::load_all(&project, &files) {
            match loaded {
                Ok((bot, warnings)) => {
                    bots.push(bot);
                    findings.extend(warnings);
                }
                Err(found) => findings.extend(found),
            }
        }
        if self.connect {
            findings.extend(connect::findings(&bots, &project, options.data()).await?);
        }
        tell(&findings, options);
        let rules = bots.iter().map(|bot| bot.rules.len()).sum();
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .count();
        let warnings = findings.len() - errors;
        let summary = format!(
            "{}, {}, {}, {}",
            count(files.len(), "bot"),
            count(rules, "rule"),
            count(errors, "error"),
            count(warnings, "warning"),
        );
        if options.json {
            print::talk(&summary);
        } else {
            print::line(&summary);
        }
        if errors > 0 {
            Err(Failure::Findings(1).into())
        } else {
            Ok(())
        }
    }
}

/// Prints the page of a code.
fn explain(code: &str, options: &Options) -> anyhow::Result<()> {
    let code = code.to_ascii_uppercase();
    let Some(page) = config::explain::explain(&code) else {
        let known: Vec<&str> = config::explain::codes().collect();
        let reason = format!(
            "there is no code {}; the codes are {}",
            print::inline(&code),
            known.join(", ")
        );
        return Err(Failure::Usage(anyhow::anyhow!(reason)).into());
    };
    if options.json {
        print::json(&serde_json::json!({ "code": code, "page": page }));
    } else {
        print::line(page);
    }
    Ok(())
}

/// Prints findings: JSON, or text with the line and a caret.
pub(super) fn tell(findings: &[Finding], options: &Options) {
    for finding in findings {
        if options.json {
            print::json(finding);
        } else {
            print::line(&format!("{finding}\n"));
        }
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
