//! Computes the value of a checked expression under a meter.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};

use super::code::{Code, Operation};
use super::functions::{Call, Needs};
use super::meter::Meter;
use super::operators::{arithmetic, contains, equal, index, member, negate, order};
use super::syntax::Operator;
use super::{EvaluationError, Failure, Question, Scope, Value};

/// One run of an expression or a template.
#[derive(Debug)]
pub(super) struct Evaluation<'s> {
    scope: &'s Scope,
    /// The variables of the loops around, innermost last.
    locals: Vec<(String, Value)>,
    pub(super) meter: Meter,
}

impl<'s> Evaluation<'s> {
    pub(super) fn new(scope: &'s Scope) -> Self {
        Self {
            scope,
            locals: Vec::new(),
            meter: Meter::new(),
        }
    }

    pub(super) fn evaluate(&mut self, code: &Code) -> Result<Value, EvaluationError> {
        let at = |failure: Failure| failure.at(code.span.clone());
        self.meter.charge(1).map_err(at)?;
        match &code.operation {
            Operation::Literal(value) => Ok(value.clone()),
            Operation::Name(name) => self.name(name).map_err(at),
            Operation::WalletName(name) => {
                let asked = self.scope.ask(Question::WalletOf(name));
                asked
                    .unwrap_or_else(|| Err(Failure::NoValue(name.to_string())))
                    .map_err(at)
            }
            Operation::Member(record, name) => Ok(member(&self.evaluate(record)?, name)),
            Operation::Index(container, position) => {
                let container = self.evaluate(container)?;
                Ok(index(&container, &self.evaluate(position)?))
            }
            Operation::List(items) => {
                let items = items
                    .iter()
                    .map(|item| self.evaluate(item))
                    .collect::<Result<_, _>>()?;
                Ok(Value::List(items))
            }
            Operation::Not(operand) => Ok(Value::Bool(!self.evaluate(operand)?.is_truthy())),
            Operation::Negate(operand) => negate(&self.evaluate(operand)?).map_err(at),
            Operation::Binary(operator, left, right) => self.binary(*operator, left, right, code),
            Operation::Call(function, arguments) => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.evaluate(argument)?);
                    if values.first() == Some(&Value::None) {
                        return Ok(Value::None);
                    }
                }
                let now = match function.needs {
                    Needs::Now => Some(self.now().map_err(at)?),
                    Needs::Nothing | Needs::Chain(_) => None,
                };
                let call = Call::new(&values, &mut self.meter);
                let mut call = match (function.needs, now) {
                    (Needs::Chain(_), _) => call.asking(self.scope),
                    (_, Some(now)) => call.at(now),
                    _ => call,
                };
                (function.run)(&mut call).map_err(at)
            }
            Operation::Matches(text, pattern) => {
                let value = self.evaluate(text)?;
                if value == Value::None {
                    return Ok(Value::None);
                }
                let text = Call::new(&[value], &mut self.meter).text(0).map_err(at)?;
                self.meter
                    .charge(text.len() * pattern.steps_per_byte)
                    .map_err(at)?;
                Ok(Value::Bool(pattern.regex.is_match(&text)))
            }
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: &Code,
        right: &Code,
        code: &Code,
    ) -> Result<Value, EvaluationError> {
        let at = |failure: Failure| failure.at(code.span.clone());
        let left = self.evaluate(left)?;
        match operator {
            Operator::Or if left.is_truthy() => return Ok(left),
            Operator::Or => return self.evaluate(right),
            Operator::And if !left.is_truthy() => return Ok(Value::Bool(false)),
            _ => {}
        }
        let right = self.evaluate(right)?;
        let meter = &mut self.meter;
        let holds = match operator {
            Operator::And => Ok(right.is_truthy()),
            Operator::In => contains(&right, &left, meter),
            Operator::Equal => equal(&left, &right, meter),
            Operator::Unequal => equal(&left, &right, meter).map(|equal| !equal),
            Operator::Less => order(&left, &right, meter).map(|order| order.is_some_and(Ordering::is_lt)),
            Operator::LessOrEqual => {
                order(&left, &right, meter).map(|order| order.is_some_and(Ordering::is_le))
            }
            Operator::Greater => order(&left, &right, meter).map(|order| order.is_some_and(Ordering::is_gt)),
            Operator::GreaterOrEqual => {
                order(&left, &right, meter).map(|order| order.is_some_and(Ordering::is_ge))
            }
            _ => return arithmetic(operator, &left, &right, meter).map_err(at),
        };
        holds.map(Value::Bool).map_err(at)
    }

    /// Brings a variable of a loop into scope.
    pub(super) fn enter(&mut self, name: &str, value: Value) {
        self.locals.push((name.to_owned(), value));
    }

    /// Takes the innermost variable out of scope.
    pub(super) fn leave(&mut self) {
        self.locals.pop();
    }

    /// Refuses a value that is larger than the steps that are left.
    pub(super) fn measure(&mut self, value: &Value) -> Result<(), Failure> {
        self.meter.charge_value(value)
    }

    fn name(&self, name: &str) -> Result<Value, Failure> {
        let local = self
            .locals
            .iter()
            .rev()
            .find(|(local, _)| local == name)
            .map(|(_, value)| value);
        if let Some(value) = local.or_else(|| self.scope.get(name)) {
            return Ok(value.clone());
        }
        let asked = self.scope.ask(Question::Source(name));
        asked.unwrap_or_else(|| Err(Failure::NoValue(name.to_owned())))
    }

    /// The instant of the run; a loop variable does not stand in for it.
    fn now(&self) -> Result<DateTime<Utc>, Failure> {
        match self.scope.get("now") {
            Some(Value::Time(now)) => Ok(*now),
            _ => Err(Failure::NoValue("now".to_owned())),
        }
    }
}
