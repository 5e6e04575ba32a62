//! Compares this crate byte for byte with what `@xmtp/xmtp-js` 13.0.4 made and accepted.
//!
//! Reads the folder in `HERALD_VECTORS`, else `testdata/vectors`. Prints one line per file and every failing case. Cases
//! are told apart by the shape of their inputs, never by name, and a field that nobody looked at fails its case.

mod auth_tokens;
mod case;
mod consent_proof;
mod contacts;
mod content;
mod enable_identity;
mod encryption;
mod hmac_keys;
mod identity;
mod invitations;
mod messages_v1;
mod messages_v2;
mod negative;
mod people;
mod private_preferences;
mod topics;
mod x3dh;

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use case::{Case, Checked};
use people::People;
use serde_json::Value;

type Check = fn(&Case<'_>, &People) -> Checked;

const FILES: [(&str, Check); 14] = [
    ("identity", identity::check),
    ("enable_identity", enable_identity::check),
    ("contacts", contacts::check),
    ("topics", topics::check),
    ("encryption", encryption::check),
    ("x3dh", x3dh::check),
    ("invitations", invitations::check),
    ("messages_v1", messages_v1::check),
    ("messages_v2", messages_v2::check),
    ("private_preferences", private_preferences::check),
    ("consent_proof", consent_proof::check),
    ("auth_tokens", auth_tokens::check),
    ("hmac_keys", hmac_keys::check),
    ("negative", negative::check),
];

fn main() -> ExitCode {
    let (report, good) = match env::var_os("HERALD_VECTORS").map(PathBuf::from) {
        Some(folder) => run(&folder, Absent::Told),
        None => run(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/vectors"),
            Absent::Fails,
        ),
    };
    match io::stdout().write_all(report.as_bytes()) {
        Ok(()) if good => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// What a missing file means: nothing bad in a folder from elsewhere, as long as it has some.
#[derive(Clone, Copy, PartialEq)]
enum Absent {
    Fails,
    Told,
}

/// Checks every covered file of the folder; the report names the files and the failing cases.
fn run(folder: &Path, absent: Absent) -> (String, bool) {
    let mut report = format!("vectors of {}\n", folder.display());
    let is_absent = |name: &str| absent == Absent::Told && !path_of(folder, name).exists();
    let (missing, present): (Vec<_>, Vec<_>) = FILES.into_iter().partition(|(name, _)| is_absent(name));
    for (name, _) in &missing {
        let _ = writeln!(report, "{name} absent");
    }
    let files: Vec<(&str, Check, Result<Value, String>)> = present
        .into_iter()
        .map(|(name, check)| (name, check, read(folder, name)))
        .collect();
    let people = People::of(files.iter().filter_map(|(.., file)| file.as_ref().ok()));
    let mut good = !files.is_empty();
    for (name, check, file) in &files {
        let outcome = file
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|file| check_file(file, *check, &people));
        match outcome {
            Ok(File {
                passed,
                total,
                elsewhere,
                failures,
            }) => {
                let elsewhere = if elsewhere == 0 {
                    String::new()
                } else {
                    format!(" ({elsewhere} of content types, in the client's test)")
                };
                let _ = writeln!(report, "{name} {passed}/{total}{elsewhere}");
                for failure in &failures {
                    let _ = writeln!(report, "  FAILED {name}: {failure}");
                }
                good &= failures.is_empty() && total > 0;
            }
            Err(problem) => {
                let _ = writeln!(report, "  FAILED {name}: {problem}");
                good = false;
            }
        }
    }
    (report, good)
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("json")
}

fn read(folder: &Path, name: &str) -> Result<Value, String> {
    let path = path_of(folder, name);
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

struct File {
    passed: usize,
    total: usize,
    elsewhere: usize,
    failures: Vec<String>,
}

fn check_file(file: &Value, check: Check, people: &People) -> Result<File, String> {
    let cases = file
        .get("cases")
        .and_then(Value::as_array)
        .ok_or("`cases` is missing")?;
    let mut result = File {
        passed: 0,
        total: 0,
        elsewhere: 0,
        failures: Vec::new(),
    };
    for value in cases {
        let case = Case::new(value)?;
        if case
            .operation()
            .is_some_and(|operation| negative::OF_CONTENT_TYPES.contains(&operation))
        {
            result.elsewhere += 1;
            continue;
        }
        result.total += 1;
        match check(&case, people).and_then(|()| case.all_seen()) {
            Ok(()) => result.passed += 1,
            Err(problem) => result.failures.push(format!("`{}`: {problem}", case.name())),
        }
    }
    Ok(result)
}
