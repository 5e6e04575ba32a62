//! A private `PostgreSQL` server for tests and benchmarks: real, on a socket in a folder of its own, and gone with the process
//! that started it, however that ends. It needs Debian's package `postgresql`, which `tests/run` installs.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "without its server a test cannot go on"
)]

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// One running server.
#[derive(Debug)]
pub struct Cluster {
    /// Ends the server when its standard input does.
    keeper: Child,
    binaries: PathBuf,
    folder: PathBuf,
    databases: AtomicU32,
}

impl Cluster {
    /// The server that all tests of a process share; each takes a database of its own.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(&env::temp_dir(), &[]));
        &SHARED
    }

    /// Starts a server in a new folder of `parent`, with settings like `fsync = on`.
    ///
    /// # Panics
    /// When there is none to start, or it does not.
    pub fn start(parent: &Path, settings: &[&str]) -> Self {
        let binaries = binaries();
        let mut keeper = as_postgres("sh")
            .arg("-c")
            .arg(include_str!("../keeper.sh"))
            .arg("keeper.sh")
            .args([&binaries, parent])
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .expect("the keeper's word");
        assert!(!line.is_empty(), "PostgreSQL did not start, see above");
        Self {
            keeper,
            binaries,
            folder: PathBuf::from(line.trim()),
            databases: AtomicU32::new(0),
        }
    }

    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run(
            "createdb",
            &["--username", "postgres", &name, "--host"],
            &[&self.folder],
        );
        format!(
            "postgres://postgres@{}/{name}",
            self.folder.display().to_string().replace('/', "%2F")
        )
    }

    /// Stops the server as a power cut would, and starts it again.
    pub fn crash_and_restart(&self) {
        self.control("stop", &["--mode", "immediate"]);
        self.control("start", &["--wait"]);
    }

    /// Stops the server; connections are cut.
    pub fn stop(&self) {
        self.control("stop", &["--mode", "fast"]);
    }

    /// Starts the server again.
    pub fn start_again(&self) {
        self.control("start", &["--wait"]);
    }

    fn control(&self, verb: &str, arguments: &[&str]) {
        let log = self.folder.join("log");
        let mut all = vec![verb, "--silent"];
        all.extend(arguments);
        let data = self.folder.join("data");
        if verb == "start" {
            all.push("--log");
            self.run("pg_ctl", &all, &[&log, Path::new("--pgdata"), &data]);
        } else {
            all.push("--pgdata");
            self.run("pg_ctl", &all, &[&data]);
        }
    }

    fn run(&self, program: &str, arguments: &[&str], paths: &[&Path]) {
        let ended = as_postgres(self.binaries.join(program))
            .args(arguments)
            .args(paths)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect(program);
        assert!(ended.success(), "{program} {arguments:?} ended with {ended}");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It stops the server and removes its folder.
        let _ = self.keeper.wait();
    }
}

/// The newest that Debian has installed.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let with_server = versions
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("initdb").exists());
    let number = |folder: &PathBuf| {
        let version = folder.parent().and_then(Path::file_name)?.to_str()?;
        version.parse::<u32>().ok()
    };
    with_server.max_by_key(number).unwrap_or_else(|| {
        panic!("no PostgreSQL: install Debian's package `postgresql`, as `tests/run` does")
    })
}

/// The server refuses to run as root.
fn as_postgres(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let mut command = if is_root {
        let mut command = Command::new("runuser");
        command.args(["--user", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // Not every folder of the caller may be entered by that user.
    command.current_dir("/");
    command
}
