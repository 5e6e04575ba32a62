//! Commands: what a bot's author declares, `/alert <symbol:word> <side:above|below> <usd:decimal>`, and what a person
//! writes, `alert ETH below 2,500`, read into typed arguments or answered with the usage.

use std::cmp::Ordering;
use std::fmt;

use crate::bot::config::{Field, Part};
use crate::bot::expression::{Expression, Finding, Record, Type, Value, WalletOf};

use words::Words;

/// The words of a message.
mod words;

/// A command and its answer.
#[derive(Debug, Clone)]
pub struct Command {
    /// Name and arguments.
    pub declaration: CommandDeclaration,
    /// What `/help` says of it.
    pub about: Option<String>,
    /// Who alone may use it; for others it does not exist.
    pub admins: Option<Vec<Admin>>,
    /// `if`: when false the command is not answered.
    pub condition: Option<Expression>,
    /// What it does before it is answered.
    pub doing: Option<Doing>,
    /// What is answered, in order; nothing where it only does something.
    pub reply: Vec<Part>,
}

/// Who may use a command that is not for everybody.
#[derive(Debug, Clone)]
pub enum Admin {
    /// The members of a list.
    List(String),
    /// A wallet, or a list of them.
    Wallets(Expression),
}

/// What a command does.
#[derive(Debug, Clone)]
pub enum Doing {
    /// Adds a row of the sender to a table; the arguments are its columns.
    Add(String),
    /// Removes a row of the sender from a table.
    Remove {
        /// The table.
        table: String,
        /// The row's id.
        id: Expression,
    },
    /// Gives fields of the sender's memberships new values.
    Set {
        /// The lists that have all of the fields.
        lists: Vec<String>,
        /// The fields and their values.
        values: Vec<(String, Expression)>,
    },
    /// Fires a `manual` rule.
    Run(String),
}

/// The name and the arguments of a command, as declared.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandDeclaration {
    text: String,
    name: String,
    arguments: Vec<Argument>,
}

/// One declared argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Its name, under which `args` holds it.
    pub name: String,
    /// The type of its value; a list where it takes the rest of the line.
    pub ty: Type,
    /// The value when it is left out.
    pub default: Option<Value>,
    /// Whether it takes all words to the end of the line.
    pub takes_rest: bool,
    /// The least value.
    pub min: Option<Value>,
    /// The greatest value.
    pub max: Option<Value>,
}

impl Argument {
    /// Whether a person may leave it out.
    pub fn is_optional(&self) -> bool {
        self.default.is_some() || self.ty.is_optional()
    }
}

