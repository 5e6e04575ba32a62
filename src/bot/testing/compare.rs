//! What was expected beside what arrived.

use std::{collections::BTreeMap, fmt::Write as _};

use chrono::SecondsFormat;

use super::{
    outcome::{Entry, Line, Outcome, Told},
    people::Received,
};
use crate::bot::{
    config::testing::{Expected, Who},
    store::{Callback, CallbackState, Delivery, State},
};

/// Compares; within a wallet the order matters, across wallets it does not.
pub(super) fn compare(
    expected: &[Expected],
    received: Vec<Received>,
    (rows, callbacks): (&[Delivery], &[Callback]),
    problems: Vec<String>,
) -> Outcome {
    let mut outcome = Outcome {
        messages: received.len(),
        undelivered: rows
            .iter()
            .filter(|row| is_undelivered(row))
            .map(undelivered)
            .collect(),
        callbacks: callbacks.iter().map(Told::from).collect(),
        ..Outcome::default()
    };
    let mut arrived: BTreeMap<String, Vec<Received>> = BTreeMap::new();
    for message in received {
        arrived.entry(message.to.clone()).or_default().push(message);
    }
    let mut wallets: Vec<String> = Vec::new();
    let named = expected.iter().map(|entry| entry.to.to_string());
    for wallet in named.chain(arrived.keys().cloned()) {
        if !wallets.contains(&wallet) {
            wallets.push(wallet);
        }
    }
    let mut update = Vec::new();
    for wallet in wallets {
        let wanted = |entry: &&Expected| entry.is_message() && entry.to.to_string() == wallet;
        let wanted: Vec<&Expected> = expected.iter().filter(wanted).collect();
        let messages = arrived.remove(&wallet).unwrap_or_default();
        for (entry, message) in aligned(&wanted, &messages) {
            if let Some(message) = message {
                update.push(entry_of(entry, message));
            }
            outcome.lines.push(line(entry, message));
        }
    }
    update.extend(hold(expected, (rows, callbacks), &mut outcome.lines));
    outcome.ok = problems.is_empty() && outcome.lines.iter().all(Line::ok);
    outcome.update = problems.is_empty().then_some(update);
    outcome.problems = problems;
    outcome
}

/// Holds entries for rows and callbacks against those of the store, of which each counts once. Gives the entries that fit.
fn hold(
    expected: &[Expected],
    (rows, callbacks): (&[Delivery], &[Callback]),
    lines: &mut Vec<Line>,
) -> Vec<Entry> {
    let mut fitting = Vec::new();
    let mut open: Vec<&Delivery> = rows.iter().filter(|row| is_undelivered(row)).collect();
    for entry in expected.iter().filter(|entry| entry.state.is_some()) {
        let found = open.iter().position(|row| is_row(entry, row));
        let row = found.map(|at| open.remove(at));
        fitting.extend(row.map(|_| stored_entry(entry)));
        lines.push(stored(entry, row.map(undelivered)));
    }
    let mut open: Vec<&Callback> = callbacks.iter().collect();
    for entry in expected.iter().filter(|entry| entry.callback.is_some()) {
        let found = open.iter().position(|callback| is_callback(entry, callback));
        let callback = found.map(|at| open.remove(at));
        fitting.extend(callback.map(|_| stored_entry(entry)));
        let told = callback.map(|callback| Told::from(callback).to_string());
        lines.push(stored(entry, told));
    }
    fitting
}

fn is_undelivered(row: &Delivery) -> bool {
    row.state != State::Delivered
}

fn is_row(entry: &Expected, row: &Delivery) -> bool {
    entry.state == Some(row.state)
        && entry.to.address() == row.wallet
        && entry.rule.as_ref().is_none_or(|rule| *rule == row.rule)
}

fn is_callback(entry: &Expected, callback: &Callback) -> bool {
    entry.callback == Some((callback.event, callback.state))
        && entry.to.address() == callback.wallet
        && entry.rule.as_ref().is_none_or(|rule| *rule == callback.rule)
}

/// What was expected of the store, and what it has of it.
fn stored(entry: &Expected, found: Option<String>) -> Line {
    Line {
        expected: Some(words(entry)),
        received: found,
        differs: None,
    }
}

fn undelivered(row: &Delivery) -> String {
    let reason = row
        .reason
        .as_ref()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    format!("{} {} to {}{reason}", row.rule, row.state.as_str(), row.wallet)
}

/// The longest way to pair entries with messages that fit them, in order; what is left over in between is paired as it comes.
fn aligned<'e, 'm>(
    wanted: &[&'e Expected],
    messages: &'m [Received],
) -> Vec<(Option<&'e Expected>, Option<&'m Received>)> {
    let (rows, columns) = (wanted.len(), messages.len());
    let mut best = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            best[row][column] = if difference(wanted[row], &messages[column]).is_none() {
                best[row + 1][column + 1] + 1
            } else {
                best[row + 1][column].max(best[row][column + 1])
            };
        }
    }
    let (mut pairs, mut row, mut column) = (Vec::new(), 0, 0);
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    while row < rows && column < columns {
        if difference(wanted[row], &messages[column]).is_none() {
            flush(&mut pairs, &mut missing, &mut extra);
            pairs.push((Some(wanted[row]), Some(&messages[column])));
            (row, column) = (row + 1, column + 1);
        } else if best[row + 1][column] >= best[row][column + 1] {
            missing.push(wanted[row]);
            row += 1;
        } else {
            extra.push(&messages[column]);
            column += 1;
        }
    }
    missing.extend(&wanted[row..]);
    extra.extend(&messages[column..]);
    flush(&mut pairs, &mut missing, &mut extra);
    pairs
}

