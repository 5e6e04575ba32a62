//! Lines of Solidity: `Transfer(address indexed from, address indexed to, uint256 value)`.

use std::collections::BTreeSet;

use super::{Event, Function, Kind, Mistake, Parameter, words};

/// Lists and tuples may be this deep in one another.
const MAX_DEPTH: usize = 8;
/// Words that the parameters of one line take before anything of variable length: far above what contracts have.
const MAX_WORDS: usize = 4096;
/// Parameters of one line, parts of tuples included.
const MAX_PARAMETERS: usize = 256;

pub(super) fn event(line: &str) -> Result<Event, Mistake> {
    let mut reader = Reader::new(line);
    reader.take_word("event");
    let name = reader.name("the name of an event")?;
    let parameters = reader.parameters(true, 0)?;
    let anonymous = reader.take_word("anonymous");
    reader.end()?;
    if parameters.iter().filter(|one| one.indexed).count() > 3 + usize::from(anonymous) {
        return Err(reader.mistake("found more than three indexed parameters"));
    }
    Ok(Event::new(name, parameters, anonymous))
}

pub(super) fn function(line: &str) -> Result<Function, Mistake> {
    let mut reader = Reader::new(line);
    reader.take_word("function");
    let name = reader.name("the name of a function")?;
    let inputs = reader.parameters(false, 0)?;
    while ["external", "public", "view", "pure"]
        .iter()
        .any(|word| reader.take_word(word))
    {}
    if !reader.take_word("returns") {
        return Err(reader.expected("`returns (…)`"));
    }
    let outputs = reader.parameters(false, 0)?;
    reader.end()?;
    Ok(Function::new(name, inputs, outputs))
}

/// Reads a type by its spelling in a JSON ABI; `parts` are those of its tuple.
pub(super) fn kind(text: &str, parts: Option<Vec<Parameter>>) -> Result<Kind, Mistake> {
    let mut reader = Reader::new(text);
    let base = match (parts, reader.take_word("tuple")) {
        (Some(parts), true) if !parts.is_empty() => Kind::Tuple(parts),
        (_, true) => return Err(reader.expected("the `components` of a tuple")),
        (_, false) => reader.simple()?,
    };
    let kind = reader.suffixes(base)?;
    reader.end()?;
    Ok(kind)
}

/// What bounds hold for every list of parameters: their size, and that each has a name of its own.
pub(super) fn checked(parameters: Vec<Parameter>) -> Result<Vec<Parameter>, String> {
    if words(&parameters) > MAX_WORDS {
        return Err(format!("found parameters of more than {MAX_WORDS} words"));
    }
    let mut names = BTreeSet::new();
    for parameter in &parameters {
        if !names.insert(parameter.name.as_str()) {
            return Err(format!("two parameters are called `{}`", parameter.name));
        }
    }
    Ok(parameters)
}

struct Reader<'l> {
    line: &'l str,
    at: usize,
    parameters: usize,
}

impl<'l> Reader<'l> {
    fn new(line: &'l str) -> Self {
        Self {
            line,
            at: 0,
            parameters: 0,
        }
    }

