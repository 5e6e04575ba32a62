//! `log`.

use super::report::Report;
use super::{Context, project, scope};
use crate::bot::chain::abi;
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::file::LogFile;
use crate::bot::config::shape::Place;
use crate::bot::config::spanned::Text;
use crate::bot::expression::{Expression, Record, Type};
use crate::bot::trigger::EvmLog;

/// The largest ABI that is read. Ours: compilers write some 100 KiB.
const LARGEST_ABI: u64 = 8 * 1024 * 1024;

/// Reads `log`, and adds the names that it gives.
pub(super) fn resolve(
    report: &mut Report<'_>,
    context: &Context,
    file: &LogFile,
    names: &mut Vec<(&'static str, Type)>,
) -> Option<EvmLog> {
    let event = event(report, context, file);
    let ty = event.as_ref().map_or(Type::Any, abi::Event::ty);
    names.push(("event", ty.clone()));
    names.push(("block", block()));
    names.push(("tx", Type::Hash));
    names.push(("log_index", Type::Int));
    names.push(("contract", Type::Wallet));
    let chain = chain(report, context, &file.chain);
    let at = contracts(report, context, &file.at);
    let condition = file.condition.as_ref().map_or(Some(None), |text| {
        let mut names = scope::everywhere(&context.vars);
        // No occurrence is there yet.
        names.remove("occurrence");
        names.insert("event", ty);
        report.expression(text, &names.naming()).map(Some)
    });
    let confirmations = file
        .confirmations
        .as_ref()
        .map_or(Some(None), |text| project::confirmations(report, text).map(Some));
    let start = file.start.as_ref().map_or(Some(None), |text| start(report, text));
    Some(EvmLog {
        chain: chain?,
        event: event?,
        at: at?,
        condition: condition?,
        confirmations: confirmations?,
        start: start?,
    })
}

fn block() -> Type {
    let record: Record = [("number", Type::Int), ("hash", Type::Hash), ("time", Type::Time)]
        .into_iter()
        .collect();
    Type::Record(record)
}

fn event(report: &mut Report<'_>, context: &Context, file: &LogFile) -> Option<abi::Event> {
    let Some(path) = &file.abi else {
        return match abi::Event::parse(&file.log.value) {
            Ok(event) => Some(event),
            Err(mistake) => {
                let hint = "like `Transfer(address indexed from, address indexed to, uint256 value)`";
                let place = Place::In(file.log.node, mistake.at);
                report.add(place, Code::Type, mistake.message, Some(hint.to_owned()));
                None
            }
        };
    };
    let full = context.folder.join(&path.value);
    let fits = std::fs::metadata(&full).is_ok_and(|found| found.is_file() && found.len() <= LARGEST_ABI);
    let text = if fits {
        std::fs::read_to_string(&full).map_err(|error| error.to_string())
    } else {
        Err("expected a file of at most 8 MiB".to_owned())
    };
    let text = match text {
        Ok(text) => text,
        Err(reason) => {
            let message = format!("cannot read {}: {reason}", quote(&path.value));
            report.wrong(path, Code::Unreadable, message, None);
            return None;
        }
    };
    match abi::Event::find(&text, &file.log.value) {
        Ok(event) => Some(event),
        Err(message) => {
            report.wrong(&file.log, Code::Type, message, None);
            None
        }
    }
}

/// A chain that the project knows.
pub(super) fn chain(report: &mut Report<'_>, context: &Context, text: &Text) -> Option<String> {
    let name = &text.value;
    if context.project.chain(name).is_none() {
        let message = format!("the project has no chain {}", quote(name));
        let hint = Report::meant(name, context.project.chain_names())
            .unwrap_or_else(|| "chains stand under `chains` of herald.yaml".to_owned());
        report.wrong(text, Code::Undefined, message, Some(hint));
        return None;
    }
    report.note_chain(text.node, name);
    Some(name.clone())
}

/// The address of a contract, or several.
fn contracts(report: &mut Report<'_>, context: &Context, text: &Text) -> Option<Expression> {
    let mut names = scope::everywhere(&context.vars);
    names.remove("occurrence");
    let at = report.expression(text, &names.naming())?;
    let several = Type::List(Box::new(Type::Wallet));
    if !Type::Wallet.accepts(at.ty()) && !several.accepts(at.ty()) {
        let message = format!(
            "expected the address of a contract, or a list of several, found {}",
            at.ty()
        );
        report.wrong(text, Code::Expression, message, None);
        return None;
    }
    Some(at)
}

#[expect(
    clippy::option_option,
    reason = "an absent value and a wrong one are different things"
)]
fn start(report: &mut Report<'_>, text: &Text) -> Option<Option<u64>> {
    if text.value == "now" {
        return Some(None);
    }
    let is_number = text.value.bytes().all(|byte| byte.is_ascii_digit());
    let block = text.value.parse().ok().filter(|_| is_number);
    if block.is_none() {
        let message = format!(
            "expected `now` or the number of a block, found {}",
            quote(&text.value)
        );
        report.wrong(text, Code::Word, message, None);
    }
    block.map(Some)
}
