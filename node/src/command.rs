//! The `node` command, of `herald` and of `herald-node` alike: flags to a configuration, a configuration to a running node.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use metrics_exporter_prometheus::BuildError;
use tokio_util::sync::CancellationToken;

use crate::{
    Addresses, Config, OpenError,
    config::{self, Overrides},
    listen, server, store,
};

mod access;
mod backup;
mod export;
mod import;
mod progress;
mod serve;

/// Runs a node until SIGTERM or SIGINT.
#[derive(Args, Clone, Debug)]
pub struct Node {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is asked of a node's store instead, also beside the node that runs on it.
#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// Say who may register and publish; a running node follows within seconds
    Access(access::Access),
    /// Copy the store into a file, while the node runs
    Backup(backup::Backup),
    /// Write all envelopes as lines of JSON, for another store
    Export(export::Export),
    /// Store the envelopes of an export
    Import(import::Import),
}

/// What every node command takes; `herald` has the same for all of its commands.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// The folder of the store
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// What the command line may set; what it leaves out stays as the configuration has it.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Settings, as config/node.yaml explains them; the flags win over it
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The HTTP/JSON gateway, where XMTP JavaScript clients with `env: "local"` look [default: 127.0.0.1:5555]
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// gRPC [default: 127.0.0.1:5556]
    #[arg(long, value_name = "ADDR")]
    pub grpc: Option<String>,
    /// Metrics and health [default: 127.0.0.1:8008]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration was not taken.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A port could not be taken.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The node did not start, or did not end well.
    #[error(transparent)]
    Node(#[from] server::Error),
    /// The process records metrics already.
    #[error("metrics cannot be recorded")]
    Metrics(#[from] BuildError),
    /// These flags are for a node that is started.
    #[error("`{0}` is for starting a node, and this starts none; leave it out")]
    NotServing(&'static str),
    /// The store was opened and then failed.
    #[error("the store failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// These were to be removed from the access lists.
    #[error("not listed: {0}")]
    NotListed(String),
    /// A database has tools of its own.
    #[error("the store is a PostgreSQL database: back it up with pg_dump, or use `export`")]
    BackupOfDatabase,
    /// Nothing is written over.
    #[error("`{}` exists already; name a new file", .0.display())]
    Exists(PathBuf),
    /// A file that was named cannot be used.
    #[error("`{}` cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Whoever reads the export has gone, or its disk is full.
    #[error("the export cannot be written")]
    Output(#[source] io::Error),
    /// The import broke while it was read.
    #[error("the import cannot be read")]
    Input(#[source] io::Error),
    /// A line of an import is not as an export writes it. What came before it is stored.
    #[error("line {number} of the import: {problem}")]
    Line {
        /// From one.
        number: u64,
        /// What was found there.
        problem: String,
    },
    /// An import without a last line. What it has is stored.
    #[error("the import ends after line {0} without its last line; it is only a part of an export")]
    Cut(u64),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Node {
    /// Does what the command line says, a running node until `shutdown` is cancelled; `ready` is told its ports.
    ///
    /// # Errors
    /// When it could not be done; [`Error::exit_code`] says whose turn it is.
    pub async fn execute(
        self,
        options: &Options,
        shutdown: CancellationToken,
        ready: impl FnOnce(Addresses),
    ) -> Result<(), Error> {
        let of_ports = self.flags.of_ports();
        let environment = Overrides::of_process()?;
        let config = self.flags.resolve(environment, options.data.as_deref())?;
        match self.command {
            None => serve::execute(config, shutdown, ready).await,
            Some(_) if let Some(flag) = of_ports => Err(Error::NotServing(flag)),
            Some(Command::Access(access)) => access.execute(&config, options).await,
            Some(Command::Backup(backup)) => backup.execute(&config, options).await,
            Some(Command::Export(export)) => export.execute(&config, options).await,
            Some(Command::Import(import)) => import.execute(&config, options).await,
        }
    }

    /// Whether it runs until a signal, and then ends by itself.
    pub fn stays(&self) -> bool {
        self.command.is_none()
    }
}

impl Flags {
    /// The first flag that names a port.
    fn of_ports(&self) -> Option<&'static str> {
        let given = [
            ("--http", &self.http),
            ("--grpc", &self.grpc),
            ("--metrics", &self.metrics),
        ];
        given
            .into_iter()
            .find_map(|(flag, value)| value.as_ref().map(|_| flag))
    }

    /// The configuration these flags mean, above the environment, above the file, with the store in this folder where one is
    /// named.
    pub fn resolve(self, environment: Overrides, data: Option<&Path>) -> Result<Config, config::Error> {
        let overrides = environment
            .flag("--http", "http", self.http)
            .flag("--grpc", "grpc", self.grpc)
            .flag("--metrics", "metrics", self.metrics);
        let config = Config::load(self.config.as_deref(), &overrides)?;
        Ok(Config {
            store: data.map_or(config.store, |folder| folder.join("node.db").into()),
            ..config
        })
    }
}

impl Error {
    /// 3 for a database that cannot be reached; 2 for what the operator has to change, be it flags, configuration, a port or a store that is in use; else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Node(server::Error::Store(OpenError::Postgres { .. })) => 3,
            Self::Config(_)
            | Self::Listen(_)
            | Self::NotServing(_)
            | Self::BackupOfDatabase
            | Self::Exists(_)
            | Self::Node(server::Error::Store(_)) => 2,
            _ => 1,
        }
    }
}

/// The ports of a ready node as one JSON object, for whoever started the process with port 0.
pub fn ready(addresses: Addresses) -> serde_json::Value {
    let Addresses { http, grpc, metrics } = addresses;
    serde_json::json!({ "event": "ready", "http": http, "grpc": grpc, "metrics": metrics })
}

/// Data of a command, for whoever reads it.
fn line(text: &str) {
    // A reader that has gone away is no reason to fail.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
