//! A person with herald's client, driven by lines of JSON: what the interoperation tests (`person.cjs`) talk to.
//!
//! ```text
//! test --stdin-->  {"id": 1, "command": "send", "peer": "0x…", "content": {"type": "text", "text": "gm"}}
//!      <--stdout-- {"id": 1, "ok": {"id": "5f…", "topic": "/xmtp/0/m-…/proto", "sent_ns": "1700000000000000000"}}
//!      <--stdout-- {"id": 2, "error": "0x… is not on the network: it has published no contact"}
//!      <--stdout-- {"event": "message", "stream": 3, "message": {…}}
//! ```
//!
//! One object a line, nothing else on standard output; logs go to standard error. Every command has an `id` of its own and is
//! answered once, by `ok` or `error`, in any order: commands run at the same time. The program ends with status 0 when its input
//! ends. One program is one wallet: `connect` comes first and once.
//!
//! # Values
//!
//! - *bytes* are standard base64; keys, ids, digests, salts and nonces are lower-case hexadecimal without `0x`.
//! - *times* (`…_ns`) are decimal strings: nanoseconds do not fit a JavaScript number. `…_ms` are numbers.
//! - *addresses* are written with their EIP-55 checksum.
//! - A field that has no value is left out, never `null`.
//! - Streams hear what the wallet itself sends as well, and each message once.
//!
//! **Conversation** `{topic, peer, version, created_ns, conversation_id?, metadata?, consent_proof?}`, version `"v1"` or `"v2"`,
//! metadata an object of strings, consent proof `{signature, timestamp_ms}` with the signature as `0x…`.
//!
//! **Message** `{id, topic, version, sender, sent_ns, content, fallback?}`. `topic` is where its envelope lay.
//!
//! **Content** `{type, …}`, with the type's own fields:
//!
//! | type | fields |
//! |---|---|
//! | `text` | `text` |
//! | `reaction` | `action`, `reference`, `referenceInboxId?`, `schema`, `content` |
//! | `reply` | `reference`, `content` (a content) |
//! | `read_receipt` | |
//! | `attachment` | `filename`, `mime_type`, `data` (bytes) |
//! | `remote_attachment` | `url`, `content_digest`, `salt`, `nonce`, `secret`, `scheme`, `content_length` (number), `filename` |
//! | `transaction_reference` | `namespace?`, `network_id` (number or string, as on the wire), `reference`, `metadata?` (as on the wire) |
//! | `composite` | `parts` (contents; a part may be a `composite`); read only |
//! | `encoded` | `content_type` (`authority/type:major.minor`), `parameters`, `data` (bytes), `fallback?` when sent: any type without a codec |
//!
//! # Commands
//!
//! | command | arguments | `ok` |
//! |---|---|---|
//! | `connect` | `node` (`grpc://…`), one of `key` (hexadecimal), `mnemonic` with `path?`, `keys` (bytes of an exported bundle), `cache?` (folder), `fetch?` | `{address}` |
//! | `can_message` | `addresses` | `{reachable: [bool]}` |
//! | `conversations` | | `{conversations}`, oldest first, as the network has them now |
//! | `start` | `peer`, `conversation_id?`, `metadata?`, `consent_proof?` | the conversation, known or new |
//! | `send` | `topic` or `peer`, `content`, `compression?` (`deflate`, `gzip`), `ephemeral?` | `{id, topic, sent_ns}`, once the node has it |
//! | `prepare` | as `send` | `{prepared, id, topic}`: sealed, not published |
//! | `publish` | `prepared` | `{id, topic, sent_ns}` |
//! | `messages` | `topic`, `descending?`, `start_ns?`, `end_ns?`, `page?` (envelopes a page), `limit?` | `{messages, rejected: [error text]}` |
//! | `stream` | `what`: `all`, `one` with `topic`, `ephemeral` with `topic`, `conversations`, `consent` | `{stream}`, once the node has confirmed it |
//! | `stop` | `stream` | `{}` |
//! | `consent` | `addresses` | `{states: ["allowed", "denied", "unknown"]}`, read from the network now, consent proofs taken into account |
//! | `consent_list` | | `{entries: [{kind, value, state}]}`, kind `address`, `group` or `inbox`; read from the network now |
//! | `allow`, `deny` | `addresses?`, `groups?`, `inboxes?` | `{}` |
//! | `consent_proof` | `sender`, `timestamp_ms` | `{signature, timestamp_ms}`: our wallet's consent to that sender |
//! | `hmac_keys` | | `{topics: {topic: [{period, key (bytes)}]}}` of V2 conversations, by rising period |
//! | `export_keys` | | `{keys}` (bytes) |
//! | `rotate` | | `{}`, once the new pre-key is stored and in the contact |
//! | `upload` | `content` (an attachment), `put` (URL) | `{content}`: the remote attachment, at the same URL |
//! | `download` | `content` (a remote attachment) | `{content}`: what was in it |
//!
//! `fetch` are the options of the client's HTTP: `allow` (networks in CIDR form that it may reach although they are private) and
//! `roots` (PEM of certificate authorities it trusts besides the public ones).
//!
//! # Events
//!
//! `{"event": "message", "stream", "message"}` of `all`, `one` and `ephemeral`; `{"event": "conversation", "stream",
//! "conversation"}`; `{"event": "consent", "stream", "entry": {kind, value, state}}`; `{"event": "rejected", "stream", "error"}`
//! for an envelope that did not open, once each, among them some that are older than the stream; `{"event": "ended", "stream",
//! "error"}` as the last one of a stream that the node refused.

#[path = "person/command.rs"]
mod command;
#[path = "person/content.rs"]
mod content;
#[path = "person/form.rs"]
mod form;
#[path = "person/rejection.rs"]
mod rejection;
#[path = "person/stream.rs"]
mod stream;
#[path = "person/wallet.rs"]
mod wallet;

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::OnceCell, task::JoinSet};

use command::Command;
use wallet::Person;

/// Why a command was not carried out.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> io::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing::Level::INFO)
        .init();
    let runtime = Runtime::new()?;
    let person = Arc::new(OnceCell::new());
    let mut commands = JoinSet::new();
    for line in io::stdin().lines() {
        commands.spawn_on(answer(Arc::clone(&person), line?), runtime.handle());
        while commands.try_join_next().is_some() {}
    }
    runtime.shutdown_background();
    Ok(())
}

async fn answer(person: Arc<OnceCell<Person>>, line: String) {
    let asked: Value = serde_json::from_str(&line).unwrap_or_default();
    let id = asked.get("id").cloned();
    let outcome = match Command::deserialize(asked) {
        Ok(command) => Box::pin(command.run(&person)).await,
        Err(error) => Err(error.into()),
    };
    say(&match outcome {
        Ok(ok) => json!({"id": id, "ok": ok}),
        Err(error) => json!({"id": id, "error": told(error.as_ref())}),
    });
}

/// Writes one line to who drives this program.
fn say(line: &Value) {
    // Nobody is there to hear it when this fails.
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// An error and what caused it.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
