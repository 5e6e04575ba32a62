//! Runs the tests of a bot: on a clock of their own, with real keys and messages, without anything of this machine but a node.
//!
//! ```text
//! Test ── given, steps ──> Stage: schedules, plan, deliveries, callbacks, inbox, a round at a time until nothing is left to do
//!                            └── then the clock moves to the next instant at which something is due
//!      ── expect ────────> what the test wallets decrypt ── compare ──> Outcome
//! ```
//!
//! Enters: a valid bot, one of its tests, and a node that runs on the same clock. Leaves: what was wanted beside what arrived.
//! It promises that a test drives what `herald run` drives, and ends whatever the bot does.

mod compare;
mod files;
mod origin;
mod outcome;
mod people;
mod post;
mod stage;
mod time;
pub mod update;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use herald_protocol::wallet::WalletKey;
use sha2::{Digest as _, Sha256};

pub use outcome::{Line, Outcome, Told};
pub use time::VirtualTime;

use super::{
    config::{
        Bot,
        testing::{Action, Test},
    },
    project::{Project, Upload},
    runtime::Bots,
};
use crate::{client::NodeAddress, fetch::Fetch};
use stage::{Broken, Stage};

/// What one test stands on.
#[derive(Debug)]
pub struct Ground {
    /// A node that nobody else uses.
    pub node: NodeAddress,
    /// The clock of that node, of the bot and of everybody.
    pub time: VirtualTime,
    /// The bots that the API at `api` finds.
    pub bots: Bots,
    /// Where the API is: `http://HOST:PORT`.
    pub api: String,
    /// Reaches it.
    pub fetch: Fetch,
    /// An empty folder.
    pub folder: PathBuf,
    /// The project of the bot, without what lies outside of the test; see [`project_for`].
    pub project: Arc<Project>,
}

/// A project for one test of a bot: what is uploaded stays in the folder, whatever the project's targets are, and whether it has them.
pub fn project_for(project: &Project, bot: &Bot, folder: &Path) -> Project {
    let mut own = project.clone();
    for name in files::uploads(bot) {
        own.uploads.entry(name).or_insert_with(|| Upload::Folder {
            folder: PathBuf::new(),
            public: "https://uploads.example".to_owned(),
        });
    }
    for (name, upload) in &mut own.uploads {
        let (Upload::S3 { public, .. } | Upload::Folder { public, .. }) = &*upload;
        *upload = Upload::Folder {
            folder: folder.join("uploads").join(name),
            public: public.clone(),
        };
    }
    own
}

/// The files that tests of the bot send and that are neither given by the test nor in the bot's folder: another is sent in their place.
pub fn absent_files(bot: &Bot) -> BTreeSet<PathBuf> {
    let tests = bot.tests.iter();
    tests
        .flat_map(|test| files::absent(bot, &test.given.files))
        .collect()
}

/// Runs one test.
pub async fn run(bot: &Bot, test: &Test, ground: &Ground) -> Outcome {
    match play(bot, test, ground).await {
        Ok(outcome) => outcome,
        Err(broken) => Outcome::broken(broken.to_string()),
    }
}

async fn play(bot: &Bot, test: &Test, ground: &Ground) -> Result<Outcome, Broken> {
    let mut stage = Box::pin(Stage::set(bot, test, ground)).await?;
    let mut problems = Vec::new();
    for step in &test.steps {
        let done = match &step.action {
            Action::Wait(span) => stage.wait(*span).await,
            Action::Say {
                from,
                text: said,
                kind,
            } => Box::pin(stage.say(from, said, *kind)).await,
            Action::Mock(answers) => {
                stage.mock(answers, step.line);
                Ok(())
            }
            Action::Run(rule) => stage.fire(rule).await,
            Action::Approve(rule) => stage.approve(rule).await,
            Action::Post {
                rule,
                body,
                signed,
                answer,
            } => stage.post(rule, body, (*signed, *answer)).await,
            Action::Read { rules, items } => stage.read(rules, items).await,
            Action::Log { rule, event } => stage.log(rule, event).await,
            Action::Restart => Box::pin(stage.restart()).await,
            Action::Reload(file) => Box::pin(stage.reload(file)).await,
        };
        match done {
            Ok(()) => {}
            Err(Broken::Step(problem)) => {
                problems.push(format!("{}:{}: {problem}", bot.file.display(), step.line));
            }
            Err(broken) => {
                let place = format!("{}:{}", bot.file.display(), step.line);
                return Err(Broken::Step(format!("{place}: {broken}")));
            }
        }
    }
    problems.extend(stage.unused().into_iter().map(|(name, line)| {
        let place = format!("{}:{line}", bot.file.display());
        format!("{place}: nobody asked for the mock of `{name}`; leave it out")
    }));
    let received = stage.received().await?;
    let (rows, callbacks) = (stage.rows().await?, stage.callbacks().await?);
    let posts = stage.posts();
    let (errors, ended) = stage.end().await;
    problems.extend(errors);
    let stored = (rows.as_slice(), callbacks.as_slice());
    let mut outcome = compare::compare(&test.expected, received, stored, problems);
    outcome.undelivered.extend(ended);
    outcome.callbacks.extend(posts.iter().map(Told::from));
    Ok(outcome)
}

/// The wallet of a name in tests: always the same, and of no value anywhere else.
pub fn wallet(name: &str) -> WalletKey {
    let mut seed = format!("herald test wallet {name}").into_bytes();
    loop {
        let secret: [u8; 32] = Sha256::digest(&seed).into();
        if let Ok(wallet) = WalletKey::from_bytes(&secret) {
            return wallet;
        }
        seed = secret.to_vec();
    }
}

/// Whether a text is spelled as the name of a test wallet: `alice`, `dev-team`, or a name of ENS or Lens.
pub fn is_wallet(name: &str) -> bool {
    let is_spelled = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let top = name.rsplit_once('.').map(|(_, top)| top);
    is_spelled && matches!(top, None | Some("eth" | "lens"))
}
