//! `herald-node`: the command `herald node` as a program of its own, without the rest of herald.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Parser;
use herald_node::command::{self, Node, Options};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Runs a node of an XMTP V2 network until SIGTERM or SIGINT.
#[derive(Debug, Parser)]
#[command(name = "herald-node", version, max_term_width = 100)]
struct HeraldNode {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    node: Node,
}

fn main() -> ExitCode {
    let HeraldNode { options, node } = match HeraldNode::try_parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Printing the usage can only fail when nobody reads it.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let logs = tracing_subscriber::fmt().with_writer(std::io::stderr);
    let filter = EnvFilter::try_from_env("HERALD_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    logs.with_env_filter(filter).with_ansi(colours).init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return explain(&error, 1),
    };
    match runtime.block_on(until_signalled(node, &options)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => explain(&failure, failure.exit_code()),
        Err(error) => explain(&error, 1),
    }
}

async fn until_signalled(node: Node, options: &Options) -> std::io::Result<Result<(), command::Error>> {
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Nobody may be reading; the node serves all the same.
    let ready = |addresses| drop(writeln!(std::io::stdout(), "{}", command::ready(addresses)));
    let mut node = std::pin::pin!(node.execute(options, shutdown.clone(), ready));
    tokio::select! {
        ended = node.as_mut() => return Ok(ended),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
    Ok(node.await)
}

/// Says why, with every cause, and gives the exit code.
fn explain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // Without standard error there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {text}");
    ExitCode::from(code)
}
