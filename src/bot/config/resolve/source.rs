//! `sources`: read anew wherever one is used, with the names that are in scope there.

use std::time::Duration;

use serde_json::Value as Json;

use super::report::Report;
use super::trigger::SHORTEST;
use super::{Context, note_missing};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, HttpFile, SourceFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Raw, Spanned, Text};
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::expression::{Expression, Names, Type};
use crate::bot::source::{Header, Http, Post, TIMEOUT};
use crate::fetch::Request;

/// How long an answer may take at the most.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(5);

/// The source of a name, for a place where these names are in scope.
pub(super) fn find(report: &mut Report<'_>, context: &Context, text: &Text, names: &Names) -> Option<Http> {
    report.used.insert(format!("sources.{}", text.value));
    if let Some((name, source)) = context.sources.iter().find(|(name, _)| *name == text.value) {
        let SourceFile::Http(file) = &source.value;
        return http(report, context, (name, file), names);
    }
    let declared = || super::declared(report.tree, "sources");
    if declared().all(|name| name != text.value) {
        let hint = Report::meant(&text.value, declared());
        let message = format!("there is no source {}", quote(&text.value));
        report.wrong(text, Code::Undefined, message, hint);
    }
    None
}

/// Checks what the sources are called.
pub(super) fn check_names(report: &mut Report<'_>, file: &BotFile) {
    for (name, source) in &file.sources.0 {
        report.name(Place::Key(source.node), name, "source name");
    }
}

fn http(
    report: &mut Report<'_>,
    context: &Context,
    (name, file): (&str, &HttpFile),
    names: &Names,
) -> Option<Http> {
    let url = report.template(&file.http, names);
    let post = file.post.map(|Raw(node)| post(report, node, names));
    let headers: Vec<_> = file
        .headers
        .0
        .iter()
        .map(|(name, value)| header(report, context, (name, value), names))
        .collect();
    let auth = file.auth.as_ref().map(|text| {
        let secret = report.secret(text)?;
        note_missing(report, text, &secret, &context.folder);
        Some(secret)
    });
    let mut of_answer = names.clone();
    of_answer.insert("body", Type::Any);
    let pick = file.pick.as_ref().map(|text| {
        let list = Type::List(Box::new(Type::Any));
        gives(report, text, &of_answer, (&list, "a list of items"))
    });
    let next = file
        .next
        .as_ref()
        .map(|text| gives(report, text, &of_answer, (&Type::Text, "a URL")));
    let cache = file.cache.as_ref().map(|text| report.duration(text, SHORTEST));
    let timeout = file.timeout.as_ref().map_or(Some(TIMEOUT), |text| {
        let span = report.duration(text, SHORTEST)?;
        if span > LONGEST_TIMEOUT {
            let message = format!(
                "expected a duration of at most `5m`, found {}",
                quote(&text.value)
            );
            report.wrong(text, Code::Duration, message, None);
            return None;
        }
        Some(span)
    });
    Some(Http {
        name: name.to_owned(),
        url: url?,
        post: whole(post)?,
        headers: headers.into_iter().collect::<Option<_>>()?,
        auth: whole(auth)?,
        pick: whole(pick)?,
        next: whole(next)?,
        cache: whole(cache)?,
        timeout: timeout?,
    })
}

/// An absent part and a right one are fine; a wrong one is not.
#[expect(
    clippy::option_option,
    reason = "an absent part and a wrong one are different things"
)]
fn whole<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(None) => None,
        part => Some(part.flatten()),
    }
}

/// An expression over the answer.
fn gives(
    report: &mut Report<'_>,
    text: &Text,
    names: &Names,
    (wanted, what): (&Type, &str),
) -> Option<Expression> {
    let expression = report.expression(text, names)?;
    let fits = wanted.clone().optional().accepts(expression.ty());
    if !fits {
        let message = format!("expected {what}, found {}", expression.ty());
        report.wrong(text, Code::Expression, message, None);
    }
    fits.then_some(expression)
}

fn header(
    report: &mut Report<'_>,
    context: &Context,
    (name, value): (&str, &Spanned<Text>),
    names: &Names,
) -> Option<(String, Header)> {
    let tried = Request::read("https://host.example/").and_then(|request| request.header(name, "x"));
    if let Err(error) = &tried {
        report.add(Place::Key(value.node), Code::Name, error.to_string(), None);
    }
    let value = &value.value;
    let header = if value.value.starts_with("env:") || value.value.starts_with("file:") {
        let secret = report.secret(value)?;
        note_missing(report, value, &secret, &context.folder);
        Header::Secret(secret)
    } else {
        Header::Text(report.template(value, names)?)
    };
    tried.ok().map(|_| (name.to_owned(), header))
}

/// JSON that is posted. A plain scalar is a number, a bool or nothing where it reads as one; everything else is a template.
fn post(report: &mut Report<'_>, node: NodeId, names: &Names) -> Option<Post> {
    if report.is_full() {
        return None;
    }
    let tree = report.tree;
    match tree.content(node) {
        Content::Scalar(text) => {
            let constant = match text.as_str() {
                _ if !tree.is_plain(node) => None,
                "" | "~" | "null" => Some(Json::Null),
                "true" | "false" => Some(Json::from(text == "true")),
                number => number.parse::<serde_json::Number>().ok().map(Json::Number),
            };
            if let Some(constant) = constant {
                return Some(Post::Constant(constant));
            }
            let text = Spanned {
                value: text.clone(),
                node,
            };
            report.template(&text, names).map(Post::Text)
        }
        Content::List(items) => {
            let items: Vec<_> = items.iter().map(|item| post(report, *item, names)).collect();
            items.into_iter().collect::<Option<_>>().map(Post::List)
        }
        Content::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(name, entry)| post(report, *entry, names).map(|entry| (name.clone(), entry)))
                .collect();
            entries.into_iter().collect::<Option<_>>().map(Post::Map)
        }
    }
}
