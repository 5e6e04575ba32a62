//! `webhook`: its address, how requests are checked, the type of their body, what is answered.

use std::collections::BTreeSet;
use std::time::Duration;

use super::report::Report;
use super::trigger::SHORTEST;
use super::{Context, note_missing, scope};
use crate::bot::config::SecretReference;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{AnswerFieldFile, BodyFile, VerifyFile, WebhookAnswerFile, WebhookFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Entries, Text};
use crate::bot::expression::{Names, Record, Type};
use crate::bot::trigger::Webhook;
use crate::bot::trigger::webhook::{
    Answer, AnswerField, AnswerFields, DEFAULT_TOLERANCE, Encoding, Scheme, Verify,
};

const SCHEMES: [&str; 7] = [
    "standard-webhooks",
    "github",
    "stripe",
    "slack",
    "hmac-sha256",
    "bearer",
    "none",
];

/// Resolves a webhook. `names` are those it gives to its rule, of which `body` is the type; `paths` are the webhooks of the bot so
/// far.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    file: &WebhookFile,
    (body, names): (Option<Type>, &[(&'static str, Type)]),
    paths: &mut BTreeSet<String>,
) -> Option<Webhook> {
    let path = path(report, &file.webhook, paths);
    let verify = verify(report, context, file);
    let mut scope = scope::everywhere(&context.vars);
    for (name, ty) in names {
        scope.insert(*name, ty.clone());
    }
    let answer = file
        .answer
        .as_ref()
        .map(|answer| resolve_answer(report, answer, &scope));
    Some(Webhook {
        path: path?,
        verify: verify?,
        body,
        answer: answer.map_or(Some(None), |answer| answer.map(Some))?,
    })
}

fn verify(report: &mut Report<'_>, context: &Context, file: &WebhookFile) -> Option<Verify> {
    let verify = &file.verify.value;
    let word = verify.scheme.value.as_str();
    if !SCHEMES.contains(&word) {
        report.word(&verify.scheme, &SCHEMES);
        return None;
    }
    let timed = matches!(word, "standard-webhooks" | "stripe" | "slack");
    for (key, text, fits) in [
        ("tolerance", &verify.tolerance, timed),
        ("header", &verify.header, word == "hmac-sha256"),
        ("encoding", &verify.encoding, word == "hmac-sha256"),
        ("secret", &verify.secret, word != "none"),
    ] {
        if let Some(text) = text.as_ref().filter(|_| !fits) {
            let message = format!("`scheme: {word}` has no `{key}`");
            report.add(Place::Key(text.node), Code::UnknownKey, message, None);
        }
    }
    if word == "none" {
        let message = "`scheme: none` lets everybody who knows the address make the rule fire";
        let hint = "`scheme: bearer` needs a token only";
        report.wrong(&verify.scheme, Code::Unverified, message, Some(hint.to_owned()));
        return Some(Verify::Nothing);
    }
    let tolerance = match &verify.tolerance {
        Some(text) if timed => report.duration(text, SHORTEST),
        _ => Some(DEFAULT_TOLERANCE),
    };
    let scheme = tolerance.and_then(|tolerance| scheme(report, verify, file, tolerance));
    let secret = secret(report, context, verify, file);
    Some(Verify::Secret {
        scheme: scheme?,
        secret: secret?,
    })
}

fn scheme(
    report: &mut Report<'_>,
    verify: &VerifyFile,
    file: &WebhookFile,
    tolerance: Duration,
) -> Option<Scheme> {
    Some(match verify.scheme.value.as_str() {
        "github" => Scheme::GitHub,
        "stripe" => Scheme::Stripe { tolerance },
        "slack" => Scheme::Slack { tolerance },
        "bearer" => Scheme::Bearer,
        "hmac-sha256" => {
            let encoding = match &verify.encoding {
                None => Some(Encoding::Hex),
                Some(text) => match text.value.as_str() {
                    "hex" => Some(Encoding::Hex),
                    "base64" => Some(Encoding::Base64),
                    _ => {
                        report.word(text, &["hex", "base64"]);
                        None
                    }
                },
            };
            let header = if let Some(text) = &verify.header {
                header(report, text)
            } else {
                missing(
                    report,
                    file,
                    "header",
                    "add `header: X-Signature`, as the sender names it",
                );
                None
            };
            Scheme::HmacSha256 {
                header: header?,
                encoding: encoding?,
            }
        }
        _ => Scheme::StandardWebhooks { tolerance },
    })
}

/// Reads the name of a header; in lower case, as headers are compared.
fn header(report: &mut Report<'_>, text: &Text) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&byte);
    let name = text.value.as_str();
    if name.is_empty() || name.len() > 128 || !name.bytes().all(is_token) {
        let message = format!(
            "expected the name of a header like `X-Signature`, found {}",
            quote(name)
        );
        report.wrong(text, Code::Name, message, None);
        return None;
    }
    Some(name.to_ascii_lowercase())
}

fn missing(report: &mut Report<'_>, file: &WebhookFile, key: &str, hint: &str) {
    let message = format!("{} has no `{key}`", quote(&report.tree.path(file.verify.node)));
    let place = Place::Value(file.verify.node);
    report.add(place, Code::MissingKey, message, Some(hint.to_owned()));
}

fn secret(
    report: &mut Report<'_>,
    context: &Context,
    verify: &VerifyFile,
    file: &WebhookFile,
) -> Option<SecretReference> {
    let Some(text) = &verify.secret else {
        missing(report, file, "secret", "add `secret: env:NAME`");
        return None;
    };
    let secret = report.secret(text)?;
    note_missing(report, text.node, &secret, &context.folder);
    Some(secret)
}

fn resolve_answer(report: &mut Report<'_>, file: &WebhookAnswerFile, names: &Names) -> Option<Answer> {
    let status = match &file.status {
        None => Some(202),
        Some(text) => {
            let status = text
                .value
                .parse()
                .ok()
                .filter(|status| (200..300).contains(status));
            if status.is_none() {
                let message = format!("expected a status of 200 to 299, found {}", quote(&text.value));
                let hint = "a webhook is answered once its occurrence is recorded";
                report.wrong(text, Code::Word, message, Some(hint.to_owned()));
            }
            status
        }
    };
    let json = file.json.as_ref().map(|json| fields(report, json, names));
    Some(Answer {
        status: status?,
        json: json.map_or(Some(None), |json| json.map(Some))?,
    })
}

fn fields(report: &mut Report<'_>, file: &Entries<AnswerFieldFile>, names: &Names) -> Option<AnswerFields> {
    let mut fields = Some(Vec::new());
    for (name, field) in &file.0 {
        if report.is_full() {
            return None;
        }
        let field = match &field.value {
            AnswerFieldFile::Value(text) => report.expression(text, names).map(AnswerField::Value),
            AnswerFieldFile::Record(file) => self::fields(report, file, names).map(AnswerField::Record),
        };
        fields = fields.zip(field).map(|(mut fields, field)| {
            fields.push((name.clone(), field));
            fields
        });
    }
    fields
}

/// Reads the path of a webhook: segments of letters, digits, `-`, `_`, `.` and `~`.
fn path(report: &mut Report<'_>, text: &Text, paths: &mut BTreeSet<String>) -> Option<String> {
    let path = text.value.strip_prefix('/').unwrap_or(&text.value);
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    if path.len() > 128 || !path.split('/').all(is_segment) {
        let message = format!("expected a path like `/orders`, found {}", quote(&text.value));
        report.wrong(text, Code::WebhookPath, message, None);
        return None;
    }
    if !paths.insert(path.to_owned()) {
        let message = format!("another webhook of this bot has the path {}", quote(&text.value));
        report.wrong(text, Code::WebhookPath, message, None);
        return None;
    }
    Some(path.to_owned())
}

/// The type of a body. A field whose type has a mistake becomes `any`, so that its users are not blamed.
pub(super) fn body_type(report: &mut Report<'_>, body: &Entries<BodyFile>) -> Type {
    let mut record = Record::new();
    for (name, field) in &body.0 {
        let ty = match &field.value {
            _ if report.is_full() => Type::Any,
            BodyFile::Type(text) => report.ty(text).unwrap_or(Type::Any),
            BodyFile::Record(fields) => body_type(report, fields),
        };
        record.insert(name.as_str(), ty);
    }
    Type::Record(record)
}
