//! Functions of wallets and hashes.

use super::{Accepts, Call, Function, Gives, Needs, unreadable};
use crate::bot::chain::ETHEREUM;
use crate::bot::expression::{Failure, Question, Type, Value};

/// The filter for the names of wallets.
pub(crate) const ENS: &str = "ens";

pub(super) static FUNCTIONS: [Function; 3] = [
    Function {
        name: "short",
        usage: "x | short",
        about: "a wallet or hash in short: `0x12…ab`",
        accepts: &[Accepts::Identifier],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Always(Type::Text),
        run: short,
    },
    Function {
        name: ENS,
        usage: "x | ens",
        about: "the name of a wallet: the ENS name that it claims and owns, else the wallet in short",
        accepts: &[Accepts::Wallet],
        required: 1,
        needs: Needs::Chain(Some(ETHEREUM)),
        gives: Gives::Always(Type::Text),
        run: ens,
    },
    Function {
        name: "checksum",
        usage: "x | checksum",
        about: "a wallet as EIP-55 writes it",
        accepts: &[Accepts::Wallet],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Always(Type::Text),
        run: checksum,
    },
];

/// `0x12…ab`
fn short(call: &mut Call<'_>) -> Result<Value, Failure> {
    let identifier = match call.value(0) {
        Value::Text(text) => Type::Wallet
            .scalar(text)
            .or_else(|| Type::Hash.scalar(text))
            .ok_or_else(|| unreadable(text, Accepts::Identifier.wanted()))?,
        value @ (Value::Wallet(_) | Value::Hash(_)) => value.clone(),
        value => return Err(Failure::mismatch(value, Accepts::Identifier.wanted())),
    };
    call.made(shortened(&identifier))
}

fn shortened(identifier: &Value) -> String {
    let text = identifier.to_text();
    let start: String = text.chars().take(4).collect();
    let end: String = text.chars().skip(text.len() - 2).collect();
    format!("{start}…{end}")
}

/// The name of a wallet, else `0x12…ab`.
fn ens(call: &mut Call<'_>) -> Result<Value, Failure> {
    let wallet = call.wallet(0)?;
    match call.ask(Question::NameOf(wallet))? {
        Value::None => call.made(shortened(&Value::Wallet(wallet))),
        name => call.made(name.to_text()),
    }
}

/// The address in the mixed case of EIP-55, as a text.
fn checksum(call: &mut Call<'_>) -> Result<Value, Failure> {
    let wallet = call.wallet(0)?;
    call.made(wallet.to_string())
}
