//! Compares the content types byte for byte with what the codecs of `@xmtp/xmtp-js` 13.0.4 made and accepted.
//!
//! The protocol's own vectors are checked by the tests of `herald-protocol`; this is the part that needs content: `content_types`,
//! and of `negative` the remote attachments. Reads the folder in `HERALD_VECTORS`, else the one of `herald-protocol`. Cases are told
//! apart by the shape of their inputs, never by name, and a field that nobody looked at fails its case.

#[path = "../../protocol/tests/vectors/case.rs"]
#[allow(dead_code, reason = "shared with the protocol's vectors, which look at more")]
mod case;
mod content_types;
mod remote_attachments;
mod values;

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use case::{Case, Checked};
use serde_json::Value;

/// Checks a case; nothing for one that is another test's.
type Check = fn(&Case<'_>) -> Option<Checked>;

const FILES: [(&str, Check); 2] = [
    ("content_types", |case| Some(content_types::check(case))),
    ("negative", remote_attachments::check),
];

fn main() -> ExitCode {
    let given = env::var_os("HERALD_VECTORS").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/testdata/vectors");
    let folder = given.as_ref().unwrap_or(&own);
    let mut report = format!("vectors of {}\n", folder.display());
    let (mut good, mut present) = (true, 0);
    for (name, check) in FILES {
        let path = folder.join(name).with_extension("json");
        // In a folder from elsewhere a file may be absent, as long as it has some.
        if given.is_some() && !path.exists() {
            let _ = writeln!(report, "{name} absent");
            continue;
        }
        present += 1;
        let failures = match check_file(&path, check) {
            Ok((passed, failures)) => {
                let _ = writeln!(report, "{name} {passed}/{}", passed + failures.len());
                good &= passed > 0;
                failures
            }
            Err(problem) => vec![problem],
        };
        for failure in &failures {
            let _ = writeln!(report, "  FAILED {name}: {failure}");
        }
        good &= failures.is_empty();
    }
    match io::stdout().write_all(report.as_bytes()) {
        Ok(()) if good && present > 0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// How many cases passed, and what is wrong with the others.
fn check_file(path: &Path, check: Check) -> Result<(usize, Vec<String>), String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let cases = file
        .get("cases")
        .and_then(Value::as_array)
        .ok_or("`cases` is missing")?;
    let (mut passed, mut failures) = (0, Vec::new());
    for value in cases {
        let case = Case::new(value)?;
        let Some(checked) = check(&case) else { continue };
        match checked.and_then(|()| case.all_seen()) {
            Ok(()) => passed += 1,
            Err(problem) => failures.push(format!("`{}`: {problem}", case.name())),
        }
    }
    Ok((passed, failures))
}
