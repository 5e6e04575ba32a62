//! Wallets that expressions name.

use herald_protocol::address::Address;

use super::{
    gather::{Ask, Error},
    row::{Row, wallet},
    stage::Stage,
};
use crate::bot::expression::{Expression, Value};

/// Stages the wallets that the expressions give. One that is no wallet refuses the whole of it.
pub(super) async fn read(
    ask: &Ask<'_>,
    expressions: &[Expression],
    stage: &mut Stage<'_>,
) -> Result<(), Error> {
    let mut wallets = Vec::new();
    for expression in expressions {
        let value = expression.evaluate(ask.scope);
        let value = value.map_err(|error| Error::Rejected(format!("`to`: {error}")))?;
        collect(&value, &mut wallets)?;
    }
    let rows = (1..).zip(wallets).map(|(number, wallet)| Row {
        number,
        found: Ok((wallet, None)),
    });
    Ok(stage.take(rows.collect()).await?)
}

fn collect(value: &Value, wallets: &mut Vec<Address>) -> Result<(), Error> {
    match value {
        Value::Wallet(wallet) => wallets.push(*wallet),
        Value::Text(text) => {
            let read = wallet(text).map_err(|reason| Error::Rejected(format!("`to`: {reason}")));
            wallets.push(read?);
        }
        // An optional wallet that is not there.
        Value::None => {}
        Value::List(items) => {
            for item in items.iter() {
                collect(item, wallets)?;
            }
        }
        other => {
            let reason = format!("`to`: expected a wallet, found `{}`", other.to_text());
            return Err(Error::Rejected(reason));
        }
    }
    Ok(())
}
