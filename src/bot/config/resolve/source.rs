//! `sources`: read anew wherever one is used, with the names that are in scope there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use super::report::Report;
use super::trigger::SHORTEST;
use super::{Context, log, note_missing, scope};
use crate::bot::chain::abi;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, CallFile, HttpFile, SourceFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{Raw, Spanned, Text};
use crate::bot::config::tree::{Content, NodeId, Tree};
use crate::bot::expression::{self, Expression, Names, SourceType, SourceTypes, Template, Type};
use crate::bot::source::{ContractCall, Header, Http, Post, Source, TIMEOUT};
use crate::fetch::Request;

/// How long an answer may take at the most.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(5);

/// The source of a name, for a place where these names are in scope.
pub(super) fn find(report: &mut Report<'_>, context: &Context, text: &Text, names: &Names) -> Option<Http> {
    report.used.insert(format!("sources.{}", text.value));
    if let Some((name, source)) = context.sources.iter().find(|(name, _)| *name == text.value) {
        let SourceFile::Http(file) = &source.value else {
            let message = format!("{} is a contract's answer, wanted a list of items", quote(name));
            report.wrong(text, Code::Type, message, None);
            return None;
        };
        let list = Type::List(Box::new(Type::Any));
        return http(report, context, (name, file), (names, &list));
    }
    let declared = || super::declared(report.tree, "sources");
    if declared().all(|name| name != text.value) {
        let hint = Report::meant(&text.value, declared());
        let message = format!("there is no source {}", quote(&text.value));
        report.wrong(text, Code::Undefined, message, hint);
    }
    None
}

/// The sources of a file for those who use them by name: what names stand for is checked where that is.
pub(super) fn resolve_all(
    report: &mut Report<'_>,
    context: &Context,
    file: &BotFile,
) -> Option<BTreeMap<String, Source>> {
    let mut sources = Some(BTreeMap::new());
    for (name, source) in &file.sources.0 {
        let is_named = report.name(Place::Key(source.node), name, "source name");
        let is_free = !scope::is_name(name);
        if !is_free {
            let message = format!("`{name}` is in scope already; a source has a name of its own");
            report.add(Place::Key(source.node), Code::Name, message, None);
        }
        let resolved = match &source.value {
            SourceFile::Http(file) => {
                let http = http(report, context, (name, file), (&Names::open(), &Type::Any));
                http.map(|http| Source::Http(Arc::new(http)))
            }
            SourceFile::Call(file) => {
                call(report, context, (name, file)).map(|call| Source::Call(Arc::new(call)))
            }
        };
        let resolved = resolved.filter(|_| is_named && is_free);
        sources = sources.zip(resolved).map(|(mut sources, source)| {
            sources.insert(name.clone(), source);
            sources
        });
    }
    sources
}

/// The texts by which a source is asked, and what it gives.
struct Asked {
    name: String,
    templates: Vec<String>,
    /// What it is given, and of which types.
    expressions: Vec<(String, Type)>,
    gives: Gives,
}

/// What a source gives.
enum Gives {
    /// The whole answer.
    Anything,
    /// What this takes of the answer.
    Picked(String),
    /// What a contract returns.
    Typed(Type),
}

/// What sources give, for expressions that use them by name: each may use those before it.
pub(super) fn types(
    tree: &Tree,
    sources: &[(String, Spanned<SourceFile>)],
    chains: impl Iterator<Item = String>,
) -> SourceTypes {
    let sources = sources.iter().map(|(name, source)| {
        let file = match &source.value {
            SourceFile::Http(file) => file,
            SourceFile::Call(file) => return asked_of_contract(name, file),
        };
        let mut templates = vec![file.http.value.clone()];
        if let Some(Raw(post)) = file.post {
            add_texts(tree, post, &mut templates);
        }
        let headers = file.headers.0.iter().map(|(_, text)| &text.value.value);
        templates.extend(headers.filter(|text| !is_secret(text)).cloned());
        Asked {
            name: name.clone(),
            templates,
            expressions: Vec::new(),
            gives: match &file.pick {
                Some(pick) => Gives::Picked(pick.value.clone()),
                None => Gives::Anything,
            },
        }
    });
    let sources: Arc<[Asked]> = sources.collect();
    let count = sources.len();
    types_of(sources, count, chains.collect())
}

fn asked_of_contract(name: &str, file: &CallFile) -> Asked {
    let function = abi::Function::parse(&file.call.value).ok();
    let inputs = function
        .as_ref()
        .map(abi::Function::input_types)
        .unwrap_or_default();
    // What is wrong with their number is told where the source stands.
    let inputs = inputs.into_iter().chain(std::iter::repeat(Type::Any));
    let arguments = file.args.iter().map(|text| text.value.clone()).zip(inputs);
    let at = (file.at.value.clone(), Type::Wallet);
    let block = file
        .block
        .iter()
        .map(|text| (text.value.clone(), Type::Int.optional()));
    Asked {
        name: name.to_owned(),
        templates: Vec::new(),
        expressions: arguments.chain([at]).chain(block).collect(),
        gives: Gives::Typed(function.map_or(Type::Any, |function| function.output_type())),
    }
}

