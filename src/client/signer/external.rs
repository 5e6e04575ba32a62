//! A program that signs: an HSM's tool, a hardware wallet's, a script that asks a phone.

use std::{ffi::OsString, fmt, path::PathBuf, process::Stdio, time::Duration};

use futures::future::BoxFuture;
use herald_protocol::address::Address;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
};
use zeroize::Zeroizing;

use super::{Error, Signer, verify};

/// How long a program may take unless another limit is set: long enough to find a device and press its button.
pub const TIME_LIMIT: Duration = Duration::from_mins(2);

/// A signature is 132 characters; the rest is room for white space.
const LONGEST_ANSWER: u64 = 256;
/// What is read of a program's complaint.
const LONGEST_COMPLAINT: u64 = 4_096;
/// What is told of a program's complaint, in characters.
const SHOWN: usize = 200;

/// Signs by a program.
///
/// **Shape**: the program gets the text on stdin (UTF-8, no line end added) and prints R, S, v as `0x` and 130 hex digits on
/// stdout, then exits with 0. Any other exit is a refusal, told with the first line of stderr. It is started without a shell
/// and inherits the environment; one that is not done within [`TIME_LIMIT`], or that nobody waits for any more, is killed.
///
/// A new wallet's program is asked three times: the third question repeats the second, because a signer whose answers differ
/// would lock the wallet out of its own keys at the next start, when nothing can be done about it any more.
#[derive(Clone)]
pub struct ExternalSigner {
    address: Address,
    program: PathBuf,
    args: Vec<OsString>,
    limit: Duration,
}

impl ExternalSigner {
    /// Signs for a wallet by a program: a path, or a name that is looked for in `PATH`.
    pub fn new(
        address: Address,
        program: impl Into<PathBuf>,
        args: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        Self {
            address,
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            limit: TIME_LIMIT,
        }
    }

    /// Gives the program another time for each signature.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }

    fn signer(&self) -> String {
        format!("the signer `{}`", self.name())
    }

    async fn ask(&self, text: &str) -> Result<Zeroizing<[u8; 65]>, Error> {
        let child = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let child = child.map_err(|source| Error::Start {
            program: self.name(),
            source,
        })?;
        let answered = tokio::time::timeout(self.limit, converse(child, text)).await;
        let timed_out = |_| Error::TimedOut {
            signer: self.signer(),
            limit: self.limit,
        };
        let answer = answered.map_err(timed_out)?.map_err(|error| Error::Refused {
            signer: self.signer(),
            reason: error.to_string(),
        })?;
        // Whoever says too much is cut off, and then exits with an error of that.
        if !answer.status.success() && answer.out.len() as u64 <= LONGEST_ANSWER {
            return Err(Error::Refused {
                signer: self.signer(),
                reason: answer.reason(),
            });
        }
        let signature = self.read(&answer.out)?;
        verify(self.address, text, &signature)?;
        Ok(signature)
    }

    fn read(&self, out: &[u8]) -> Result<Zeroizing<[u8; 65]>, Error> {
        let shape = |found: String| Error::Shape {
            signer: self.signer(),
            found,
        };
        if out.len() as u64 > LONGEST_ANSWER {
            return Err(shape(format!("more than {LONGEST_ANSWER} bytes")));
        }
        let mut signature = Zeroizing::new([0; 65]);
        let answer = out.trim_ascii();
        answer
            .strip_prefix(b"0x")
            .and_then(|hex| const_hex::decode_to_slice(hex, signature.as_mut_slice()).ok())
            // The answer itself is left out: it may be a signature, but for a character.
            .ok_or_else(|| shape(format!("{} other characters", answer.len())))?;
        Ok(signature)
    }
}

/// Without the arguments: a token or PIN may be among them.
impl fmt::Debug for ExternalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalSigner")
            .field("address", &self.address)
            .field("program", &self.program)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Signer for ExternalSigner {
    fn address(&self) -> Address {
        self.address
    }

    fn sign_text<'a>(&'a self, text: &'a str) -> BoxFuture<'a, Result<Zeroizing<[u8; 65]>, Error>> {
        Box::pin(self.ask(text))
    }
}

/// What a program left.
struct Answer {
    status: std::process::ExitStatus,
    out: Zeroizing<Vec<u8>>,
    complaint: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The first line of stderr that says something, and the exit code.
    fn reason(&self) -> String {
        let complaint = String::from_utf8_lossy(&self.complaint);
        let line = complaint.lines().map(str::trim).find(|line| !line.is_empty());
        let line: String = line
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(SHOWN)
            .collect();
        match line.as_str() {
            "" => self.status.to_string(),
            line => format!("{line} ({})", self.status),
        }
    }
}

/// Gives the program its text and takes what it says, until its end.
async fn converse(mut child: Child, text: &str) -> std::io::Result<Answer> {
    let (stdin, stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that knows without reading is free to; its answer tells.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    // One byte more than is allowed shows that there was more; who goes on writing writes to a closed pipe.
    let out = async {
        let mut stdout = stdout;
        start_of(&mut stdout, LONGEST_ANSWER + 1).await
    };
    let complaint = async {
        let start = start_of(&mut stderr, LONGEST_COMPLAINT).await?;
        if let Some(stderr) = &mut stderr {
            // Read to its end, so that a talkative program does not wait for a reader.
            tokio::io::copy(stderr, &mut tokio::io::sink()).await?;
        }
        Ok::<_, std::io::Error>(start)
    };
    let ((), out, complaint) = tokio::join!(write, out, complaint);
    Ok(Answer {
        out: out?,
        complaint: complaint?,
        status: child.wait().await?,
    })
}

/// The first `most` bytes.
async fn start_of(
    from: &mut Option<impl AsyncRead + Unpin>,
    most: u64,
) -> std::io::Result<Zeroizing<Vec<u8>>> {
    // Allocated at once, with room to notice the end: growing would leave copies behind.
    let mut start = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or_default() + 64));
    if let Some(from) = from {
        from.take(most).read_to_end(&mut start).await?;
    }
    Ok(start)
}

#[cfg(test)]
mod tests;
