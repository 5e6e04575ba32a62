//! `flows`: states, what leads from one to another, and who takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::content::{InScope, parts};
use super::report::Report;
use super::{Context, policy, scope, trigger};
use crate::bot::chain::WalletName;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::{BotFile, ContentFile, ElseFile, FlowFile, GoFile, StateFile};
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::{OneOrMany, Spanned, Text};
use crate::bot::config::{Escalate, Flow, FlowState, Forward, Go, Let, Otherwise, Part, Wallets};
use crate::bot::dialog::command::is_identifier;
use crate::bot::expression::{Names, Record, Type};

/// The most messages that a transcript shows.
const TRANSCRIPT: usize = 100;

/// Resolves all flows; `None` when one has a mistake.
pub(super) fn resolve_all(
    report: &mut Report<'_>,
    context: &Context,
    file: &BotFile,
) -> Option<BTreeMap<String, Flow>> {
    let mut flows = Some(BTreeMap::new());
    for (name, flow) in &file.flows.0 {
        let is_named = report.name(Place::Key(flow.node), name, "flow name");
        if report.is_full() {
            return None;
        }
        let flow = resolve(report, context, name, &flow.value).filter(|_| is_named);
        flows = flows.zip(flow).map(|(mut flows, flow)| {
            flows.insert(name.clone(), flow);
            flows
        });
    }
    flows
}

fn resolve(report: &mut Report<'_>, context: &Context, name: &str, file: &FlowFile) -> Option<Flow> {
    let when = trigger::words(report, &file.when.message);
    let idle = match &file.idle {
        Some(text) => report.duration(text, trigger::SHORTEST).map(Some),
        None => Some(None),
    };
    let known: BTreeSet<&str> = file.states.0.iter().map(|(name, _)| name.as_str()).collect();
    let start = target(report, &known, &file.start);
    let (mut answers, mut is_right) = (Record::new(), true);
    for (_, state) in &file.states.0 {
        for (name, text) in state.value.ask.iter().flat_map(|ask| &ask.value.0) {
            match report.ty(text) {
                Some(ty) => answers.insert(name.as_str(), ty.optional()),
                None => is_right = false,
            }
        }
    }
    let mut names = scope::of_message(context);
    names.insert("answers", Type::Record(answers));
    let mut states = Some(BTreeMap::new());
    for (name, state) in &file.states.0 {
        let resolved = resolve_state(report, context, (name, state), (&known, &names));
        states = states.zip(resolved).map(|(mut states, state)| {
            states.insert(name.clone(), state);
            states
        });
    }
    let flow = Flow {
        name: name.to_owned(),
        when: when?,
        start: start?,
        idle: idle?,
        states: states.filter(|_| is_right)?,
    };
    ends(report, &flow, file).then_some(flow)
}

/// Whether no states lead from one to another for ever without a message.
fn ends(report: &mut Report<'_>, flow: &Flow, file: &FlowFile) -> bool {
    for (name, state) in &file.states.0 {
        let (mut at, mut hops) = (name.as_str(), 0);
        while let Some(Go::To(next)) = flow
            .states
            .get(at)
            .filter(|state| state.ask.is_none())
            .map(|state| &state.go)
        {
            (at, hops) = (next.as_str(), hops + 1);
            if hops > flow.states.len() {
                let message = format!("`{name}` goes on for ever without a message");
                report.add(Place::Key(state.node), Code::Shape, message, None);
                return false;
            }
        }
    }
    true
}

fn target(report: &mut Report<'_>, known: &BTreeSet<&str>, text: &Text) -> Option<String> {
    if known.contains(text.value.as_str()) {
        return Some(text.value.clone());
    }
    let hint = Report::meant(&text.value, known.iter().copied());
    let message = format!("there is no state {}", quote(&text.value));
    report.wrong(text, Code::Undefined, message, hint);
    None
}

fn said(
    report: &mut Report<'_>,
    context: &Context,
    file: Option<&ContentFile>,
    names: &Names,
) -> Option<Vec<Part>> {
    match file {
        Some(file) => parts(report, context, file, InScope::of_one(names)),
        None => Some(Vec::new()),
    }
}