fn add_texts(tree: &Tree, node: NodeId, texts: &mut Vec<String>) {
    match tree.content(node) {
        Content::Scalar(text) => texts.push(text.clone()),
        Content::List(items) => items.iter().for_each(|item| add_texts(tree, *item, texts)),
        Content::Map(entries) => entries
            .iter()
            .for_each(|(_, entry)| add_texts(tree, *entry, texts)),
    }
}

/// The first so many of the sources.
fn types_of(sources: Arc<[Asked]>, count: usize, chains: Arc<[String]>) -> SourceTypes {
    SourceTypes::new(Arc::clone(&chains), move |wanted, names| {
        let at = sources
            .iter()
            .take(count)
            .position(|asked| asked.name == wanted)?;
        let mut names = names.clone();
        names.set_sources(types_of(Arc::clone(&sources), at, Arc::clone(&chains)));
        Some(type_of(sources.get(at)?, &names))
    })
}

/// What a source gives where these names are in scope, or the first mistake that keeps it from being asked.
fn type_of(asked: &Asked, names: &Names) -> Result<SourceType, String> {
    let mut used = BTreeSet::new();
    let first = |findings: Vec<expression::Finding>| {
        let first = findings.into_iter().next();
        first.map_or_else(String::new, |finding| finding.message)
    };
    for text in &asked.templates {
        let template = Template::parse(text, names).map_err(first)?;
        used.extend(template.names().iter().cloned());
    }
    for (text, wanted) in &asked.expressions {
        let expression = Expression::parse(text, names).map_err(first)?;
        if !wanted.accepts(expression.ty()) {
            return Err(format!("`{text}` is {}, wanted {wanted}", expression.ty()));
        }
        used.extend(expression.names().iter().cloned());
    }
    let mut of_answer = names.clone();
    of_answer.insert("body", Type::Any);
    let ty = match &asked.gives {
        Gives::Picked(pick) => {
            let pick = Expression::parse(pick, &of_answer).map_err(first)?;
            used.extend(pick.names().iter().filter(|name| *name != "body").cloned());
            pick.ty().clone()
        }
        Gives::Typed(ty) => ty.clone(),
        Gives::Anything => Type::Any,
    };
    Ok(SourceType { ty, names: used })
}

fn is_secret(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

fn http(
    report: &mut Report<'_>,
    context: &Context,
    (name, file): (&str, &HttpFile),
    (names, wanted): (&Names, &Type),
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
        note_missing(report, text.node, &secret, &context.folder);
        Some(secret)
    });
    let mut of_answer = names.clone();
    of_answer.insert("body", Type::Any);
    let pick = file.pick.as_ref().map(|text| {
        let what = if *wanted == Type::Any {
            "a value"
        } else {
            "a list of items"
        };
        gives(report, text, &of_answer, (wanted, what))
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

fn call(report: &mut Report<'_>, context: &Context, (name, file): (&str, &CallFile)) -> Option<ContractCall> {
    let names = Names::open();
    let function = match abi::Function::parse(&file.call.value) {
        Ok(function) => Some(function),
        Err(mistake) => {
            let hint = "like `balanceOf(address) returns (uint256 balance)`";
            let place = Place::In(file.call.node, mistake.at);
            report.add(place, Code::Type, mistake.message, Some(hint.to_owned()));
            None
        }
    };
    let at = report.expression(&file.at, &names);
    let chain = log::chain(report, context, &file.chain);
    let arguments: Vec<_> = file
        .args
        .iter()
        .map(|text| report.expression(text, &names))
        .collect();
    let block = file.block.as_ref().map(|text| report.expression(text, &names));
    let cache = file.cache.as_ref().map(|text| report.duration(text, SHORTEST));
    if let Some(function) = &function
        && function.inputs.len() != arguments.len()
    {
        let message = format!(
            "`{}` takes {} values, found {} under `args`",
            function.signature(),
            function.inputs.len(),
            arguments.len()
        );
        let place = file.args.last().unwrap_or(&file.call);
        report.wrong(place, Code::Type, message, None);
        return None;
    }
    Some(ContractCall {
        name: name.to_owned(),
        chain: chain?.into(),
        function: function?,
        at: at?,
        arguments: arguments.into_iter().collect::<Option<_>>()?,
        block: whole(block)?,
        cache: whole(cache)?,
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
    let header = if is_secret(&value.value) {
        let secret = report.secret(value)?;
        note_missing(report, value.node, &secret, &context.folder);
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
