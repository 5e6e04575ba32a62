//! The commands. Data goes to stdout, talk to stderr; `--json` is for programs.

mod backup;
mod bots;
mod broadcast;
mod callbacks;
mod check;
mod claim;
mod completions;
mod deliveries;
mod desk;
mod dev;
mod doctor;
mod inbox;
mod keys;
mod new;
mod node;
mod preview;
mod print;
mod project;
mod run;
mod schema;
mod send;
mod signals;
mod status;
mod subscribers;
mod test;
mod wallet;
mod wallet_argument;
mod watch;
mod words;

use std::{
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{bot::Project, client};

/// Sends end-to-end encrypted messages to blockchain wallets, as YAML bots declare them.
#[derive(Debug, Parser)]
#[command(name = "herald", version, max_term_width = 100, arg_required_else_help = true)]
struct Herald {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone, Debug)]
struct Options {
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    /// The folder of the stores, keys and the API token [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The project's file [default: herald.yaml in the folder of the bots or above it]
    #[arg(long, global = true, value_name = "FILE")]
    project: Option<PathBuf>,
    /// Say more on stderr; twice for everything (`HERALD_LOG` takes a filter instead)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say only errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

impl Options {
    fn data(&self) -> &Path {
        self.data.as_deref().unwrap_or(Path::new("data"))
    }

    /// The file of what bots must not forget.
    fn store(&self, project: &Project) -> PathBuf {
        let own = || self.data().join("herald.db");
        project.store.clone().unwrap_or_else(own)
    }

    /// Makes the data folder, readable by its owner only; an existing one stays as it is.
    fn make_data(&self) -> anyhow::Result<()> {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.data());
        made.with_context(|| format!("cannot make the folder {}", self.data().display()))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run bots with a built-in node and a test wallet that joins their lists, and show its inbox
    Dev(dev::Dev),
    /// Run bots
    Run(run::Run),
    /// Check bot files: shape, types, references, places
    Check(check::Check),
    /// Run the tests in bot files
    Test(test::Test),
    /// Run a node alone
    Node(herald_node::command::Node),
    /// Send one message from a wallet
    Send(send::Send),
    /// Read a wallet's messages
    Inbox(inbox::Inbox),
    /// Make, show and import wallet keys; export and rotate XMTP keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Start, approve, pause, resume, cancel and show big sends of a running herald
    #[command(subcommand)]
    Broadcast(broadcast::Broadcast),
    /// Show what a rule would write to whom; nothing is sent
    Preview(preview::Preview),
    /// List what was sent to whom, and why not; try again what did not arrive
    Deliveries(deliveries::Deliveries),
    /// List what was told of deliveries where rules' `callback` says, and tell it again
    Callbacks(callbacks::Callbacks),
    /// Lists and the people on them
    #[command(subcommand)]
    Subscribers(subscribers::Subscribers),
    /// Ask a running herald how its bots stand
    Status(status::Status),
    /// Look at the machine: clock, data, store, keys, nodes, ports, and what bots name
    Doctor(doctor::Doctor),
    /// Copy the bots' store, also while herald runs
    Backup(backup::Backup),
    /// Make a folder with a bot of one's own
    New(new::New),
    /// Print the shape of what herald reads and serves
    #[command(subcommand)]
    Schema(schema::Schema),
    /// Print the completions of a shell
    Completions(completions::Completions),
}

impl Command {
    /// Whether it runs until a signal, and then ends by itself.
    fn drains(&self) -> bool {
        match self {
            Self::Dev(_) | Self::Run(_) => true,
            Self::Node(node) => node.stays(),
            Self::Inbox(inbox) => inbox.follows(),
            Self::Check(_)
            | Self::Test(_)
            | Self::Send(_)
            | Self::Keys(_)
            | Self::Broadcast(_)
            | Self::Preview(_)
            | Self::Deliveries(_)
            | Self::Callbacks(_)
            | Self::Subscribers(_)
            | Self::Status(_)
            | Self::Doctor(_)
            | Self::Backup(_)
            | Self::New(_)
            | Self::Schema(_)
            | Self::Completions(_) => false,
        }
    }
}

/// Why a command did not do what it was asked to, where the exit code is not 1.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Findings were printed; nothing is left to say. With 1 from `check`, 2 from commands that would have started.
    #[error("findings")]
    Findings(u8),
    /// Usage or configuration: 2.
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// Something else than a node cannot be reached: 3.
    #[error("{0:#}")]
    Unreachable(anyhow::Error),
    /// The user interrupted, or did it twice where the first drains: 130.
    #[error("interrupted")]
    Interrupted,
}

/// Parses the command line, runs the command, and gives its exit code.
pub fn main() -> ExitCode {
    let herald = match Herald::try_parse() {
        Ok(herald) => herald,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Printing the usage can only fail when nobody reads it.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    log(&herald.options);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return explain(&error.into()),
    };
    let drains = herald.command.drains();
    let outcome = runtime.block_on(signals::unless_interrupted(drains, execute(herald)));
    // A blocking call that hangs must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => explain(&failure),
    }
}

async fn execute(herald: Herald) -> anyhow::Result<()> {
    let options = herald.options;
    match herald.command {
        Command::Dev(dev) => Box::pin(dev.execute(&options)).await,
        Command::Run(run) => Box::pin(run.execute(&options)).await,
        Command::Check(check) => Box::pin(check.execute(&options)).await,
        Command::Test(test) => Box::pin(test.execute(&options)).await,
        Command::Node(node) => Box::pin(node::execute(node, &options)).await,
        Command::Send(send) => Box::pin(send.execute(&options)).await,
        Command::Inbox(inbox) => Box::pin(inbox.execute(&options)).await,
        Command::Keys(keys) => keys.execute(&options).await,
        Command::Broadcast(broadcast) => Box::pin(broadcast.execute(&options)).await,
        Command::Preview(preview) => Box::pin(preview.execute(&options)).await,
        Command::Deliveries(deliveries) => deliveries.execute(&options).await,
        Command::Callbacks(callbacks) => Box::pin(callbacks.execute(&options)).await,
        Command::Status(status) => status.execute(&options).await,
        Command::Doctor(doctor) => Box::pin(doctor.execute(&options)).await,
        Command::Backup(backup) => backup.execute(&options).await,
        Command::New(new) => new.execute(&options),
        Command::Schema(schema) => {
            schema.execute();
            Ok(())
        }
        Command::Subscribers(subscribers) => Box::pin(subscribers.execute(&options)).await,
        Command::Completions(completions) => {
            completions.execute();
            Ok(())
        }
    }
}

fn log(options: &Options) {
    let level = match (options.quiet, options.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "warn,herald=info,herald_node=info",
        (false, _) => "info,herald=debug,herald_node=debug",
    };
    let filter = EnvFilter::try_from_env("HERALD_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colours =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .init();
}

/// Says why a command failed and gives its exit code.
fn explain(error: &anyhow::Error) -> ExitCode {
    let unreachable = error.chain().any(
        |cause| matches!(cause.downcast_ref(), Some(client::Error::Api(error)) if error.is_unreachable()),
    );
    let code = match error.downcast_ref() {
        Some(Failure::Findings(code)) => return ExitCode::from(*code),
        Some(Failure::Usage(_)) => 2,
        Some(Failure::Unreachable(_)) => 3,
        Some(Failure::Interrupted) => 130,
        None if unreachable => 3,
        None => 1,
    };
    print::talk(&format!("error: {error:#}"));
    if unreachable {
        print::talk("hint: is the node running? `herald node` starts one; --node names another");
    }
    ExitCode::from(code)
}
