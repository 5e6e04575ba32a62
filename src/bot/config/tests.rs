use std::path::{Path, PathBuf};

use super::{Bot, Finding, load};

/// The pages of the codes.
mod explain;
/// Findings of files with one or more mistakes.
mod findings;
/// The JSON Schema.
mod schema;
/// What a right file becomes.
mod valid;

/// A bot around `rest`, which starts in line 4.
fn bot_with(rest: &str) -> String {
    format!("herald: 1\nbot: test-bot\nidentity: file:key\n{rest}")
}

/// Loads a text as a file of the name `bot.yaml`, beside a key and `team.csv`.
fn load_text(text: impl AsRef<[u8]>) -> Result<(Bot, Vec<Finding>), Vec<Finding>> {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "a key").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(folder.path().join("team.csv"), "wallet,tier,name\n").unwrap();
    std::fs::write(folder.path().join("twice.csv"), "wallet,tier,tier\n").unwrap();
    let path = folder.path().join("bot.yaml");
    std::fs::write(&path, text).unwrap();
    load(&path)
}

#[track_caller]
fn valid(text: &str) -> Bot {
    match load_text(text) {
        Ok((bot, warnings)) => {
            assert!(warnings.is_empty(), "{}", shown(&warnings));
            bot
        }
        Err(found) => panic!("{}", shown(&found)),
    }
}

/// The findings as `line:column code message; hint`.
fn shown(found: &[Finding]) -> String {
    let lines: Vec<String> = found
        .iter()
        .map(|finding| {
            let hint = finding
                .hint
                .as_ref()
                .map(|hint| format!("; {hint}"))
                .unwrap_or_default();
            format!(
                "{}:{} {} {}{hint}",
                finding.line, finding.column, finding.code, finding.message
            )
        })
        .collect();
    lines.join("\n")
}

/// The findings of a text that is not a bot, or the warnings of one that is.
fn found(text: impl AsRef<[u8]>) -> String {
    match load_text(text) {
        Ok((_, warnings)) => shown(&warnings),
        Err(found) => shown(&found),
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bots").join(name)
}
