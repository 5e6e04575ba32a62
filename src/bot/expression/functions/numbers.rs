//! Functions of numbers.

use std::cmp::Ordering;

use bigdecimal::{BigDecimal, Signed};
use num_bigint::BigInt;

use super::super::number::{bounded_decimal, bounded_int, rounded};
use super::super::operators::order;
use super::{Accepts, Argument, Call, Function, Gives, Needs, Refusal, element};
use crate::bot::expression::{Failure, Type, Value};

/// Most digits after the point that a function is asked for.
const MOST_DIGITS: usize = 80;

pub(super) static FUNCTIONS: [Function; 8] = [
    Function {
        name: "units",
        usage: "units(value, decimals)",
        about: "a chain's whole number as a decimal: `units(1050000, 6)` is 1.05",
        accepts: &[Accepts::Number, Accepts::Int],
        required: 2,
        needs: Needs::Nothing,
        gives: Gives::Always(Type::Decimal),
        run: units,
    },
    Function {
        name: "fixed",
        usage: "x | fixed(digits)",
        about: "that many digits behind the point, rounded half up",
        accepts: &[Accepts::Number, Accepts::Int],
        required: 2,
        needs: Needs::Nothing,
        gives: Gives::Always(Type::Decimal),
        run: fixed,
    },
    Function {
        name: "usd",
        usage: "x | usd",
        about: "dollars: `$1,234.50`",
        accepts: &[Accepts::Number],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Always(Type::Text),
        run: usd,
    },
    Function {
        name: "percent",
        usage: "x | percent(digits)",
        about: "a fraction as percent: `0.123 | percent(1)` is 12.3%",
        accepts: &[Accepts::Number, Accepts::Int],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Always(Type::Text),
        run: percent,
    },
    Function {
        name: "round",
        usage: "x | round(digits)",
        about: "rounded half up; to a whole number without digits",
        accepts: &[Accepts::Number, Accepts::Int],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::From(rounded_type),
        run: round,
    },
    Function {
        name: "abs",
        usage: "x | abs",
        about: "without its sign",
        accepts: &[Accepts::Number],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Same,
        run: abs,
    },
    Function {
        name: "min",
        usage: "min(a, b)` or `list | min",
        about: "the least of two values, or of a list",
        accepts: &[Accepts::Ordered, Accepts::Ordered],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Try(extreme_type),
        run: min,
    },
    Function {
        name: "max",
        usage: "max(a, b)` or `list | max",
        about: "the greatest of two values, or of a list",
        accepts: &[Accepts::Ordered, Accepts::Ordered],
        required: 1,
        needs: Needs::Nothing,
        gives: Gives::Try(extreme_type),
        run: max,
    },
];

/// An int as a chain counts it, in units of so many decimals: `units(1050000000000000000, 18)` is `1.05`.
fn units(call: &mut Call<'_>) -> Result<Value, Failure> {
    let decimals = call.count(1, 0, MOST_DIGITS)?;
    let scale = i64::try_from(decimals).unwrap_or(0);
    let (digits, own_scale) = call.decimal(0)?.into_bigint_and_exponent();
    bounded_decimal(BigDecimal::new(digits, own_scale + scale).normalized()).map(Value::Decimal)
}

fn fixed(call: &mut Call<'_>) -> Result<Value, Failure> {
    let digits = digits(call)?;
    Ok(Value::Decimal(rounded(&call.decimal(0)?, digits)))
}

/// Without digits an int, with them a decimal of at most that many.
fn round(call: &mut Call<'_>) -> Result<Value, Failure> {
    let digits = digits(call)?;
    let decimal = rounded(&call.decimal(0)?, digits);
    if call.has(1) {
        return bounded_decimal(decimal.normalized()).map(Value::Decimal);
    }
    bounded_int(decimal.into_bigint_and_exponent().0).map(Value::Int)
}

fn rounded_type(arguments: &[Argument<'_>]) -> Type {
    if arguments.len() > 1 {
        Type::Decimal
    } else {
        Type::Int
    }
}

fn usd(call: &mut Call<'_>) -> Result<Value, Failure> {
    let amount = rounded(&call.decimal(0)?, 2);
    let plain = amount.abs().to_plain_string();
    let (whole, cents) = plain.split_once('.').unwrap_or((&plain, "00"));
    let mut text = String::from(if amount.is_negative() { "-$" } else { "$" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    call.made(format!("{text}.{cents}"))
}

fn percent(call: &mut Call<'_>) -> Result<Value, Failure> {
    let digits = digits(call)?;
    let percent = call.decimal(0)? * BigDecimal::from(100);
    call.made(format!("{}%", rounded(&percent, digits).to_plain_string()))
}

fn abs(call: &mut Call<'_>) -> Result<Value, Failure> {
    match call.number(0)? {
        Value::Int(int) => bounded_int(BigInt::abs(&int)).map(Value::Int),
        Value::Decimal(decimal) => Ok(Value::Decimal(decimal.abs())),
        other => Err(Failure::mismatch(&other, "a number")),
    }
}

fn min(call: &mut Call<'_>) -> Result<Value, Failure> {
    extreme(call, Ordering::Less)
}

fn max(call: &mut Call<'_>) -> Result<Value, Failure> {
    extreme(call, Ordering::Greater)
}

/// The least or greatest of two values, or of a list; `none` is left out, nothing else gives `none`.
fn extreme(call: &mut Call<'_>, wanted: Ordering) -> Result<Value, Failure> {
    let items = if call.has(1) {
        call.arguments.into()
    } else {
        call.list(0)?
    };
    let mut best = Value::None;
    for item in items.iter().filter(|item| **item != Value::None) {
        if best == Value::None || order(item, &best, call.meter)? == Some(wanted) {
            best = item.clone();
        }
    }
    Ok(best)
}

fn extreme_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    match arguments {
        [
            Argument {
                ty: Type::List(_) | Type::Any,
                ..
            },
        ] => Ok(element(arguments).optional()),
        [left, right] if !matches!((left.ty, right.ty), (Type::List(_), _) | (_, Type::List(_))) => {
            if super::super::operators::comparable(left.ty, right.ty) {
                return Ok(left.ty.clone().join(right.ty.clone()));
            }
            Err(Refusal::new(
                1,
                format!("cannot compare {} with {}", left.ty.kind(), right.ty.kind()),
            ))
        }
        _ => Err(Refusal::new(0, "wanted one list or two values")),
    }
}

fn digits(call: &Call<'_>) -> Result<i64, Failure> {
    Ok(i64::try_from(call.count(1, 0, MOST_DIGITS)?).unwrap_or(0))
}
