//! `exec:COMMAND`: a secret that a program prints, such as a password manager. It is run without a shell, and what it prints is
//! neither shown nor logged.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::str::FromStr;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Error, LARGEST_FILE};

/// How long a command may take: long enough for a password manager that asks its server.
const WITHIN: Duration = Duration::from_secs(30);

/// A command, and what it printed once it has run.
#[derive(Clone)]
pub struct Command {
    text: String,
    words: Vec<String>,
    secret: Arc<OnceLock<SecretString>>,
}

impl Command {
    /// The command as the file has it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Runs the command in a folder, unless it has run. A relative program stands in the search path or below the folder.
    pub(super) fn resolve(&self, base: &Path) -> Result<SecretString, Error> {
        if let Some(secret) = self.secret.get() {
            return Ok(secret.clone());
        }
        let secret = self.run(base, WITHIN)?;
        Ok(self.secret.get_or_init(|| secret).clone())
    }

    fn run(&self, base: &Path, within: Duration) -> Result<SecretString, Error> {
        let failed = |problem: String| Error::Command {
            command: self.text.clone(),
            problem,
        };
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| failed("is no command".to_owned()))?;
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What it says of itself may hold the secret, too.
            .stderr(Stdio::null());
        if !base.as_os_str().is_empty() {
            command.current_dir(base);
        }
        let child = command
            .spawn()
            .map_err(|error| failed(format!("cannot be run: {error}")))?;
        let text = output(child, within).map_err(failed)?;
        let secret = text.trim();
        if secret.is_empty() {
            return Err(failed("printed nothing".to_owned()));
        }
        // Of exactly its length, so that the box is made of it without a copy.
        Ok(SecretString::from(secret.to_owned()))
    }
}

/// What a program prints until it ends. One that takes too long, or prints too much, is killed.
fn output(mut child: Child, within: Duration) -> Result<Zeroizing<String>, String> {
    let until = Instant::now() + within;
    let stdout = child.stdout.take();
    let (sender, printed) = mpsc::sync_channel(1);
    // It ends when the program, or whoever has its output, does.
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(String::with_capacity(LARGEST_FILE + 64));
        let read = match stdout {
            Some(stdout) => stdout.take(LARGEST_FILE as u64 + 1).read_to_string(&mut text),
            None => Ok(0),
        };
        // Nobody waits for it any more when it comes too late.
        let _ = sender.send(read.map(|_| text));
    });
    let outcome = match printed.recv_timeout(within) {
        Ok(Ok(text)) if text.len() <= LARGEST_FILE => ended(&mut child, until).map(|()| text),
        Ok(Ok(_)) => Err("printed more than 64 KiB".to_owned()),
        Ok(Err(_)) => Err("printed something else than UTF-8".to_owned()),
        Err(_) => Err(too_long(within)),
    };
    if outcome.is_err() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let _ = child.wait();
    outcome
}

/// Waits for the end of a program that has said all it will say.
fn ended(child: &mut Child, until: Instant) -> Result<(), String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("failed: {status}")),
            Ok(None) if Instant::now() < until => std::thread::park_timeout(LOOK),
            Ok(None) => return Err(too_long(WITHIN)),
            Err(error) => return Err(format!("cannot be waited for: {error}")),
        }
    }
}

/// Between two looks at a program that is about to end.
const LOOK: Duration = Duration::from_millis(5);

fn too_long(within: Duration) -> String {
    format!("did not end within {} s", within.as_secs())
}

impl FromStr for Command {
    type Err = &'static str;

    /// Splits a command into words as a shell does: at white space, but not inside of quotes. Nothing else has a meaning.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in text.chars() {
            match (quote, c) {
                (_, '\0') => return Err("found a zero byte"),
                (Some(open), c) if c == open => quote = None,
                (None, '"' | '\'') => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (None, c) if c.is_whitespace() => words.extend(word.take()),
                (Some(_) | None, c) => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        if quote.is_some() {
            return Err("found a quote that is not closed");
        }
        if words.first().is_none_or(String::is_empty) {
            return Err("found none");
        }
        Ok(Self {
            text: text.trim().to_owned(),
            words,
            secret: Arc::default(),
        })
    }
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Command {}

impl Hash for Command {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn command(text: &str) -> Command {
        text.parse().unwrap()
    }

    fn problem(text: &str) -> String {
        let error = command(text).resolve(Path::new("")).unwrap_err();
        assert!(!error.is_missing());
        error.to_string()
    }

    #[test]
    fn a_command_is_split_at_spaces_outside_of_quotes_and_no_shell_sees_it() {
        let words = |text: &str| command(text).words;
        assert_eq!(words(" pass  show shop/key "), ["pass", "show", "shop/key"]);
        assert_eq!(
            words(r#"a "b c" 'd "e' f"g h"i '' \n"#),
            ["a", "b c", "d \"e", "fg hi", "", "\\n"]
        );
        let printed = command("echo $HOME `id` ; > x | y")
            .resolve(Path::new(""))
            .unwrap();
        assert_eq!(printed.expose_secret(), "$HOME `id` ; > x | y");
    }

    #[test]
    fn what_a_command_prints_is_the_secret_without_the_space_around_it_and_it_runs_once() {
        let folder = tempfile::tempdir().unwrap();
        let reference = command("sh -c 'echo x >> runs; echo; echo \" hunter2 \"'");
        for _ in 0..2 {
            let secret = reference.clone().resolve(folder.path()).unwrap();
            assert_eq!(secret.expose_secret(), "hunter2");
        }
        assert_eq!(
            std::fs::read_to_string(folder.path().join("runs")).unwrap(),
            "x\n"
        );
        assert!(!format!("{reference:?}").contains("hunter2\n"));
    }

    #[test]
    fn a_command_that_gives_no_secret_is_told_without_what_it_printed() {
        assert_eq!(
            problem("sh -c 'echo x$((7*6)); echo x$((7*6)) >&2; exit 3'"),
            "`sh -c 'echo x$((7*6)); echo x$((7*6)) >&2; exit 3'` failed: exit status: 3"
        );
        assert_eq!(problem("true"), "`true` printed nothing");
        assert!(problem("no-such-program-of-herald x").contains("cannot be run"));
        assert_eq!(
            problem("head -c 70000 /dev/zero"),
            "`head -c 70000 /dev/zero` printed more than 64 KiB"
        );
        assert!(problem("printf '\\377'").ends_with("something else than UTF-8"));
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let start = Instant::now();
        let error = command("sleep 60")
            .run(Path::new(""), Duration::from_millis(200))
            .unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
