//! Checks of the machine: data folder, store, ports, limits, clock, and the herald that runs.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rustix::{
    fs::Access,
    process::{Resource, getrlimit},
};

use super::Check;
use crate::{
    bot::{probe::Probe, store},
    network::Embedded,
};

/// The data folder: who may read it, whether it can be written, and how much room there is.
pub(super) fn data(folder: &Path) -> Vec<Check> {
    let shown = folder.display();
    let Ok(metadata) = std::fs::metadata(folder) else {
        let told = "it is not there yet; `herald run` makes it";
        return vec![Check::skipped("data", &shown, told)];
    };
    if !metadata.is_dir() {
        let fix = "move the file away, or name another folder with --data";
        return vec![Check::failed("data", &shown, "it is no folder", fix)];
    }
    let mode = metadata.permissions().mode() & 0o7777;
    let writable = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK);
    let own = match writable {
        _ if mode & 0o077 != 0 => Check::failed(
            "data",
            &&shown,
            format!("others can look into it (mode {mode:04o})"),
            format!("run `chmod 700 {shown}`"),
        ),
        Err(error) => Check::failed(
            "data",
            &&shown,
            format!("it cannot be written: {error}"),
            "run herald as the user who owns it",
        ),
        Ok(()) => Check::ok("data", &&shown, format!("mode {mode:04o}, can be written")),
    };
    let mut checks = vec![own];
    checks.extend(open_to_others(folder));
    checks.push(room(folder));
    checks
}

/// Files of secrets that others can read.
fn open_to_others(folder: &Path) -> Option<Check> {
    let keys = std::fs::read_dir(folder.join("keys"))
        .into_iter()
        .flatten()
        .flatten();
    let files = keys.map(|entry| entry.path()).chain([folder.join("api.token")]);
    let open: Vec<PathBuf> = files
        .filter(|file| {
            let metadata = std::fs::metadata(file);
            metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o077 != 0)
        })
        .collect();
    let first = open.first()?;
    let told = format!("others can read {}", first.display());
    let names: Vec<String> = open.iter().map(|file| file.display().to_string()).collect();
    let fix = format!("run `chmod 600 {}`", names.join(" "));
    Some(Check::failed("data", &folder.display(), told, fix))
}

fn room(folder: &Path) -> Check {
    let shown = folder.display();
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let told = format!("{} MiB are free", free >> 20);
            if free < LEAST_ROOM {
                let fix = "make room: herald stops when the disk is full";
                return Check::failed("disk", &shown, told, fix);
            }
            Check::ok("disk", &shown, told)
        }
        Err(error) => Check::skipped("disk", &shown, error.to_string()),
    }
}

/// The store of the bots.
pub(super) fn store(path: &Path, owner: Option<&str>) -> Check {
    let shown = path.display();
    if !path.exists() {
        return Check::skipped("store", &shown, "it is not there yet; `herald run` makes it");
    }
    let held = owner.map_or_else(String::new, |pid| {
        format!(", in use by the running herald (pid {pid})")
    });
    let newest = store::newest_version();
    match store::version(path) {
        Ok(version) if version > newest => Check::failed(
            "store",
            &shown,
            format!("it is of version {version}, and this herald knows {newest}"),
            "run the newer herald, or restore a backup",
        ),
        Ok(version) if version < newest => Check::ok(
            "store",
            &shown,
            format!("version {version}; the next start brings it to {newest}{held}"),
        ),
        Ok(version) => Check::ok("store", &shown, format!("version {version}{held}")),
        Err(error) => Check::failed(
            "store",
            &shown,
            format!("it cannot be read: {error}"),
            "put the copy of a `herald backup` in its place",
        ),
    }
}

/// How many files and connections the process may have open.
pub(super) fn open_files() -> Check {
    let limit = getrlimit(Resource::Nofile).current;
    let told = limit.map_or_else(
        || "no limit".to_owned(),
        |limit| format!("at most {limit} are open at once"),
    );
    if limit.is_some_and(|limit| limit < LEAST_FILES) {
        let fix = format!("run `ulimit -n {LEAST_FILES}` before herald, or set LimitNOFILE in its unit");
        return Check::failed("files", &"", told, fix);
    }
    Check::ok("files", &"", told)
}

/// A port that `herald run` takes: free, or in the hands of the herald that runs. It is held for no longer than the look takes.
pub(super) async fn port(what: &'static str, address: &str, owner: Option<&str>) -> Check {
    let subject = format!("{what} {address}");
    match Embedded::listen(address).await {
        Ok(_) => Check::ok("port", &subject, "free"),
        Err(error) => {
            let told = format!("{error:#}");
            let ours = owner.map(|pid| format!("process {pid} "));
            if ours.is_some_and(|ours| told.contains(&ours)) {
                return Check::ok("port", &subject, "in use by the running herald");
            }
            // A busy one says by whom, and what to do.
            let (found, fix) = told.split_once("; ").unwrap_or((&told, "choose another address"));
            Check::failed("port", &subject, found, fix)
        }
    }
}