/// Pairs what fits nothing, as it comes.
fn flush<'e, 'm>(
    pairs: &mut Vec<(Option<&'e Expected>, Option<&'m Received>)>,
    missing: &mut Vec<&'e Expected>,
    extra: &mut Vec<&'m Received>,
) {
    let (mut missing, mut extra) = (missing.drain(..), extra.drain(..));
    loop {
        match (missing.next(), extra.next()) {
            (None, None) => return,
            pair => pairs.push(pair),
        }
    }
}

/// The first thing in which a message is not what was expected.
fn difference(entry: &Expected, message: &Received) -> Option<String> {
    let differs = |key: &str, wanted: &str, found: &str| Some(format!("{key} is {found}, expected {wanted}"));
    if let Some(text) = entry
        .text
        .as_ref()
        .filter(|text| !message.text.contains(text.as_str()))
    {
        return Some(format!("its text has no `{text}`"));
    }
    if let Some(kind) = entry.kind.as_ref().filter(|kind| *kind != message.kind) {
        return differs("type", kind, message.kind);
    }
    if let Some(rule) = entry
        .rule
        .as_ref()
        .filter(|rule| Some(*rule) != message.rule.as_ref())
    {
        return differs("rule", rule, message.rule.as_deref().unwrap_or("unknown"));
    }
    if let Some(time) = entry
        .time
        .filter(|time| time.timestamp() != message.time.timestamp())
    {
        return differs("time", &instant(time), &instant(message.time));
    }
    if let Some(thread) = entry
        .thread
        .as_ref()
        .filter(|thread| Some(*thread) != message.thread.as_ref())
    {
        return differs("thread", thread, message.thread.as_deref().unwrap_or("none"));
    }
    None
}

fn line(entry: Option<&Expected>, message: Option<&Received>) -> Line {
    let differs = entry
        .zip(message)
        .and_then(|(entry, message)| difference(entry, message));
    Line {
        expected: entry.map(words),
        received: message.map(|message| {
            let mut words = format!("{}: {}", message.to, message.text);
            let rule = message.rule.as_deref().unwrap_or("unknown");
            let _ = write!(words, " ({rule}, {}, {})", message.kind, instant(message.time));
            words
        }),
        differs,
    }
}

/// An expectation in words.
fn words(entry: &Expected) -> String {
    let what = match (&entry.text, entry.state, entry.callback) {
        (_, _, Some((event, state))) => format!("callback {}: {}", event.as_str(), state.as_str()),
        (_, Some(state), None) => state.as_str().to_owned(),
        (Some(text), None, None) => text.clone(),
        (None, None, None) => "anything".to_owned(),
    };
    let mut words = format!("{}: {what}", entry.to);
    let details: Vec<String> = [
        entry.rule.clone(),
        entry.kind.clone(),
        entry.time.map(instant),
        entry.thread.as_ref().map(|thread| format!("thread {thread}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !details.is_empty() {
        let _ = write!(words, " ({})", details.join(", "));
    }
    words
}

fn instant(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What `expect` should say of a message: the keys it has already, at least `to` and, where there is none yet, `text`.
fn entry_of(entry: Option<&Expected>, message: &Received) -> Entry {
    let mut keys = vec![("to", message.to.clone())];
    let had = |has: fn(&Expected) -> bool| entry.is_some_and(has);
    if let Some(rule) = message
        .rule
        .as_ref()
        .filter(|_| had(|entry| entry.rule.is_some()))
    {
        keys.push(("rule", rule.clone()));
    }
    match entry {
        None => keys.push(("text", message.text.trim_end().to_owned())),
        Some(entry) => {
            if let Some(text) = &entry.text {
                let fits = message.text.contains(text.as_str());
                keys.push((
                    "text",
                    if fits {
                        text.clone()
                    } else {
                        message.text.trim_end().to_owned()
                    },
                ));
            }
        }
    }
    if had(|entry| entry.kind.is_some()) || (entry.is_none() && message.kind != "text") {
        keys.push(("type", message.kind.to_owned()));
    }
    if had(|entry| entry.time.is_some()) {
        keys.push(("time", instant(message.time)));
    }
    if let Some(thread) = message
        .thread
        .as_ref()
        .filter(|_| had(|entry| entry.thread.is_some()))
    {
        keys.push(("thread", thread.clone()));
    }
    keys
}

/// The entry of a row or a callback, as it is.
fn stored_entry(entry: &Expected) -> Entry {
    let to = match &entry.to {
        Who::Name(name) => name.clone(),
        Who::Address(address) => address.to_string(),
    };
    let mut keys = vec![("to", to)];
    keys.extend(entry.rule.clone().map(|rule| ("rule", rule)));
    let callback = entry.callback;
    keys.extend(callback.map(|(event, _)| ("callback", event.as_str().to_owned())));
    let told = callback
        .map(|(_, state)| state)
        .filter(|state| *state != CallbackState::Done);
    let state = entry.state.map(State::as_str).or(told.map(CallbackState::as_str));
    keys.extend(state.map(|state| ("state", state.to_owned())));
    keys
}
