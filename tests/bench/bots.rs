//! What a thousand bots in one `herald run` cost, each with a wallet of its own whose keys and contact are on the built-in node
//! already: the seconds until all are ready, and the memory that the process holds then. In the floor's place what they may cost.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::{
    Error,
    figure::{Figure, Round, Target},
    node::runtime,
    process::settled_kib,
};

/// Seconds until all bots are ready.
pub(crate) fn start(folder: &Path) -> Result<Figure, Error> {
    let rounds = rounds(folder, |bots| {
        Ok(Round {
            subject: bots.took.as_secs_f64(),
            floor: 2.0,
        })
    })?;
    Ok(Figure::of_rounds("s", &rounds, Target::AtMost(1.0)))
}

/// MiB that the process holds when all bots are ready.
pub(crate) fn memory(folder: &Path) -> Result<Figure, Error> {
    let rounds = rounds(folder, |bots| {
        let kib = runtime("wait")?.block_on(settled_kib(&bots.child.id().to_string()))?;
        Ok(Round {
            subject: f64::from(kib) / 1024.0,
            floor: 300.0,
        })
    })?;
    Ok(Figure::of_rounds("MiB", &rounds, Target::AtMost(1.0)))
}

/// The first start makes the keys; the others are measured.
fn rounds(folder: &Path, measure: impl Fn(&Running) -> Result<Round, Error>) -> Result<Vec<Round>, Error> {
    let bots = folder.join("bots");
    fs::create_dir(&bots)?;
    for number in 0..BOTS {
        fs::write(bots.join(format!("b{number}.yaml")), text(number))?;
    }
    Running::start(folder)?.stop()?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let running = Running::start(folder)?;
        rounds.push(measure(&running)?);
        running.stop()?;
    }
    Ok(rounds)
}

fn text(number: usize) -> String {
    format!(
        "herald: 1
bot: b{number}
identity: env:KEY_{number}
rules:
  note:
    when: {{ manual: true }}
    to: {{ wallet: body.wallet }}
    consent: transactional
    send: \"{{{{ body.text }}}}\"
commands:
  /ping: {{ reply: pong }}
"
    )
}

/// `herald run` whose bots are all ready. It is killed when dropped.
struct Running {
    child: Child,
    took: Duration,
}

impl Running {
    fn start(folder: &Path) -> Result<Self, Error> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
        command.current_dir(folder).args(["run", "--json", "bots"]);
        for port in ["--http", "--grpc", "--metrics", "--api"] {
            command.args([port, "127.0.0.1:0"]);
        }
        for number in 0..BOTS {
            let key = Sha256::digest(format!("bench bot {number}"));
            command.env(format!("KEY_{number}"), const_hex::encode(key));
        }
        let began = Instant::now();
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut running = Self {
            child,
            took: Duration::ZERO,
        };
        let output = running.child.stdout.as_mut().ok_or("an output")?;
        let mut ready = 0;
        for line in BufReader::new(output).lines() {
            let event: serde_json::Value = serde_json::from_str(&line?)?;
            ready += usize::from(event["event"] == "ready");
            if ready == BOTS {
                running.took = began.elapsed();
                return Ok(running);
            }
        }
        Err(format!("herald ended when {ready} bots were ready").into())
    }

    /// Ends it as an operator does.
    fn stop(mut self) -> Result<(), Error> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        match self.child.wait()? {
            status if status.success() => Ok(()),
            status => Err(format!("herald ended with {status}").into()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BOTS: usize = 1_000;
const ROUNDS: usize = 3;
