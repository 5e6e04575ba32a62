//! The real program as a child process: its lines as they come, its signals, its end.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
    time::Duration,
};

use serde_json::Value;
use tokio::sync::watch;

/// How long anything may take before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Lines of a program that a failed test shows.
const SHOWN: usize = 12;

/// A running `herald`. It is killed when dropped.
pub(crate) struct Program {
    name: String,
    child: Child,
    lines: watch::Receiver<Vec<Value>>,
    talk: watch::Receiver<String>,
    readers: Vec<JoinHandle<()>>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) talk: String,
}

impl Ended {
    /// The only line of the output, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let lines = self.json_lines();
        assert_eq!(lines.len(), 1, "one line is expected: {self:?}");
        lines.into_iter().next().unwrap()
    }

    /// Every line of the output, as JSON.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
        self.out.lines().map(parse).collect()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

/// `herald` with arguments, in a folder, with these variables and none that a developer's shell may have.
pub(crate) fn herald<'a>(
    folder: &Path,
    arguments: impl IntoIterator<Item = &'a str>,
    environment: &[(String, String)],
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command.args(arguments).current_dir(folder);
    command.env_remove("HERALD_LOG").env_remove("NO_COLOR");
    command.env("XDG_RUNTIME_DIR", env!("CARGO_TARGET_TMPDIR"));
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs a command to its end, with `input` on stdin.
pub(crate) async fn finish(mut command: Command, input: &str) -> Ended {
    let input = input.to_owned();
    let pipes = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let pid = child.id();
    let mut ended = tokio::task::spawn_blocking(move || {
        // A program that does not read its input is free to go.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
        child.wait_with_output().unwrap()
    });
    let Ok(ended) = tokio::time::timeout(DEADLINE, &mut ended).await else {
        signal(pid, "KILL");
        panic!("{command:?} does not end: {:?}", ended.await);
    };
    let ended = ended.unwrap();
    Ended {
        code: ended.status.code(),
        out: String::from_utf8(ended.stdout).unwrap(),
        talk: String::from_utf8(ended.stderr).unwrap(),
    }
}

fn signal(pid: u32, name: &str) {
    let kill = format!("kill -{name} {pid}");
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

impl Program {
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let pipes = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = watch::channel(Vec::new());
        let (said, talk) = watch::channel(String::new());
        let readers = vec![
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                    sender.send_modify(|lines| lines.push(line));
                }
            }),
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = err.read(&mut bytes) {
                    said.send_modify(|talk| talk.push_str(&String::from_utf8_lossy(&bytes[..read])));
                }
            }),
        ];
        Self {
            name: name.to_owned(),
            child,
            lines,
            talk,
            readers,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.borrow().clone()
    }

    /// The events of a kind so far.
    pub(crate) fn events(&self, kind: &str) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["event"] == kind);
        lines
    }

    /// What it said on stderr so far.
    pub(crate) fn talk(&self) -> String {
        self.talk.borrow().clone()
    }

    /// Waits until it has said something on stderr, which is read beside the lines and may come after them.
    pub(crate) async fn says(&self, text: &str) {
        let mut talk = self.talk.clone();
        let said = tokio::time::timeout(DEADLINE, talk.wait_for(|talk| talk.contains(text))).await;
        assert!(matches!(said, Ok(Ok(_))), "it does not say `{text}`\n{self}");
    }

    /// Waits until `enough` is true of the lines. Gives up at the deadline or when the program has ended.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Value]) -> bool) {
        let mut lines = self.lines.clone();
        let waited = tokio::time::timeout(DEADLINE, lines.wait_for(|lines| enough(lines))).await;
        let why = match waited {
            Ok(Ok(_)) => return,
            Ok(Err(_)) => "it ended",
            Err(_) => "the deadline passed",
        };
        panic!("{}: {why} before {what}\n{self}", self.name);
    }

    /// Waits for an event that fits and gives it.
    pub(crate) async fn event(&self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let fits = |line: &Value| line["event"] == kind && fits(line);
        self.until(kind, |lines| lines.iter().any(fits)).await;
        self.lines().into_iter().find(fits).unwrap()
    }

    /// Waits until there are `count` events of the kind.
    pub(crate) async fn count(&self, kind: &str, count: usize) {
        let what = format!("{count} times {kind}");
        let of_kind = |lines: &[Value]| lines.iter().filter(|line| line["event"] == kind).count();
        self.until(&what, |lines| of_kind(lines) >= count).await;
    }

    /// Ends it as a power cut would: SIGKILL, nothing is cleaned up.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut lines = self.lines.clone();
        let open = async { while lines.changed().await.is_ok() {} };
        let waited = tokio::time::timeout(DEADLINE, open).await;
        assert!(waited.is_ok(), "it does not end\n{self}");
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        status
    }

    /// Ends it as an operator would, and wants it to end well.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{self}");
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = self.lines.borrow();
        writeln!(f, "--- {}, its last lines", self.name)?;
        for line in lines.iter().skip(lines.len().saturating_sub(SHOWN)) {
            writeln!(f, "{line}")?;
        }
        let talk = self.talk();
        let talk: Vec<&str> = talk.lines().collect();
        writeln!(f, "--- its talk")?;
        for line in talk.iter().skip(talk.len().saturating_sub(SHOWN)) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.readers.is_empty() {
            eprintln!("{self}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
