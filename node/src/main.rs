//! `herald-node`: a node alone, without the rest of herald.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use herald_node::{Addresses, Config, Host, clock, command, metrics};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let config = match parse(std::env::args().skip(1)) {
        Ok(config) => config,
        Err(problem) => return say(&problem, 2),
    };
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    logs.with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => say(&problem, 1),
    }
}

fn serve(config: Config) -> Result<(), String> {
    let host = Host {
        clock: clock::wall,
        metrics: metrics::install().map_err(|error| error.to_string())?,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let mut node = std::pin::pin!(command::execute(config, host, shutdown.clone(), ready));
        let ended = tokio::select! {
            ended = node.as_mut() => ended,
            _ = terminate.recv() => { shutdown.cancel(); node.await }
            _ = interrupt.recv() => { shutdown.cancel(); node.await }
        };
        ended.map_err(|error| causes(&error))
    })
}

/// One JSON line on standard output, for whoever started the process with port 0.
fn ready(addresses: Addresses) {
    let Addresses { http, grpc, metrics } = addresses;
    let line = serde_json::json!({ "event": "ready", "http": http, "grpc": grpc, "metrics": metrics });
    // Nobody may be reading; the node serves all the same.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Config, String> {
    let mut flags = command::Flags::default();
    while let Some(flag) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("`{flag}` needs a value\n{USAGE}"))?;
        match flag.as_str() {
            "--config" => flags.config = Some(PathBuf::from(value)),
            "--http" => flags.http = Some(value),
            "--grpc" => flags.grpc = Some(value),
            "--metrics" => flags.metrics = Some(value),
            "--data" => flags.data = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown flag `{flag}`\n{USAGE}")),
        }
    }
    flags.resolve().map_err(|error| causes(&error))
}

fn causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn say(problem: &str, code: u8) -> ExitCode {
    // Without standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {problem}");
    ExitCode::from(code)
}

const USAGE: &str =
    "usage: herald-node [--config FILE] [--http ADDR] [--grpc ADDR] [--metrics ADDR] [--data DIR]";
