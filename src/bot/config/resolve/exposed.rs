//! Secrets that stand in the file itself, in a text or a constant: whoever has the file has them, and a message may carry
//! them away. What is found is never repeated.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::report::Report;
use crate::bot::config::diagnostics::Code;
use crate::bot::config::secret::{Malformed, SecretReference};
use crate::bot::config::shape::Place;
use crate::bot::config::tree::NodeId;
use crate::client::mnemonic::{self, DerivationPath};

/// What a part of a text is.
enum Exposed {
    /// `env:NAME`, which nothing resolves here.
    Reference,
    /// The secret itself, of this kind.
    Secret(&'static str),
}

/// Kinds of secrets by the form that their issuers gave them.
static FORMS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    [
        ("the secret of a webhook", r"whsec_[A-Za-z0-9+/]{16,}"),
        ("the key of an API", r"\b[rs]k_(live|test)_[A-Za-z0-9]{16,}"),
        ("a token", r"\bgh[opsur]_[A-Za-z0-9]{30,}"),
        ("a token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
        ("a token", r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"),
        ("the key of an API", r"\bAKIA[0-9A-Z]{16}\b"),
        ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
        ("a private key (a hash starts with `0x`)", r"\b[0-9A-Fa-f]{64}\b"),
    ]
    .into_iter()
    .filter_map(|(kind, form)| Some((kind, Regex::new(form).ok()?)))
    .collect()
});

/// A reference to a variable, as the file has it where secrets belong.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\benv:[A-Z][A-Z0-9_]+\b").ok());

/// Reports the first secret, or reference to one, inside an expression or a template.
pub(super) fn in_text(report: &mut Report<'_>, node: NodeId, text: &str) -> bool {
    let found = find(text);
    if let Some((span, exposed)) = &found {
        add(report, Place::In(node, span.start), exposed);
    }
    found.is_some()
}

/// Reports a constant that is a secret or a reference to one.
pub(super) fn in_constant(report: &mut Report<'_>, node: NodeId, name: &str, text: &str) -> bool {
    let is_reference = match text.parse::<SecretReference>() {
        Ok(SecretReference::Command(_)) | Err(Malformed::Command(_)) => true,
        Ok(_) => !text.contains(char::is_whitespace),
        Err(_) => false,
    };
    let exposed = if is_reference {
        Some(Exposed::Reference)
    } else if is_named_key(name) && is_hash(text) {
        Some(Exposed::Secret("a private key"))
    } else if is_mnemonic(text) {
        Some(Exposed::Secret("the words of a wallet"))
    } else {
        find(text).map(|(_, exposed)| exposed)
    };
    if let Some(exposed) = &exposed {
        add(report, Place::Value(node), exposed);
    }
    exposed.is_some()
}

fn find(text: &str) -> Option<(Range<usize>, Exposed)> {
    let reference = REFERENCE.as_ref().and_then(|form| form.find(text));
    let reference = reference.map(|found| (found.range(), Exposed::Reference));
    reference.or_else(|| {
        FORMS
            .iter()
            .find_map(|(kind, form)| Some((form.find(text)?.range(), Exposed::Secret(kind))))
    })
}

fn add(report: &mut Report<'_>, place: Place, exposed: &Exposed) {
    let (message, hint) = match exposed {
        Exposed::Reference => (
            "a reference to a secret is read where a secret belongs only, not in texts and constants"
                .to_owned(),
            "secrets belong to `identity`, `passphrase` and `secret`; no message can hold one",
        ),
        Exposed::Secret(kind) => (
            format!("this looks like {kind}; no secret stands in the file itself"),
            "put it where `env:NAME` or `file:PATH` finds it, and change it: whoever has this file has it",
        ),
    };
    report.add(place, Code::ExposedSecret, message, Some(hint.to_owned()));
}

/// Whether a name says that its value is a key.
fn is_named_key(name: &str) -> bool {
    name.to_ascii_lowercase()
        .split('_')
        .any(|word| matches!(word, "key" | "secret" | "private" | "pk" | "seed"))
}

/// 32 bytes of hex, which a key is as well as a hash.
fn is_hash(text: &str) -> bool {
    text.strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_mnemonic(text: &str) -> bool {
    (12..=24).contains(&text.split_whitespace().count())
        && mnemonic::read(text, "", &DerivationPath::default()).is_ok()
}