/// Whether the API of the running herald takes the token of the data folder.
pub(super) async fn api(data: &Path, owner: Option<&str>, probe: &Probe) -> Check {
    if owner.is_none() {
        let told = format!("no herald runs on {}", data.display());
        return Check::skipped("api", &"", told);
    }
    let read = |file| std::fs::read_to_string(data.join(file));
    let (address, token) = match (read("api.address"), read("api.token")) {
        (Ok(address), Ok(token)) => (address.trim().to_owned(), token.trim().to_owned()),
        (Err(error), _) | (_, Err(error)) => {
            let fix = "ask as the user who started herald";
            return Check::failed("api", &"", format!("its address or token: {error}"), fix);
        }
    };
    let begun = Instant::now();
    let asked = probe
        .operators()
        .get(format!("http://{address}/v1/status"))
        .bearer_auth(token)
        .timeout(WITHIN)
        .send()
        .await;
    let took = begun.elapsed().as_millis();
    match asked {
        Ok(answer) if answer.status().is_success() => Check::ok(
            "api",
            &address,
            format!("answers in {took} ms and takes the token"),
        ),
        Ok(answer) => Check::failed(
            "api",
            &address,
            format!("answers with status {}", answer.status().as_u16()),
            "restart herald when api.token is another than the one it started with",
        ),
        Err(error) => Check::failed(
            "api",
            &address,
            error.without_url().to_string(),
            "herald runs and does not answer; its log says more",
        ),
    }
}

/// The machine's clock: beside that of a node, or where none told, beside the newest file that this machine has written.
pub(super) fn clock(now: DateTime<Utc>, node: Option<(String, DateTime<Utc>)>, data: &Path) -> Check {
    let fix = "set the clock, for example with `timedatectl set-ntp true`";
    if let Some((name, date)) = node {
        let off = (now - date).num_seconds().abs();
        let told = format!("{off} s from that of {name}");
        if off > MOST_SECONDS_OFF {
            return Check::failed("clock", &"", told, fix);
        }
        return Check::ok("clock", &"", told);
    }
    let files = [data.join("herald.db"), data.join("api.address")];
    let written = std::env::current_exe()
        .into_iter()
        .chain(files)
        .filter_map(|file| Some((std::fs::metadata(&file).ok()?.modified().ok()?, file)))
        .max();
    match written {
        Some((time, file)) if DateTime::<Utc>::from(time) > now + ROUNDED => {
            let told = format!("it is earlier than the last change of {}", file.display());
            Check::failed("clock", &"", told, fix)
        }
        Some((_, file)) => {
            let told = format!(
                "no node told the time; it is later than the last change of {}",
                file.display()
            );
            Check::ok("clock", &"", told)
        }
        None => Check::skipped("clock", &"", "no node told the time"),
    }
}

/// Room below which the disk is as good as full: a burst of messages fills it.
const LEAST_ROOM: u64 = 256 << 20;
/// Files and connections that bots of a small project need.
const LEAST_FILES: u64 = 1_024;
/// How far clocks may be apart. Nodes bear two minutes; people notice earlier.
const MOST_SECONDS_OFF: i64 = 30;
/// File systems round the time of a change.
const ROUNDED: chrono::TimeDelta = chrono::TimeDelta::seconds(2);
/// How long the API may take.
const WITHIN: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::{DateTime, Path, Utc, clock};
    use crate::cli::doctor::State;

    #[test]
    fn a_clock_is_held_to_that_of_the_node_and_else_to_what_was_written() {
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        let beside = |seconds: i64| {
            let node = ("n".to_owned(), now + chrono::TimeDelta::seconds(seconds));
            clock(now, Some(node), Path::new("absent")).state
        };
        for (seconds, state) in [
            (0, State::Ok),
            (30, State::Ok),
            (-30, State::Ok),
            (31, State::Failed),
            (-31, State::Failed),
        ] {
            assert_eq!(beside(seconds), state, "{seconds} s");
        }
        let year = |year: &str| format!("{year}-01-01T00:00:00Z").parse().unwrap();
        assert_eq!(
            clock(year("2010"), None, Path::new("absent")).state,
            State::Failed
        );
        assert_eq!(clock(year("2110"), None, Path::new("absent")).state, State::Ok);
    }
}