    fn rest(&self) -> &'l str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.line.len() - self.rest().trim_start().len();
    }

    fn mistake(&self, message: impl Into<String>) -> Mistake {
        Mistake {
            at: self.at,
            message: message.into(),
        }
    }

    fn expected(&mut self, wanted: &str) -> Mistake {
        self.skip_space();
        let found: String = self.rest().chars().take(20).collect();
        let found = if found.is_empty() {
            "the end".to_owned()
        } else {
            format!("`{found}`")
        };
        self.mistake(format!("expected {wanted}, found {found}"))
    }

    /// The word that comes next, which is not taken.
    fn word(&mut self) -> &'l str {
        self.skip_space();
        let rest = self.rest();
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$'));
        let end = rest.find(is_end).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    fn take_word(&mut self, wanted: &str) -> bool {
        let is_next = self.word() == wanted;
        if is_next {
            self.at += wanted.len();
        }
        is_next
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(sign);
        if is_next {
            self.at += sign.len_utf8();
        }
        is_next
    }

    fn name(&mut self, wanted: &str) -> Result<String, Mistake> {
        let word = self.word();
        if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.expected(wanted));
        }
        self.at += word.len();
        Ok(word.to_owned())
    }

    fn end(&mut self) -> Result<(), Mistake> {
        self.take(';');
        self.skip_space();
        if self.rest().is_empty() {
            return Ok(());
        }
        Err(self.expected("the end of the line"))
    }

    /// `(type name, …)`.
    fn parameters(&mut self, of_event: bool, depth: usize) -> Result<Vec<Parameter>, Mistake> {
        if depth > MAX_DEPTH {
            return Err(self.mistake(format!("a type nests at most {MAX_DEPTH} deep")));
        }
        if !self.take('(') {
            return Err(self.expected("`(`"));
        }
        let mut parameters = Vec::new();
        if !self.take(')') {
            loop {
                parameters.push(self.parameter(of_event && depth == 0, parameters.len(), depth)?);
                if self.take(')') {
                    break;
                }
                if !self.take(',') {
                    return Err(self.expected("`,` or `)`"));
                }
            }
        }
        checked(parameters).map_err(|message| self.mistake(message))
    }

    fn parameter(&mut self, of_event: bool, place: usize, depth: usize) -> Result<Parameter, Mistake> {
        self.parameters += 1;
        if self.parameters > MAX_PARAMETERS {
            return Err(self.mistake(format!("found more than {MAX_PARAMETERS} parameters")));
        }
        self.take_word("tuple");
        self.skip_space();
        let base = if self.rest().starts_with('(') {
            let parts = self.parameters(false, depth + 1)?;
            if parts.is_empty() {
                return Err(self.mistake("a tuple has parts"));
            }
            Kind::Tuple(parts)
        } else {
            self.simple()?
        };
        let kind = self.suffixes(base)?;
        for location in ["memory", "calldata", "payable"] {
            self.take_word(location);
        }
        let indexed = of_event && self.take_word("indexed");
        let name = match self.word() {
            "" if of_event => return Err(self.expected("the name of the parameter")),
            "" => format!("arg{place}"),
            _ => self.name("the name of a parameter")?,
        };
        Ok(Parameter { name, kind, indexed })
    }

    fn simple(&mut self) -> Result<Kind, Mistake> {
        let word = self.word();
        let Some(kind) = simple(word) else {
            return Err(self.expected("a type such as `uint256`, `address` or `string`"));
        };
        self.at += word.len();
        Ok(kind)
    }

    /// `[]` and `[N]` behind a type.
    fn suffixes(&mut self, mut kind: Kind) -> Result<Kind, Mistake> {
        let mut depth = 0;
        while self.take('[') {
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(self.mistake(format!("a type nests at most {MAX_DEPTH} deep")));
            }
            let count = self.word();
            kind = if count.is_empty() {
                Kind::List(Box::new(kind))
            } else {
                let wanted = format!("a number from 1 to {MAX_WORDS}");
                let number = count.parse().ok().filter(|count| (1..=MAX_WORDS).contains(count));
                let Some(number) = number else {
                    return Err(self.expected(&wanted));
                };
                self.at += count.len();
                Kind::Array(Box::new(kind), number)
            };
            if !self.take(']') {
                return Err(self.expected("`]`"));
            }
        }
        Ok(kind)
    }
}

fn simple(word: &str) -> Option<Kind> {
    let bits = |text: &str| {
        let bits: u16 = if text.is_empty() { 256 } else { text.parse().ok()? };
        (bits.is_multiple_of(8) && (8..=256).contains(&bits)).then_some(bits)
    };
    let kind = match word {
        "address" => Kind::Address,
        "bool" => Kind::Bool,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        _ => {
            if let Some(rest) = word.strip_prefix("uint") {
                return bits(rest).map(Kind::Uint);
            }
            if let Some(rest) = word.strip_prefix("int") {
                return bits(rest).map(Kind::Int);
            }
            let bytes = word.strip_prefix("bytes")?.parse().ok();
            return bytes.filter(|bytes| (1..=32).contains(bytes)).map(Kind::Word);
        }
    };
    Some(kind)
}
