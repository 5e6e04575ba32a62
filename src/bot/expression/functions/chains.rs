//! Functions that ask chains. What they are told is known already, or is asked for before the expression is computed anew.

use super::{Accepts, Argument, Call, Function, Gives, Needs, unreadable};
use crate::bot::chain::ETHEREUM;
use crate::bot::expression::{Failure, Question, Record, Type, Value};

pub(super) static FUNCTIONS: [Function; 2] = [
    Function {
        name: BLOCK_TIME,
        usage: "block_time(chain, block)",
        about: "when a block was made; of one to come an estimate, read again until then",
        accepts: &[Accepts::Chain, Accepts::Int],
        required: 2,
        needs: Needs::Chain(None),
        gives: Gives::Always(Type::Time),
        run: block_time,
    },
    Function {
        name: "tx_status",
        usage: "x | tx_status` or `x | tx_status(chain)",
        about: "how a transaction stands: `{ found, status, time, block }`, with `status` one of `pending`, `success`, `failed`; on `ethereum` unless said otherwise",
        accepts: &[Accepts::Hash, Accepts::Chain],
        required: 1,
        needs: Needs::Chain(Some(ETHEREUM)),
        gives: Gives::From(status_type),
        run: tx_status,
    },
];

/// The function whose answers may be estimates. Names that stand on it have it among theirs.
pub(crate) const BLOCK_TIME: &str = "block_time";

fn block_time(call: &mut Call<'_>) -> Result<Value, Failure> {
    let chain = call.text(0)?;
    let wanted = || "the number of a block".to_owned();
    let number = match call.number(1)? {
        Value::Int(number) => u64::try_from(&number).map_err(|_| Failure::Mismatch {
            found: number.to_string(),
            wanted: wanted(),
        })?,
        other => return Err(Failure::mismatch(&other, wanted())),
    };
    call.ask(Question::BlockTime(&chain, number))
}

fn tx_status(call: &mut Call<'_>) -> Result<Value, Failure> {
    let hash = match call.value(0) {
        Value::Text(text) => Type::Hash
            .scalar(text)
            .ok_or_else(|| unreadable(text, Accepts::Hash.wanted()))?,
        other => other.clone(),
    };
    let Value::Hash(hash) = hash else {
        return Err(Failure::mismatch(&hash, Accepts::Hash.wanted()));
    };
    let chain = if call.has(1) {
        call.text(1)?
    } else {
        ETHEREUM.into()
    };
    call.ask(Question::TxStatus(&chain, hash))
}

fn status_type(_: &[Argument<'_>]) -> Type {
    tx_status_type()
}

/// What `tx_status` gives.
pub(crate) fn tx_status_type() -> Type {
    let status = ["pending", "success", "failed"].map(str::to_owned);
    let record: Record = [
        ("found", Type::Bool),
        ("status", Type::Choice(status.to_vec()).optional()),
        ("time", Type::Time.optional()),
        ("block", Type::Int.optional()),
    ]
    .into_iter()
    .collect();
    Type::Record(record)
}
