//! What the operators do: the types they take when a source is checked, and the values they give.
//!
//! A text that came out of `any` is read as what it meets: beside a wallet it is an address, beside a number
//! a number. Texts of a declared type never meet those; the check refuses it.

use std::cmp::Ordering;
use std::sync::Arc;

use bigdecimal::Zero;
use chrono::{DateTime, TimeDelta, Utc};
use num_bigint::BigInt;

use super::meter::Meter;
use super::number::{bounded_decimal, bounded_int, divide, parse_number, to_decimal};
use super::read::bounded_time;
use super::syntax::Operator;
use super::{Failure, Type, Value};

/// The type of `left operator right` for `+ - * / %`, without regard to `optional`.
pub(super) fn arithmetic_type(operator: Operator, left: &Type, right: &Type) -> Option<Type> {
    let numbers = left.is_number() && right.is_number();
    match (operator, left, right) {
        (_, Type::Any, _) | (_, _, Type::Any) => Some(Type::Any),
        (Operator::Divide, ..) if numbers => Some(Type::Decimal),
        _ if numbers => Some(left.clone().join(right.clone())),
        (Operator::Add, left, right) if left.is_text() && right.is_text() => Some(Type::Text),
        (Operator::Add | Operator::Subtract, Type::Time, Type::Duration)
        | (Operator::Add, Type::Duration, Type::Time) => Some(Type::Time),
        (Operator::Subtract, Type::Time, Type::Time)
        | (Operator::Add | Operator::Subtract, Type::Duration, Type::Duration) => Some(Type::Duration),
        _ => None,
    }
}

/// Whether values of two types can be equal.
pub(super) fn comparable(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::Any, _) | (_, Type::Any) | (Type::Record(_), Type::Record(_)) => true,
        (Type::Optional(left), right) | (right, Type::Optional(left)) => comparable(left, right),
        (Type::List(left), Type::List(right)) => comparable(left, right),
        (Type::Tz, other) | (other, Type::Tz) if other.is_text() => true,
        (left, right) => {
            (left.is_number() && right.is_number()) || (left.is_text() && right.is_text()) || left == right
        }
    }
}

/// Whether values of two types have an order.
pub(super) fn sortable(ty: &Type) -> bool {
    let base = ty.base();
    base.is_number() || base.is_text() || matches!(base, Type::Any | Type::Time | Type::Duration)
}

/// Computes `+ - * / %`; `none` on either side gives `none`.
pub(super) fn arithmetic(
    operator: Operator,
    left: &Value,
    right: &Value,
    meter: &mut Meter,
) -> Result<Value, Failure> {
    let refusal = || Failure::Incompatible(operator.refusal(left.kind(), right.kind()));
    if operator == Operator::Divide {
        // Long division takes as long as a few of the other operations.
        meter.charge(4)?;
    }
    match (operator, left, right) {
        (_, Value::None, _) | (_, _, Value::None) => Ok(Value::None),
        (Operator::Add, Value::Text(left), Value::Text(right)) => {
            meter.charge_text(left.len() + right.len())?;
            Ok(Value::text([&**left, &**right].concat()))
        }
        (_, Value::Int(left), Value::Int(right)) => int_arithmetic(operator, left, right),
        (Operator::Add, Value::Time(time), Value::Duration(span))
        | (Operator::Add, Value::Duration(span), Value::Time(time)) => {
            bounded_time_value(time.checked_add_signed(*span))
        }
        (Operator::Subtract, Value::Time(time), Value::Duration(span)) => {
            bounded_time_value(time.checked_sub_signed(*span))
        }
        // Durations are whole milliseconds, so that they read back as they are stored.
        (Operator::Subtract, Value::Time(left), Value::Time(right)) => {
            let milliseconds = left.signed_duration_since(right).num_milliseconds();
            bounded_duration(TimeDelta::try_milliseconds(milliseconds))
        }
        (Operator::Add, Value::Duration(left), Value::Duration(right)) => {
            bounded_duration(left.checked_add(right))
        }
        (Operator::Subtract, Value::Duration(left), Value::Duration(right)) => {
            bounded_duration(left.checked_sub(right))
        }
        (_, Value::Text(text), other) if !matches!(other, Value::Text(_)) => {
            let left = operand(text, other).ok_or_else(refusal)?;
            arithmetic(operator, &left, other, meter)
        }
        (_, other, Value::Text(text)) if !matches!(other, Value::Text(_)) => {
            let right = operand(text, other).ok_or_else(refusal)?;
            arithmetic(operator, other, &right, meter)
        }
        _ => decimal_arithmetic(operator, left, right).unwrap_or_else(|| Err(refusal())),
    }
}