impl CommandDeclaration {
    /// Reads a declaration: `/name`, then arguments `<name>`, `<name:type>`, `<name:type=default>` or `<name:type...>`.
    ///
    /// An argument without a type is a word. With `...` it takes the words to the end of the line, as a list. An argument
    /// of type `text` at the end takes the rest of the line as one text.
    ///
    /// # Errors
    /// The first mistake, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, Finding> {
        let mut rest = text.trim_end();
        let mut arguments: Vec<Argument> = Vec::new();
        let name_end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(name_end);
        let name = read_name(name)?;
        rest = tail.trim_start();
        while !rest.is_empty() {
            let start = text.trim_end().len() - rest.len();
            if arguments.last().is_some_and(|last| last.takes_rest) {
                return Err(mistake(
                    start,
                    text,
                    "an argument with `...` must be the last one",
                    None,
                ));
            }
            let body = rest.strip_prefix('<').and_then(|body| body.split_once('>'));
            let Some((body, tail)) = body else {
                let hint = Some("write each argument as `<name:type>`".to_owned());
                return Err(mistake(
                    start,
                    text,
                    "expected an argument like `<name:type>`",
                    hint,
                ));
            };
            let argument = Argument::parse(body).map_err(|error| shift(error, start + 1))?;
            if arguments.iter().any(|other| other.name == argument.name) {
                let message = format!("argument `{}` stands twice", argument.name);
                return Err(mistake(start + 1, text, message, None));
            }
            if !argument.is_optional() && arguments.last().is_some_and(Argument::is_optional) {
                let message = format!(
                    "argument `{}` must have a default, since one before it has",
                    argument.name
                );
                return Err(mistake(start + 1, text, message, None));
            }
            if !tail.is_empty() && !tail.starts_with(char::is_whitespace) {
                return Err(mistake(
                    start + body.len() + 2,
                    text,
                    "expected a space after `>`",
                    None,
                ));
            }
            arguments.push(argument);
            rest = tail.trim_start();
        }
        Ok(Self {
            text: text.trim().to_owned(),
            name,
            arguments,
        })
    }

    /// The first word, lower case, without the slash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The declaration as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The arguments in order.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// The type of the record that [`read`](Self::read) gives.
    pub fn arguments_type(&self) -> Record {
        self.arguments
            .iter()
            .map(|argument| (argument.name.as_str(), argument.ty.clone()))
            .collect()
    }

    /// Bounds the arguments that fill fields of a list by what the list says of these.
    #[must_use]
    pub fn bounded_by(mut self, fields: &[Field]) -> Self {
        for argument in &mut self.arguments {
            if let Some(field) = fields.iter().find(|field| field.name == argument.name) {
                argument.min.clone_from(&field.min);
                argument.max.clone_from(&field.max);
                argument.default = argument.default.take().or_else(|| field.default.clone());
            }
        }
        self
    }

    /// Reads a message: `None` when its first word is not this command, else the arguments as a record.
    ///
    /// The first word matches in any case, with or without `/`. `wallet` says whose a name is that stands for a wallet.
    ///
    /// # Errors
    /// The arguments do not fit the declaration; the error prints as the answer.
    pub fn read(&self, message: &str, wallet: &WalletOf<'_>) -> Option<Result<Value, Misuse>> {
        let message = message.trim();
        let first_end = message.find(char::is_whitespace).unwrap_or(message.len());
        let (first, rest) = message.split_at(first_end);
        let first = first.strip_prefix('/').unwrap_or(first);
        if first.to_lowercase() != self.name {
            return None;
        }
        let read = self.read_arguments(Words::of(rest), wallet);
        Some(read.map_err(|reason| Misuse {
            usage: self.text.clone(),
            reason,
        }))
    }

    fn read_arguments(&self, mut words: Words<'_>, wallet: &WalletOf<'_>) -> Result<Value, String> {
        let mut values = Vec::with_capacity(self.arguments.len());
        for (index, argument) in self.arguments.iter().enumerate() {
            let is_last = index + 1 == self.arguments.len();
            let value = if argument.takes_rest {
                argument.read_rest(&mut words, wallet)?
            } else if is_last && argument.ty == Type::Text {
                words
                    .take_rest()
                    .map(|text| argument.read(text, wallet))
                    .transpose()?
            } else {
                words.next().map(|word| argument.read(word, wallet)).transpose()?
            };
            let value = match (value, &argument.default) {
                (Some(value), _) => value,
                (None, Some(default)) => default.clone(),
                (None, None) if argument.ty.is_optional() => Value::None,
                (None, None) => return Err(format!("`{}` is missing", argument.name)),
            };
            values.push((argument.name.as_str(), value));
        }
        match words.next() {
            Some(extra) => Err(format!(
                "nothing is expected after the arguments, found {}",
                shown(extra)
            )),
            None => Ok(Value::record(values)),
        }
    }
}

