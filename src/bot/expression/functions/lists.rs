//! Functions of lists.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use super::super::meter::BoundedText;
use super::super::number::to_decimal;
use super::super::operators::{arithmetic, comparable, equal, member, sort as sort_keyed, sortable};
use super::super::print;
use super::super::syntax::Operator;
use super::{Accepts, Argument, Call, Function, Gives, Needs, Refusal, element};
use crate::bot::expression::{Failure, MAX_TEXT, Type, Value, nearest};

/// A function whose first argument is a list.
const fn function(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    accepts: &'static [Accepts],
    required: usize,
    gives: Gives,
    run: fn(&mut Call<'_>) -> Result<Value, Failure>,
) -> Function {
    Function {
        name,
        usage,
        about,
        accepts,
        required,
        needs: Needs::Nothing,
        gives,
        run,
    }
}

const FIELD: &[Accepts] = &[Accepts::List, Accepts::Field];

pub(super) static FUNCTIONS: [Function; 9] = [
    function(
        "length",
        "x | length",
        "how many items, characters or fields",
        &[Accepts::Countable],
        1,
        Gives::Always(Type::Int),
        length,
    ),
    function(
        "first",
        "x | first",
        "the first item, `none` of an empty list",
        &[Accepts::List],
        1,
        Gives::From(optional_element),
        first,
    ),
    function(
        "last",
        "x | last",
        "the last item, `none` of an empty list",
        &[Accepts::List],
        1,
        Gives::From(optional_element),
        last,
    ),
    function(
        "join",
        "x | join(separator)",
        "the items as one text with the separator between them",
        &[Accepts::List, Accepts::Text],
        2,
        Gives::Always(Type::Text),
        join,
    ),
    function(
        "sort",
        "x | sort(\"field\")",
        "the items in order, by a field where they are records",
        FIELD,
        1,
        Gives::Try(sorted_type),
        sort,
    ),
    function(
        "map",
        "x | map(\"field\")",
        "that field of each item",
        FIELD,
        2,
        Gives::Try(mapped_type),
        map,
    ),
    function(
        "where",
        "x | where(\"field\", value)",
        "the items whose field has the value",
        &[Accepts::List, Accepts::Field, Accepts::Anything],
        3,
        Gives::Try(filtered_type),
        filter,
    ),
    function(
        "sum",
        "x | sum(\"field\")",
        "the sum of numbers, or of a field of records",
        FIELD,
        1,
        Gives::Try(sum_type),
        sum,
    ),
    function(
        "unique",
        "x | unique",
        "each item once, in the order of their first",
        &[Accepts::List],
        1,
        Gives::Same,
        unique,
    ),
];

/// The number of elements, characters or fields.
fn length(call: &mut Call<'_>) -> Result<Value, Failure> {
    let length = match call.value(0) {
        Value::List(items) => items.len(),
        Value::Record(fields) => fields.len(),
        _ => call.text(0)?.chars().count(),
    };
    Ok(Value::Int(length.into()))
}

fn first(call: &mut Call<'_>) -> Result<Value, Failure> {
    Ok(call.list(0)?.first().cloned().unwrap_or(Value::None))
}

fn last(call: &mut Call<'_>) -> Result<Value, Failure> {
    Ok(call.list(0)?.last().cloned().unwrap_or(Value::None))
}

fn optional_element(arguments: &[Argument<'_>]) -> Type {
    element(arguments).optional()
}

/// The elements as they print, with the separator between them; `none` is left out.
fn join(call: &mut Call<'_>) -> Result<Value, Failure> {
    let (items, separator) = (call.list(0)?, call.text(1)?);
    call.write(|out| {
        for (index, item) in items.iter().filter(|item| **item != Value::None).enumerate() {
            if index > 0 {
                out.write_str(&separator)?;
            }
            print::write_text(item, out)?;
        }
        Ok(())
    })
}

fn sort(call: &mut Call<'_>) -> Result<Value, Failure> {
    let items = call.list(0)?;
    let field = field_name(call, 1);
    let keyed = items
        .iter()
        .map(|item| (key(item, field.as_deref()), item.clone()))
        .collect();
    sort_keyed(keyed, call.meter).map(Value::List)
}

fn sorted_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    let key = field_type(arguments)?;
    if sortable(&key) {
        return Ok(same(arguments));
    }
    Err(Refusal::new(0, format!("cannot sort by {}", key.kind())))
}

fn map(call: &mut Call<'_>) -> Result<Value, Failure> {
    let items = call.list(0)?;
    let field = field_name(call, 1);
    Ok(Value::list(items.iter().map(|item| key(item, field.as_deref()))))
}

fn mapped_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    Ok(Type::List(Box::new(field_type(arguments)?)))
}