/// A text out of `any` as an operand of arithmetic; beside a time stands a duration or another time.
fn operand(text: &str, other: &Value) -> Option<Value> {
    match other {
        Value::Time(_) => Type::Duration.scalar(text).or_else(|| Type::Time.scalar(text)),
        _ => read_as(text, other),
    }
}

fn bounded_time_value(time: Option<DateTime<Utc>>) -> Result<Value, Failure> {
    time.and_then(bounded_time)
        .map(Value::Time)
        .ok_or(Failure::Overflow("time"))
}

fn bounded_duration(duration: Option<TimeDelta>) -> Result<Value, Failure> {
    duration.map(Value::Duration).ok_or(Failure::Overflow("duration"))
}

fn int_arithmetic(operator: Operator, left: &BigInt, right: &BigInt) -> Result<Value, Failure> {
    let int = match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Remainder if right.is_zero() => return Err(Failure::DivisionByZero),
        Operator::Remainder => left % right,
        _ => return divide(&left.clone().into(), &right.clone().into()).map(Value::Decimal),
    };
    bounded_int(int).map(Value::Int)
}

fn decimal_arithmetic(operator: Operator, left: &Value, right: &Value) -> Option<Result<Value, Failure>> {
    let (left, right) = (to_decimal(left)?, to_decimal(right)?);
    let decimal = match operator {
        Operator::Add => Ok(left + right),
        Operator::Subtract => Ok(left - right),
        Operator::Multiply => Ok(left * right),
        Operator::Remainder if right.is_zero() => Err(Failure::DivisionByZero),
        Operator::Remainder => Ok(left % right),
        _ => divide(&left, &right),
    };
    Some(decimal.and_then(bounded_decimal).map(Value::Decimal))
}

/// Computes `-value`.
pub(super) fn negate(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::None => Ok(Value::None),
        Value::Int(int) => bounded_int(-int).map(Value::Int),
        Value::Decimal(decimal) => Ok(Value::Decimal(-decimal)),
        Value::Duration(duration) => Ok(Value::Duration(-*duration)),
        Value::Text(text) => match parse_number(text, true) {
            Some(number) => negate(&number),
            None => Err(Failure::mismatch(value, "a number")),
        },
        _ => Err(Failure::mismatch(value, "a number or a duration")),
    }
}

/// Both values, with a text beside something else read as that; none if it cannot be read so.
fn met(left: &Value, right: &Value) -> Option<(Value, Value)> {
    match (left, right) {
        (Value::Text(_), Value::Text(_)) => None,
        (Value::Text(text), other) => Some((read_as(text, other)?, other.clone())),
        (other, Value::Text(text)) => Some((other.clone(), read_as(text, other)?)),
        _ => Some((left.clone(), right.clone())),
    }
}

fn read_as(text: &str, other: &Value) -> Option<Value> {
    match other {
        Value::Int(_) | Value::Decimal(_) => parse_number(text, true),
        Value::Wallet(_) => Type::Wallet.scalar(text),
        Value::Hash(_) => Type::Hash.scalar(text),
        Value::Time(_) => Type::Time.scalar(text),
        Value::Duration(_) => Type::Duration.scalar(text),
        Value::Tz(_) => Type::Tz.scalar(text),
        _ => None,
    }
}

/// Whether two values are equal; values of different kinds are not.
pub(super) fn equal(left: &Value, right: &Value, meter: &mut Meter) -> Result<bool, Failure> {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => {
            meter.charge_bytes(left.len().min(right.len()))?;
            Ok(left == right)
        }
        (Value::List(left), Value::List(right)) => {
            meter.charge(1)?;
            all_equal(left.len() == right.len(), left.iter().zip(right.iter()), meter)
        }
        (Value::Record(left), Value::Record(right)) => {
            meter.charge(1 + left.len())?;
            let same_names = left.names().eq(right.names());
            all_equal(same_names, left.values().iter().zip(right.values()), meter)
        }
        (Value::Text(text), other) | (other, Value::Text(text)) => {
            meter.charge_bytes(text.len())?;
            Ok(read_as(text, other).is_some_and(|read| scalar_order(&read, other) == Some(Ordering::Equal)))
        }
        _ => {
            meter.charge(1)?;
            Ok(scalar_order(left, right) == Some(Ordering::Equal))
        }
    }
}

