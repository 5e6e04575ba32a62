//! `herald test`: the tests in bot files, each on a clock and a node of its own.

mod folder;
mod junit;
mod report;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Args;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failure, Options, bots, check, print, project};
use crate::{
    bot::{
        Bots, Project,
        config::{self, Bot, Severity},
        testing::{self, Ground, Outcome, VirtualTime, update::update},
    },
    console::{self, ApiToken, Folders},
    fetch::Fetch,
    network::{Embedded, Local},
};
use folder::Scratch;

/// Runs the tests in bot files: without secrets, without a network, on a clock of their own.
#[derive(Args, Debug)]
pub(super) struct Test {
    /// Bot files, or folders: every *.yaml in them
    #[arg(value_name = "PATH", default_value = "bots")]
    paths: Vec<PathBuf>,
    /// Write what arrived into `expect` of the tests that fail
    #[arg(long)]
    update: bool,
    /// Write the outcomes as `JUnit` XML into this file, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What became of one test.
struct Ran {
    bot: String,
    file: PathBuf,
    line: usize,
    test: String,
    took: Duration,
    outcome: Outcome,
    /// Its `expect` was rewritten.
    updated: bool,
}

impl Test {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let (project, findings) = project::read(options, &self.paths)?;
        let Some(project) = project.map(Arc::new) else {
            check::tell(&findings, options);
            return Err(Failure::Findings(2).into());
        };
        let (mut ran, mut mistaken) = (Vec::new(), false);
        for file in bots::files(&self.paths)? {
            match config::load_in(&project, &file) {
                Ok((bot, _)) => ran.extend(self.run(&bot, &project, options).await?),
                Err(mut findings) => {
                    findings.retain(|finding| finding.severity == Severity::Error);
                    check::tell(&findings, options);
                    mistaken = true;
                }
            }
        }
        if let Some(path) = &self.junit {
            std::fs::write(path, junit::xml(&ran))
                .with_context(|| format!("cannot write {}", path.display()))
                .map_err(Failure::Usage)?;
        }
        if ran.is_empty() && !mistaken {
            return Err(Failure::Usage(anyhow::anyhow!("no bot here has `tests:`")).into());
        }
        report::summary(&ran, options);
        let failed = ran.iter().any(|ran| !ran.outcome.ok && !ran.updated);
        if failed || mistaken {
            return Err(Failure::Findings(1).into());
        }
        Ok(())
    }

    /// Runs the tests of one bot, and tells each as it ends.
    async fn run(&self, bot: &Bot, project: &Arc<Project>, options: &Options) -> anyhow::Result<Vec<Ran>> {
        let mut all = Vec::with_capacity(bot.tests.len());
        for test in &bot.tests {
            let (outcome, took) = Box::pin(play(bot, test, project)).await?;
            all.push(Ran {
                bot: bot.name.clone(),
                file: bot.file.clone(),
                line: test.line,
                test: test.name.clone(),
                took,
                outcome,
                updated: false,
            });
        }
        if self.update {
            rewrite(&bot.file, &mut all)?;
        }
        for ran in &all {
            report::tell(ran, options);
        }
        for path in testing::absent_files(bot) {
            print::talk(&format!(
                "{}: there is no file {}; its tests send a text in its place",
                bot.name,
                path.display()
            ));
        }
        if all.is_empty() {
            print::talk(&format!("{} has no `tests:`", bot.file.display()));
        }
        Ok(all)
    }
}

fn rewrite(file: &Path, all: &mut [Ran]) -> anyhow::Result<()> {
    let outcomes: Vec<(&str, &Outcome)> = all.iter().map(|ran| (ran.test.as_str(), &ran.outcome)).collect();
    let updated = update(file, &outcomes)?;
    for ran in all {
        ran.updated = updated.contains(&ran.test);
    }
    Ok(())
}

/// Gives a test a node, an API and a folder, and plays it.
async fn play(
    bot: &Bot,
    test: &config::testing::Test,
    project: &Project,
) -> anyhow::Result<(Outcome, Duration)> {
    let begun = Instant::now();
    let folder = Scratch::new().context("cannot make a folder for a test")?;
    let time = VirtualTime::at(test.given.now);
    let node = Local::start_at(folder.path(), time.clock()).await?;
    let listener = Embedded::listen("127.0.0.1:0").await?;
    let (api, bots) = (listener.local_addr()?, Bots::default());
    let project = testing::project_for(project, bot, folder.path());
    let folders = Folders::of(&project, api.port());
    let token = ApiToken::load_or_create(&folder.path().join("api.token"))?;
    // It ends with the test.
    let mut serving = JoinSet::new();
    serving.spawn(console::serve(
        listener,
        bots.clone(),
        (token, folders),
        CancellationToken::new(),
    ));
    let ground = Ground {
        node: node.address(),
        time,
        bots,
        api: format!("http://{api}"),
        fetch: Fetch::builder().allow("127.0.0.1/32".parse()?).build()?,
        folder: folder.path().to_owned(),
        project: Arc::new(project),
    };
    let outcome = Box::pin(testing::run(bot, test, &ground)).await;
    let took = begun.elapsed();
    drop((ground, serving));
    node.stop().await?;
    Ok((outcome, took))
}