fn resolve_state(
    report: &mut Report<'_>,
    context: &Context,
    (name, file): (&str, &Spanned<StateFile>),
    (known, names): (&BTreeSet<&str>, &Names),
) -> Option<FlowState> {
    let state = &file.value;
    let mut names = names.clone();
    let lets = lets(report, &state.lets.0, &mut names);
    let say = said(report, context, state.say.as_ref(), &names);
    let mut closing = names.clone();
    closing.insert("opens", Type::Time);
    let closed = match &state.closed {
        Some(file) => said(report, context, Some(file), &closing).map(Some),
        None => Some(None),
    };
    let hours = match &state.hours {
        Some(text) => policy::window(report, text).map(Some),
        None => Some(None),
    };
    let ask = match &state.ask {
        Some(file) => ask(report, file).map(Some),
        None => Some(None),
    };
    let go = go(report, state.go.as_ref(), known);
    let otherwise = match &state.otherwise {
        Some(file) => otherwise(report, context, file, (known, &names)).map(Some),
        None => Some(None),
    };
    let forwarded = forwarded(report, context, state);
    let end = state
        .end
        .as_ref()
        .map_or(Some(false), |text| report.is_true(text).map(|()| true));
    let is_out = state.go.is_some() || state.forward.is_some() || state.end.is_some();
    let message = if !is_out {
        "has no `go`, `forward` or `end`"
    } else if state.ask.is_some() && state.go.is_none() {
        "has an `ask` and no `go`"
    } else if (state.escalate.is_some() || state.closed.is_some()) && state.forward.is_none() {
        "has no `forward`, which `closed` and `escalate` belong to"
    } else {
        let (forward, escalate) = forwarded?;
        return Some(FlowState {
            lets: lets?,
            say: say?,
            ask: ask?,
            go: go?,
            otherwise: otherwise?,
            hours: hours?,
            closed: closed?,
            forward,
            escalate,
            end: end?,
        });
    };
    report.add(
        Place::Key(file.node),
        Code::MissingKey,
        format!("state `{name}` {message}"),
        None,
    );
    None
}

fn lets(report: &mut Report<'_>, file: &[(String, Text)], names: &mut Names) -> Option<Vec<Let>> {
    let mut lets = Some(Vec::new());
    for (name, text) in file {
        if !is_identifier(name) || names.get(name).is_some() {
            let message = format!(
                "expected a new name of letters, digits and `_`, found {}",
                quote(name)
            );
            report.add(Place::Key(text.node), Code::Name, message, None);
            lets = None;
            continue;
        }
        let expression = report.expression(text, names);
        match &expression {
            Some(expression) => names.insert_computed(name, expression),
            None => names.insert(name, Type::Any),
        }
        lets = lets.zip(expression).map(|(mut lets, expression)| {
            let name = name.clone();
            lets.push(Let { name, expression });
            lets
        });
    }
    lets
}

fn ask(
    report: &mut Report<'_>,
    file: &Spanned<crate::bot::config::spanned::Entries<String>>,
) -> Option<(String, Type)> {
    let [(name, text)] = file.value.0.as_slice() else {
        let message = "expected one name and its type, like `{ hash: hash }`";
        report.add(Place::Value(file.node), Code::Shape, message, None);
        return None;
    };
    if !is_identifier(name) {
        let message = format!(
            "expected a name of letters, digits and `_`, found {}",
            quote(name)
        );
        report.add(Place::Key(text.node), Code::Name, message, None);
        return None;
    }
    Some((name.clone(), report.ty(text)?))
}

fn go(report: &mut Report<'_>, file: Option<&GoFile>, known: &BTreeSet<&str>) -> Option<Go> {
    Some(match file {
        None => Go::Nowhere,
        Some(GoFile::To(text)) => Go::To(target(report, known, text)?),
        Some(GoFile::By(entries)) => {
            let mut ways = Some(Vec::new());
            for (words, text) in &entries.0 {
                let key = Text {
                    value: words.clone(),
                    node: text.node,
                };
                let way = trigger::words(report, &key).zip(target(report, known, text));
                ways = ways.zip(way).map(|(mut ways, way)| {
                    ways.push(way);
                    ways
                });
            }
            Go::By(ways?)
        }
    })
}