fn all_equal<'v>(
    same_shape: bool,
    pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
    meter: &mut Meter,
) -> Result<bool, Failure> {
    if !same_shape {
        return Ok(false);
    }
    for (left, right) in pairs {
        if !equal(left, right, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The order of two values, none if either is `none`.
pub(super) fn order(left: &Value, right: &Value, meter: &mut Meter) -> Result<Option<Ordering>, Failure> {
    let refusal = || Failure::Incompatible(Operator::Less.refusal(left.kind(), right.kind()));
    match (left, right) {
        (Value::None, _) | (_, Value::None) => Ok(None),
        (Value::Text(left), Value::Text(right)) => {
            meter.charge_bytes(left.len().min(right.len()))?;
            Ok(Some(left.cmp(right)))
        }
        _ => {
            let (left, right) = met(left, right).ok_or_else(refusal)?;
            let ordered = matches!(
                left,
                Value::Int(_) | Value::Decimal(_) | Value::Time(_) | Value::Duration(_)
            );
            scalar_order(&left, &right)
                .filter(|_| ordered)
                .map(Some)
                .ok_or_else(refusal)
        }
    }
}

/// The order of two values of one kind that hold no others.
pub(super) fn scalar_order(left: &Value, right: &Value) -> Option<Ordering> {
    Some(match (left, right) {
        (Value::None, Value::None) => Ordering::Equal,
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        (Value::Int(_) | Value::Decimal(_), Value::Int(_) | Value::Decimal(_)) => {
            to_decimal(left)?.cmp(&to_decimal(right)?)
        }
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Wallet(left), Value::Wallet(right)) => left.cmp(right),
        (Value::Hash(left), Value::Hash(right)) => left.cmp(right),
        (Value::Time(left), Value::Time(right)) => left.cmp(right),
        (Value::Duration(left), Value::Duration(right)) => left.cmp(right),
        (Value::Tz(left), Value::Tz(right)) => left.name().cmp(right.name()),
        _ => return None,
    })
}

/// Whether `needle` is an element of a list, a part of a text or a field of a record.
pub(super) fn contains(container: &Value, needle: &Value, meter: &mut Meter) -> Result<bool, Failure> {
    match (container, needle) {
        (Value::List(items), _) => {
            for item in items.iter() {
                if equal(item, needle, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Value::None, _) | (_, Value::None) => Ok(false),
        (Value::Text(text), Value::Text(part)) => {
            meter.charge_bytes(text.len() + part.len())?;
            Ok(text.contains(&**part))
        }
        (Value::Record(fields), Value::Text(name)) => {
            meter.charge_bytes(name.len())?;
            Ok(fields.contains(name))
        }
        _ => Err(Failure::Incompatible(
            Operator::In.refusal(needle.kind(), container.kind()),
        )),
    }
}

/// An element of a list or a field of a record; none where there is none.
pub(super) fn index(container: &Value, index: &Value) -> Value {
    match (container, index) {
        (Value::List(items), Value::Int(index)) => usize::try_from(index)
            .ok()
            .and_then(|index| items.get(index))
            .cloned()
            .unwrap_or(Value::None),
        (container, Value::Text(name)) => member(container, name),
        _ => Value::None,
    }
}

/// A field of a record; none where there is none.
pub(super) fn member(container: &Value, name: &str) -> Value {
    match container {
        Value::Record(fields) => fields.get(name).cloned().unwrap_or(Value::None),
        _ => Value::None,
    }
}

/// Sorts by keys of one kind, `none` last; equal keys keep their order.
pub(super) fn sort(mut keyed: Vec<(Value, Value)>, meter: &mut Meter) -> Result<Arc<[Value]>, Failure> {
    let mut weight = 0;
    let first = keyed.iter().map(|(key, _)| key).find(|key| **key != Value::None);
    for (key, _) in &keyed {
        weight += key_weight(key);
        if let Some(first) = first.filter(|first| *key != Value::None && scalar_order(first, key).is_none()) {
            return Err(Failure::Incompatible(
                Operator::Less.refusal(first.kind(), key.kind()),
            ));
        }
    }
    meter.charge(weight.saturating_mul(1 + keyed.len().checked_ilog2().unwrap_or(0) as usize))?;
    keyed.sort_by(|(left, _), (right, _)| {
        let none_last = (*left == Value::None).cmp(&(*right == Value::None));
        none_last.then_with(|| scalar_order(left, right).unwrap_or(Ordering::Equal))
    });
    Ok(keyed.into_iter().map(|(_, value)| value).collect())
}

/// Steps of one comparison with the key.
fn key_weight(key: &Value) -> usize {
    match key {
        Value::Text(text) => 1 + text.len() / 64,
        _ => 1,
    }
}
