//! Exact numbers and their bounds.
//!
//! Ints are 256 bits signed. Decimals have at most 80 digits before the point, else the operation fails, and
//! at most 80 after it, to which a longer fraction is rounded half to even. Nothing is ever a binary float.

use std::num::NonZeroU64;
use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};
use num_bigint::{BigInt, Sign};

use super::{Failure, Value};

/// Digits of a decimal before and after the point.
const MAX_DIGITS: i64 = 80;

/// Significant digits of a quotient that does not end.
const QUOTIENT_DIGITS: NonZeroU64 = NonZeroU64::new(40).expect("40 is not zero");

/// Longest text read as a number: 80 digits, a point, 80 digits, with room for `_`.
const MAX_NUMBER_TEXT: usize = 256;

/// An int of at most 256 bits: an `int256` or a `uint256` of a contract.
pub(super) fn bounded_int(int: BigInt) -> Result<BigInt, Failure> {
    let fits = match int.sign() {
        Sign::Minus => (&int + 1_u8).bits() <= 255,
        _ => int.bits() <= 256,
    };
    if fits {
        Ok(int)
    } else {
        Err(Failure::Overflow("int"))
    }
}

/// A decimal within the digits that the language keeps.
pub(super) fn bounded_decimal(decimal: BigDecimal) -> Result<BigDecimal, Failure> {
    let scale = decimal.fractional_digit_count();
    if decimal.is_zero() {
        // Only the scale can be large here, and `0.00` keeps its zeros.
        return Ok(BigDecimal::new(BigInt::zero(), scale.clamp(0, MAX_DIGITS)));
    }
    let digits = i64::try_from(decimal.digits()).unwrap_or(i64::MAX);
    let before_point = digits.saturating_sub(scale);
    if before_point > MAX_DIGITS {
        return Err(Failure::Overflow("decimal"));
    }
    if before_point < -MAX_DIGITS {
        return Ok(BigDecimal::zero());
    }
    Ok(match scale {
        ..0 => decimal.with_scale(0),
        0..=MAX_DIGITS => decimal,
        _ => decimal.with_scale_round(MAX_DIGITS, RoundingMode::HalfEven),
    })
}

/// Reads `42`, `-1.10`, `1_000`, `.5`; with `exponents` also `1e3` as JSON writes it.
///
/// Digits without a point give an int, unless they exceed 256 bits; an exponent that leaves no fraction does too.
pub(super) fn parse_number(text: &str, exponents: bool) -> Option<Value> {
    if text.len() > MAX_NUMBER_TEXT {
        return None;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digit_first = unsigned
        .trim_start_matches('.')
        .starts_with(|first: char| first.is_ascii_digit());
    let permitted =
        |c: char| c.is_ascii_digit() || matches!(c, '.' | '_') || (exponents && "eE+-".contains(c));
    let points = unsigned.matches('.').count();
    if !digit_first || points > 1 || unsigned.ends_with(['.', '_']) || !unsigned.chars().all(permitted) {
        return None;
    }
    let digits = text.replace('_', "");
    if digits
        .trim_start_matches(['-', '+'])
        .chars()
        .all(|c| c.is_ascii_digit())
    {
        let int = BigInt::from_str(&digits).ok()?;
        return bounded_int(int).ok().map(Value::Int);
    }
    let decimal = bounded_decimal(BigDecimal::from_str(&digits).ok()?).ok()?;
    if digits.contains(['e', 'E']) && decimal.is_integer() {
        let int = decimal.with_scale(0).into_bigint_and_exponent().0;
        return bounded_int(int).ok().map(Value::Int);
    }
    Some(Value::Decimal(decimal))
}

/// The decimal of an int or a decimal.
pub(super) fn to_decimal(value: &Value) -> Option<BigDecimal> {
    match value {
        Value::Int(int) => Some(BigDecimal::from(int.clone())),
        Value::Decimal(decimal) => Some(decimal.clone()),
        _ => None,
    }
}

/// The exact quotient, or one of 40 significant digits where it does not end.
pub(super) fn divide(left: &BigDecimal, right: &BigDecimal) -> Result<BigDecimal, Failure> {
    if right.is_zero() {
        return Err(Failure::DivisionByZero);
    }
    let quotient = left / right;
    let exact = &quotient * right == *left;
    let kept = if exact {
        quotient
    } else {
        quotient.with_precision_round(QUOTIENT_DIGITS, RoundingMode::HalfEven)
    };
    bounded_decimal(kept.normalized())
}

/// A decimal with exactly so many digits after the point, halves away from zero as people round.
pub(super) fn rounded(decimal: &BigDecimal, digits: i64) -> BigDecimal {
    decimal.with_scale_round(digits, RoundingMode::HalfUp)
}

/// A small count, such as the argument of `truncate`.
pub(super) fn to_count(int: &BigInt, most: usize) -> Option<usize> {
    int.to_usize().filter(|count| *count <= most)
}
