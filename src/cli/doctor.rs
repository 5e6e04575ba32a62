//! `herald doctor`: looks at the machine, one line a check, with what to do where something is wrong. Nothing is changed.

mod bots;
mod machine;

use std::{fmt::Display, path::PathBuf, sync::Arc};

use clap::Args;
use futures::{FutureExt as _, future::BoxFuture};
use serde::Serialize;

use super::{Failure, Options, bots as files, print, project, run::Listen};
use crate::{
    bot::{
        config::{self, Bot, Finding, Severity},
        probe::{Look, Probe},
        store,
    },
    clock,
};

/// Looks at the machine: clock, data, store, keys, nodes, ports, and what bots name
#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Bot files, or folders: every *.yaml in them
    #[arg(value_name = "PATH", default_value = "bots")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    listen: Listen,
    /// Webhooks and herald's own API [default: the project's, else 127.0.0.1:7411]
    #[arg(long, value_name = "ADDR")]
    api: Option<String>,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Failed,
    /// There was nothing to look at, or nobody to ask.
    Skipped,
}

/// One check, done.
#[derive(Debug, Serialize)]
struct Check {
    /// What kind of check it is; stable across releases.
    #[serde(rename = "check")]
    kind: &'static str,
    /// What was looked at.
    subject: String,
    state: State,
    /// What was found.
    told: String,
    /// What to do about it.
    fix: Option<String>,
}

impl Check {
    fn ok(kind: &'static str, subject: &dyn Display, told: impl Into<String>) -> Self {
        Self::new(kind, subject, State::Ok, told.into())
    }

    fn skipped(kind: &'static str, subject: &dyn Display, told: impl Into<String>) -> Self {
        Self::new(kind, subject, State::Skipped, told.into())
    }

    fn failed(
        kind: &'static str,
        subject: &dyn Display,
        told: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        let failed = Self::new(kind, subject, State::Failed, told.into());
        Self {
            fix: Some(fix.into()),
            ..failed
        }
    }

    fn of_look(kind: &'static str, subject: &dyn Display, look: Look, fix: &str) -> Self {
        match look {
            Look::Fine(told) => Self::ok(kind, subject, told),
            Look::Skipped(told) => Self::skipped(kind, subject, told),
            Look::Wrong(told) => Self::failed(kind, subject, told, fix),
        }
    }

    fn new(kind: &'static str, subject: &dyn Display, state: State, told: String) -> Self {
        Self {
            kind,
            subject: subject.to_string(),
            state,
            told,
            fix: None,
        }
    }

    fn tell(&self, options: &Options) {
        if options.json {
            return print::json(self);
        }
        let state = match self.state {
            State::Ok => "ok",
            State::Failed => "failed",
            State::Skipped => "skipped",
        };
        let (subject, told) = (print::inline(&self.subject), print::inline(&self.told));
        let space = if subject.is_empty() { "" } else { " " };
        let fix = self.fix.as_deref().map(print::inline);
        let fix = fix.map(|fix| format!("; {fix}")).unwrap_or_default();
        print::line(&format!("{state:<8} {}{space}{subject}: {told}{fix}", self.kind));
    }
}

/// Checks that run beside others.
type Checks<'a> = BoxFuture<'a, Vec<Check>>;

/// Puts one check among those that give several.
fn one<'a>(check: impl Future<Output = Check> + Send + 'a) -> Checks<'a> {
    check.map(|check| vec![check]).boxed()
}

impl Doctor {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let (project, mut findings) = project::read(options, &self.paths)?;
        let project = Arc::new(project.unwrap_or_default());
        let (loaded, mut checks) = match files::files(&self.paths) {
            Ok(files) => (config::load_all(&project, &files), Vec::new()),
            Err(error) => {
                let fix = "name the files of the bots, or their folder";
                (
                    Vec::new(),
                    vec![Check::failed("bots", &"", error.to_string(), fix)],
                )
            }
        };
        let mut bots = Vec::new();
        for loaded in loaded {
            match loaded {
                Ok((bot, warnings)) => {
                    bots.push(bot);
                    findings.extend(warnings);
                }
                Err(found) => findings.extend(found),
            }
        }
        checks.extend(in_files(&findings, &bots));
        let store = options.store(&project);
        let owner = store::owner(&store);
        let probe = Probe::of(Arc::clone(&project), options.data(), clock::now.into())?;
        checks.extend(machine::data(options.data()));
        checks.push(machine::store(&store, owner.as_deref()));
        checks.push(machine::open_files());
        let ports = self.ports(&project.listen, &bots);
        let mut looks: Vec<Checks<'_>> = ports
            .into_iter()
            .map(|(what, address)| one(machine::port(what, address, owner.as_deref())))
            .collect();
        looks.push(one(machine::api(options.data(), owner.as_deref(), &probe)));
        looks.push(bots::nodes(&bots, (&probe, &self.listen, owner.is_some()), options.data()).boxed());
        looks.extend(bots::places(&bots, &project, &probe));
        checks.extend(futures::future::join_all(looks).await.into_iter().flatten());
        for check in &checks {
            check.tell(options);
        }
        let failed = checks.iter().any(|check| check.state == State::Failed);
        if failed {
            return Err(Failure::Findings(1).into());
        }
        Ok(())
    }

    /// The ports that `herald run` takes for these bots.
    fn ports<'a>(&'a self, api: &'a str, bots: &[Bot]) -> Vec<(&'static str, &'a str)> {
        let mut ports = vec![("api", self.api.as_deref().unwrap_or(api))];
        ports.push(("metrics", self.listen.metrics()));
        if bots.iter().any(|bot| bot.node == config::NodeAddress::BuiltIn) {
            ports.push(("grpc", self.listen.grpc()));
            ports.push(("http", self.listen.http()));
        }
        ports
    }
}

/// What keeps the bots of these files from running here: errors, and secrets and files that are missing. Keys are looked at apart.
fn in_files(findings: &[Finding], bots: &[Bot]) -> Vec<Check> {
    let concerns = |finding: &&Finding| match finding.code {
        config::Code::SecretMissing => finding.path != "identity",
        config::Code::FileMissing => true,
        _ => finding.severity == Severity::Error,
    };
    let mut checks: Vec<Check> = findings
        .iter()
        .filter(concerns)
        .map(|finding| {
            let check = match finding.code {
                config::Code::SecretMissing => "secret",
                config::Code::FileMissing => "file",
                _ => "bots",
            };
            let place = format!("{}:{}:{}", finding.file.display(), finding.line, finding.column);
            let fix = finding
                .hint
                .clone()
                .unwrap_or_else(|| format!("`herald check --explain {}` says what is wanted", finding.code));
            Check::failed(check, &place, finding.message.clone(), fix)
        })
        .collect();
    if checks.is_empty() && !bots.is_empty() {
        let names: Vec<&str> = bots.iter().map(|bot| bot.name.as_str()).collect();
        checks.push(Check::ok(
            "bots",
            &names.join(", "),
            "no errors, and no secret or file is missing",
        ));
    }
    checks
}