fn otherwise(
    report: &mut Report<'_>,
    context: &Context,
    file: &ElseFile,
    (known, names): (&BTreeSet<&str>, &Names),
) -> Option<Otherwise> {
    let say = said(report, context, file.say.as_ref(), names);
    let go = match &file.go {
        Some(text) => target(report, known, text).map(Some),
        None => Some(None),
    };
    let tries = match &file.tries {
        Some(text) => count(report, text, 100).map(Some),
        None => Some(None),
    };
    if let (Some(text), None) = (&file.tries, &file.go) {
        let message = "`tries` needs a `go`, which the last of them takes";
        report.add(Place::Key(text.node), Code::MissingKey, message, None);
        return None;
    }
    Some(Otherwise {
        say: say?,
        tries: tries?.and_then(|tries| u32::try_from(tries).ok()),
        go: go?,
    })
}

fn count(report: &mut Report<'_>, text: &Text, most: usize) -> Option<usize> {
    let count = text.value.parse().ok().filter(|count| (1..=most).contains(count));
    if count.is_none() {
        let message = format!("expected a number from 1 to {most}, found {}", quote(&text.value));
        report.wrong(text, Code::Limit, message, None);
    }
    count
}

/// `forward` and `escalate`.
fn forwarded(
    report: &mut Report<'_>,
    context: &Context,
    state: &StateFile,
) -> Option<(Option<Forward>, Option<Escalate>)> {
    let forward = match &state.forward {
        None => None,
        Some(file) => {
            let people = wallets(report, context, &file.wallets);
            let claim = file.claim.as_ref().map_or(Some(false), |text| report.bool(text));
            let transcript = match &file.transcript {
                Some(text) => count(report, text, TRANSCRIPT),
                None => Some(0),
            };
            Some(Forward {
                wallets: people?,
                claim: claim?,
                transcript: transcript?,
            })
        }
    };
    let escalate = match &state.escalate {
        None => None,
        Some(file) => {
            let after = report.duration(&file.after, Duration::from_secs(1));
            let people = match &file.wallets {
                Some(file) => wallets(report, context, file),
                None => Some(Vec::new()),
            };
            let post = match &file.post {
                Some(text) => post(report, text).map(Some),
                None => Some(None),
            };
            Some(Escalate {
                after: after?,
                wallets: people?,
                post: post?,
            })
        }
    };
    Some((forward, escalate))
}

fn post(report: &mut Report<'_>, text: &Text) -> Option<String> {
    let is_address = url::Url::parse(&text.value)
        .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    if !is_address {
        let message = format!("expected a URL like `https://…`, found {}", quote(&text.value));
        report.wrong(text, Code::Word, message, None);
    }
    is_address.then(|| text.value.clone())
}

fn wallets(report: &mut Report<'_>, context: &Context, file: &OneOrMany<Text>) -> Option<Vec<Wallets>> {
    let names: Names = [("vars", context.vars.clone())].into_iter().collect();
    let mut wallets = Some(Vec::new());
    for text in file.as_slice() {
        let root = text.value.split('.').next();
        let own = if WalletName::is_meant(&text.value) && root != Some("vars") {
            match WalletName::read(&text.value) {
                Ok(name) => {
                    report.note_chain(text.node, name.chain());
                    Some(Wallets::Named(name.to_string()))
                }
                Err(reason) => {
                    report.wrong(text, Code::Expression, reason, None);
                    None
                }
            }
        } else {
            let expression = report.expression(text, &names);
            let expression = expression.filter(|expression| {
                let ty = expression.ty();
                let one = |ty: &Type| Type::Wallet.accepts(ty) || Type::Text.accepts(ty);
                let fits = one(ty) || matches!(ty, Type::List(element) if one(element));
                if !fits {
                    let message = format!("expected wallets, found {ty}");
                    report.wrong(text, Code::Expression, message, None);
                }
                fits
            });
            expression.map(Wallets::Of)
        };
        wallets = wallets.zip(own).map(|(mut wallets, own)| {
            wallets.push(own);
            wallets
        });
    }
    wallets
}