impl fmt::Display for CommandDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Argument {
    /// Reads what stands between `<` and `>`.
    fn parse(body: &str) -> Result<Self, Finding> {
        let (declared, default) = match body.split_once('=') {
            Some((declared, default)) => (declared, Some((declared.len() + 1, default))),
            None => (body, None),
        };
        let (declared, takes_rest) = match declared.strip_suffix("...") {
            Some(declared) => (declared, true),
            None => (declared, false),
        };
        let (name, ty) = match declared.split_once(':') {
            Some((name, ty)) => (
                name,
                Type::parse(ty).map_err(|error| shift(error, name.len() + 1))?,
            ),
            None => (declared, Type::Word),
        };
        if !is_identifier(name) {
            let message = format!(
                "expected a name of letters, digits and `_`, found {}",
                shown(name)
            );
            return Err(mistake(0, body, message, None));
        }
        // A list in one word has its items separated by commas; the rest of a line has them separated by spaces.
        let ty = if takes_rest && ty != Type::Text {
            Type::List(Box::new(ty))
        } else {
            ty
        };
        let mut argument = Self {
            name: name.to_owned(),
            ty,
            default: None,
            takes_rest,
            min: None,
            max: None,
        };
        if let Some((start, text)) = default {
            let value = argument
                .ty
                .read_text(text)
                .map_err(|reason| mistake(start, body, reason, None))?;
            argument.default = Some(value);
        }
        Ok(argument)
    }

    fn read(&self, text: &str, wallet: &WalletOf<'_>) -> Result<Value, String> {
        let value = self
            .ty
            .read_named(text, wallet)
            .map_err(|reason| format!("`{}`: {reason}", self.name))?;
        self.check_bounds(&value)?;
        Ok(value)
    }

    fn read_rest(&self, words: &mut Words<'_>, wallet: &WalletOf<'_>) -> Result<Option<Value>, String> {
        let Type::List(element) = &self.ty else {
            return words.take_rest().map(|text| self.read(text, wallet)).transpose();
        };
        let mut items = Vec::new();
        for word in words.by_ref() {
            items.push(
                element
                    .read_named(word, wallet)
                    .map_err(|reason| format!("`{}`: {reason}", self.name))?,
            );
        }
        Ok((!items.is_empty()).then(|| Value::list(items)))
    }

    fn check_bounds(&self, value: &Value) -> Result<(), String> {
        out_of_bounds(value, self.min.as_ref(), self.max.as_ref())
            .map_or(Ok(()), |reason| Err(format!("`{}`: {reason}", self.name)))
    }
}

/// Why a value is beyond its bounds, if it is.
pub(crate) fn out_of_bounds(value: &Value, min: Option<&Value>, max: Option<&Value>) -> Option<String> {
    let beyond = |bound: &Value, side| order(value, bound) == Some(side);
    if let Some(min) = min.filter(|min| beyond(min, Ordering::Less)) {
        return Some(format!("expected at least {min}, found {value}"));
    }
    max.filter(|max| beyond(max, Ordering::Greater))
        .map(|max| format!("expected at most {max}, found {value}"))
}

/// How two values of one type compare, for types that have an order.
pub(crate) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Decimal(left), Value::Decimal(right)) => Some(left.cmp(right)),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Whether a text can be a name in an expression.
pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Reads `/name`.
fn read_name(written: &str) -> Result<String, Finding> {
    let name = written.strip_prefix('/').unwrap_or_default();
    let spelled = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if spelled {
        return Ok(name.to_ascii_lowercase());
    }
    let hint = (!written.starts_with('/')).then(|| format!("write `/{written}`"));
    let message = format!("expected a command like `/subscribe`, found {}", shown(written));
    Err(mistake(0, written, message, hint))
}

fn mistake(start: usize, text: &str, message: impl Into<String>, hint: Option<String>) -> Finding {
    Finding {
        span: start..text.len().max(start),
        message: message.into(),
        hint,
    }
}

/// Moves a finding of a part to where the part stands.
fn shift(finding: Finding, by: usize) -> Finding {
    Finding {
        span: finding.span.start + by..finding.span.end + by,
        ..finding
    }
}

/// A text as an answer repeats it.
fn shown(text: &str) -> String {
    crate::bot::config::diagnostics::quote(text)
}

/// Arguments that do not fit. It prints as the answer: the usage, and in the next line the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Usage: {usage}\n{reason}")]
pub struct Misuse {
    /// The declaration as written.
    pub usage: String,
    /// What does not fit.
    pub reason: String,
}

#[cfg(test)]
mod tests;
