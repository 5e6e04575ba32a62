//! Wallets that expressions name.

use super::{
    gather::{Ask, Error},
    named,
    row::{Row, Who, who},
    stage::Stage,
};
use crate::bot::{
    chain::WalletName,
    expression::{Expression, Value},
};

/// Stages the wallets that the expressions give. One that is no wallet refuses the whole of it; a name without a wallet is a row that
/// cannot be read.
pub(super) async fn read(
    ask: &Ask<'_>,
    expressions: &[Expression],
    stage: &mut Stage<'_>,
) -> Result<(), Error> {
    let mut people = Vec::new();
    for expression in expressions {
        if let Some(name) = expression.as_wallet_name() {
            people.push(Who::Named(name.clone()));
            continue;
        }
        let value = expression.evaluate(ask.scope);
        let value = value.map_err(|error| Error::Rejected(format!("`to`: {error}")))?;
        collect(&value, &mut people)?;
    }
    let names = people.iter().filter_map(|who| match who {
        Who::Named(name) => Some(name.clone()),
        Who::Wallet(_) => None,
    });
    let names: Vec<WalletName> = names.collect();
    let mut found = named::wallets(ask, &names).await?.into_iter();
    let rows = (1..).zip(people).map(|(number, who)| {
        let wallet = match who {
            Who::Wallet(wallet) => Ok(wallet),
            Who::Named(_) => found
                .next()
                .unwrap_or_else(|| Err("its name was not asked".to_owned())),
        };
        let found = wallet.map(|wallet| (wallet, None));
        Row { number, found }
    });
    Ok(stage.take(rows.collect()).await?)
}

fn collect(value: &Value, people: &mut Vec<Who>) -> Result<(), Error> {
    match value {
        Value::Wallet(wallet) => people.push(Who::Wallet(*wallet)),
        Value::Text(text) => {
            let read = who(text).map_err(|reason| Error::Rejected(format!("`to`: {reason}")));
            people.push(read?);
        }
        // An optional wallet that is not there.
        Value::None => {}
        Value::List(items) => {
            for item in items.iter() {
                collect(item, people)?;
            }
        }
        other => {
            let reason = format!("`to`: expected a wallet, found `{}`", other.to_text());
            return Err(Error::Rejected(reason));
        }
    }
    Ok(())
}