fn filter(call: &mut Call<'_>) -> Result<Value, Failure> {
    let items = call.list(0)?;
    let field = field_name(call, 1);
    let wanted = call.value(2);
    let mut kept = Vec::new();
    for item in items.iter() {
        if equal(&key(item, field.as_deref()), wanted, call.meter)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn filtered_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    let field = field_type(arguments)?;
    let Some(value) = arguments.get(2) else {
        return Ok(same(arguments));
    };
    if !comparable(field.base(), value.ty) {
        return Err(Refusal::new(
            2,
            format!("cannot compare {} with {}", field.kind(), value.ty.kind()),
        ));
    }
    if let (Type::Choice(options), Some(text)) = (field.base(), value.literal_text())
        && !options.iter().any(|option| option == text)
    {
        let hint =
            nearest(text, options.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
        return Err(Refusal {
            argument: 2,
            message: format!("\"{text}\" is none of {}", field.base()),
            hint,
        });
    }
    Ok(same(arguments))
}

/// The sum of the elements or of one of their fields; `none` counts as nothing, an empty list gives 0.
fn sum(call: &mut Call<'_>) -> Result<Value, Failure> {
    let items = call.list(0)?;
    let field = field_name(call, 1);
    let mut sum = Value::Int(0.into());
    for item in items.iter() {
        let key = key(item, field.as_deref());
        if key != Value::None {
            sum = arithmetic(Operator::Add, &sum, &key, call.meter)?;
        }
    }
    Ok(sum)
}

fn sum_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    let ty = field_type(arguments)?;
    match ty.base() {
        Type::Any => Ok(Type::Any),
        number if number.is_number() => Ok(number.clone()),
        other => Err(Refusal::new(0, format!("cannot add up {}", other.kind()))),
    }
}

/// Each value once, where it stood first.
fn unique(call: &mut Call<'_>) -> Result<Value, Failure> {
    let items = call.list(0)?;
    let mut seen = HashSet::new();
    let mut kept: Vec<Value> = Vec::new();
    for item in items.iter() {
        if seen.insert(identity(call, item)?) {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

/// A text that equal values share: their JSON, numbers without needless zeros.
fn identity(call: &mut Call<'_>, item: &Value) -> Result<String, Failure> {
    let number = to_decimal(item).map(|decimal| Value::Decimal(decimal.normalized()));
    let mut text = String::new();
    BoundedText::append(call.meter, &mut text, MAX_TEXT, |out| {
        print::write_json(number.as_ref().unwrap_or(item), out)
    })?;
    Ok(text)
}

fn same(arguments: &[Argument<'_>]) -> Type {
    Type::List(Box::new(element(arguments)))
}

/// The name of a field, which the check has seen written out.
fn field_name(call: &Call<'_>, index: usize) -> Option<Arc<str>> {
    match call.value(index) {
        Value::Text(name) => Some(Arc::clone(name)),
        _ => None,
    }
}

/// The field of an element, or the element itself.
fn key(item: &Value, field: Option<&str>) -> Value {
    field.map_or_else(|| item.clone(), |field| member(item, field))
}

/// The type of the field that the second argument names, or of the elements without one.
fn field_type(arguments: &[Argument<'_>]) -> Result<Type, Refusal> {
    let element = element(arguments);
    let Some(field) = arguments.get(1).and_then(Argument::literal_text) else {
        return Ok(element);
    };
    match element.base() {
        Type::Any => Ok(Type::Any),
        Type::Record(fields) => match fields.get(field) {
            Some(ty) if element.is_optional() => Ok(ty.clone().optional()),
            Some(ty) => Ok(ty.clone()),
            None => {
                let near = nearest(field, fields.iter().map(|(name, _)| name));
                let hint = near.map(|name| format!("did you mean `{name}`?"));
                Err(Refusal {
                    argument: 1,
                    message: format!("the elements have no field `{field}`"),
                    hint,
                })
            }
        },
        other => Err(Refusal::new(
            1,
            format!("the elements are of type {}, they have no fields", other.kind()),
        )),
    }
}
