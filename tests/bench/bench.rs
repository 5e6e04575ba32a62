//! herald's speed, each figure as a ratio to a floor measured in the same run.
//!
//! ```text
//! cargo bench --bench bench -- [NAME…] [--json]
//! ```
//!
//! Subject and floor take turns in many short rounds, and the ratio is the median of the rounds' ratios: whatever else
//! the machine does slows both down alike.

use std::{
    env,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

mod accept;
mod bare_database;
mod bare_store;
mod bots;
mod broadcast;
mod chain;
mod commands;
mod curve;
mod empty_node;
mod engine;
mod fan_out;
mod figure;
mod first;
mod idle;
mod inbox;
mod javascript;
mod language;
mod list;
mod load;
mod message;
mod node;
mod page;
mod people;
mod plan;
mod process;
mod publish;
mod readers;
mod scan;
mod slow;
mod token;
mod topics;
mod watch;

use engine::Engine;
use figure::Figure;

/// Whatever keeps a figure from being measured.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// A figure by name, and how it is measured. The path is a folder on a real disk.
type Known = (&'static str, fn(&Path) -> Result<Figure, Error>);

const FIGURES: [Known; 36] = [
    ("seal", message::seal),
    ("open", message::open),
    ("first-message", first::message),
    ("list-cold", list::cold),
    ("list-warm", list::warm),
    ("list-memory", list::memory),
    ("check", language::check),
    ("render", language::render),
    ("broadcast-known", broadcast::known),
    ("commands", commands::answered),
    ("commands-memory", commands::memory),
    ("watch", watch::reading),
    ("plan-rate", plan::rate),
    ("plan-memory", plan::memory),
    ("scan-logs", scan::logs),
    ("scan-memory", scan::memory),
    ("bots-start", bots::start),
    ("bots-memory", bots::memory),
    ("js-sends", javascript::sends),
    ("js-first-messages", javascript::first_messages),
    ("node-publish", |folder| {
        publish::node_publish(Engine::Sqlite, folder)
    }),
    ("node-publish-batched", |folder| {
        publish::node_publish_batched(Engine::Sqlite, folder)
    }),
    ("node-topics", |folder| {
        topics::node_topics(Engine::Sqlite, folder)
    }),
    ("node-page", |folder| page::node_page(Engine::Sqlite, folder)),
    ("node-token", token::node_token),
    ("node-fan-out", |folder| {
        fan_out::node_fan_out(Engine::Sqlite, folder)
    }),
    ("node-idle-streams-100", idle::on_100_connections),
    ("node-idle-streams-10000", idle::on_10_000_connections),
    ("node-accept", accept::beside_idle_streams),
    ("node-slow-reader", slow::latency),
    ("node-slow-reader-memory", slow::memory),
    ("postgres-publish", |folder| {
        publish::node_publish(Engine::Postgres, folder)
    }),
    ("postgres-publish-batched", |folder| {
        publish::node_publish_batched(Engine::Postgres, folder)
    }),
    ("postgres-topics", |folder| {
        topics::node_topics(Engine::Postgres, folder)
    }),
    ("postgres-page", |folder| {
        page::node_page(Engine::Postgres, folder)
    }),
    ("postgres-fan-out", |folder| {
        fan_out::node_fan_out(Engine::Postgres, folder)
    }),
];

fn main() -> ExitCode {
    // `cargo test --all-targets` starts this program, too, unoptimised.
    let arguments: Vec<String> = env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return say(
            "bench: nothing measured; figures come from `tests/bench/run`",
            ExitCode::SUCCESS,
        );
    }
    if let [_, "--as", part @ ..] = arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        return match process::run(part) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => say(&format!("error: {error}"), ExitCode::FAILURE),
        };
    }
    let (chosen, json) = match choose(&arguments) {
        Ok(chosen) => chosen,
        Err(problem) => return say(&problem, ExitCode::from(2)),
    };
    for (name, measure) in chosen {
        let line = in_scratch_folder(measure).map(|figure| {
            if json {
                figure.to_json(name)
            } else {
                figure.to_line(name)
            }
        });
        let written = line.and_then(|line| Ok(writeln!(io::stdout(), "{line}")?));
        if let Err(error) = written {
            return say(
                &format!("error: `{name}` could not be measured: {error}"),
                ExitCode::FAILURE,
            );
        }
    }
    ExitCode::SUCCESS
}

/// The figures asked for, in the order of [`FIGURES`], and whether as JSON.
fn choose(arguments: &[String]) -> Result<(Vec<Known>, bool), String> {
    let (mut names, mut json) = (Vec::new(), false);
    for argument in arguments {
        match argument.as_str() {
            "--bench" => {}
            "--json" => json = true,
            name if FIGURES.iter().any(|(known, _)| *known == name) => names.push(name),
            other => {
                let known: Vec<_> = FIGURES.iter().map(|(name, _)| format!("`{name}`")).collect();
                let usage = "usage: tests/bench/run [NAME…] [--json]";
                return Err(format!(
                    "error: unknown argument `{other}`, wanted {}\n\n{usage}",
                    known.join(", ")
                ));
            }
        }
    }
    let is_chosen = |(name, _): &Known| names.is_empty() || names.contains(name);
    Ok((FIGURES.into_iter().filter(is_chosen).collect(), json))
}

/// Stores under `target/`: a temporary folder of the system may be in memory, where syncing costs nothing.
fn in_scratch_folder(measure: fn(&Path) -> Result<Figure, Error>) -> Result<Figure, Error> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    measure(folder.path())
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    // Nobody is left to be told when this fails.
    let _ = writeln!(io::stderr(), "{text}");
    code
}
