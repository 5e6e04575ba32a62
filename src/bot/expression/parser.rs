//! Reads tokens into a tree, by operator precedence.

use super::lexer::{Lexer, Spanned, Token};
use super::syntax::{Identifier, Kind, Operator, Syntax, too_deep};
use super::{Finding, MAX_DEPTH, MAX_SOURCE, Value};

/// How tightly operators bind, loosest first.
mod binding {
    pub(super) const LOOSEST: u8 = 0;
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const IN: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const SUM: u8 = 6;
    pub(super) const PRODUCT: u8 = 7;
    pub(super) const NEGATION: u8 = 8;
}

/// Words that are operators or literals and therefore no names.
const RESERVED: [&str; 7] = ["or", "and", "not", "in", "true", "false", "none"];

/// Parses a whole source as one expression.
pub(super) fn expression(source: &str) -> Result<Syntax, Finding> {
    if source.len() > MAX_SOURCE {
        return Err(Finding::new(
            0..0,
            format!("found {} bytes, wanted at most {MAX_SOURCE}", source.len()),
        ));
    }
    let mut parser = Parser::new(source, 0, None)?;
    parser.whole()
}

#[derive(Debug)]
pub(super) struct Parser<'s> {
    lexer: Lexer<'s>,
    current: Spanned,
    nesting: usize,
}

impl<'s> Parser<'s> {
    /// A parser of the expression at a place in the source, up to `close` or the end of the source.
    pub(super) fn new(source: &'s str, at: usize, close: Option<&'static str>) -> Result<Self, Finding> {
        let mut lexer = Lexer::new(source, at, close);
        let current = lexer.next()?;
        Ok(Self {
            lexer,
            current,
            nesting: 0,
        })
    }

    /// One expression with nothing after it.
    pub(super) fn whole(&mut self) -> Result<Syntax, Finding> {
        let syntax = self.expression(binding::LOOSEST)?;
        self.end()?;
        Ok(syntax)
    }

    /// Refuses anything before the end; gives the place behind it.
    pub(super) fn end(&self) -> Result<usize, Finding> {
        match &self.current.token {
            Token::End => Ok(self.current.span.end),
            Token::Name(name) if name == "if" => Err(self
                .unexpected("an operator or the end")
                .with_hint("`a if b` is not part of the language, use `{% if b %}` in a template")),
            Token::Name(name) if name == "not" => Err(self
                .unexpected("an operator or the end")
                .with_hint("write `not (a in b)`")),
            _ => Err(self.unexpected("an operator or the end")),
        }
    }

    /// Takes a name that is not a reserved word.
    pub(super) fn name(&mut self) -> Result<Identifier, Finding> {
        match &self.current.token {
            Token::Name(name) if !RESERVED.contains(&name.as_str()) => {
                let identifier = Identifier {
                    name: name.clone(),
                    span: self.current.span.clone(),
                };
                self.advance()?;
                Ok(identifier)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// Takes the given word.
    pub(super) fn keyword(&mut self, word: &str) -> Result<(), Finding> {
        if self.at_word(word) {
            return self.advance().map(drop);
        }
        Err(self.unexpected(&format!("`{word}`")))
    }

    /// The place of the current token.
    pub(super) fn place(&self) -> std::ops::Range<usize> {
        self.current.span.clone()
    }

    fn expression(&mut self, least: u8) -> Result<Syntax, Finding> {
        if self.nesting >= MAX_DEPTH {
            return Err(too_deep(self.place()));
        }
        self.nesting += 1;
        let mut left = self.prefix()?;
        while let Some((operator, strength)) = self.operator().filter(|(_, strength)| *strength > least) {
            left = self.binary(left, operator, strength)?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    fn prefix(&mut self) -> Result<Syntax, Finding> {
        let start = self.current.span.start;
        let (strength, wrap): (u8, fn(Box<Syntax>) -> Kind) = if self.at_word("not") {
            (binding::NOT, Kind::Not)
        } else if self.at_symbol("-") {
            (binding::NEGATION, Kind::Negate)
        } else {
            return self.filtered();
        };
        self.advance()?;
        // The operand may begin with the same operator again: `not not a`.
        let operand = self.expression(strength - 1)?;
        let span = start..operand.span.end;
        Syntax::new(wrap(Box::new(operand)), span)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        use binding::{AND, COMPARISON, IN, OR, PRODUCT, SUM};
        Some(match &self.current.token {
            Token::Name(name) => match name.as_str() {
                "or" => (Operator::Or, OR),
                "and" => (Operator::And, AND),
                "in" => (Operator::In, IN),
                _ => return None,
            },
            Token::Symbol(symbol) => match *symbol {
                "==" => (Operator::Equal, COMPARISON),
                "!=" => (Operator::Unequal, COMPARISON),
                "<" => (Operator::Less, COMPARISON),
                "<=" => (Operator::LessOrEqual, COMPARISON),
                ">" => (Operator::Greater, COMPARISON),
                ">=" => (Operator::GreaterOrEqual, COMPARISON),
                "+" => (Operator::Add, SUM),
                "-" => (Operator::Subtract, SUM),
                "*" => (Operator::Multiply, PRODUCT),
                "/" => (Operator::Divide, PRODUCT),
                "%" => (Operator::Remainder, PRODUCT),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn binary(&mut self, left: Syntax, operator: Operator, strength: u8) -> Result<Syntax, Finding> {
        let chains = matches!(&left.kind, Kind::Binary(first, ..) if first.is_comparison());
        let place = self.place();
        self.advance()?;
        if operator.is_comparison() && chains && !left.parenthesised {
            return Err(Finding::new(place, "comparisons do not chain").with_hint("write `a < b and b < c`"));
        }
        let right = self.expression(strength)?;
        let span = left.span.start..right.span.end;
        Syntax::new(Kind::Binary(operator, Box::new(left), Box::new(right)), span)
    }

    /// An operand and the filters behind it.
    fn filtered(&mut self) -> Result<Syntax, Finding> {
        let mut value = self.postfix()?;
        while self.at_symbol("|") {
            self.advance()?;
            let function = self.name()?;
            let start = value.span.start;
            let mut end = function.span.end;
            let mut arguments = vec![value];
            if self.at_symbol("(") {
                end = self.sequence(")", &mut arguments)?;
            }
            value = Syntax::new(Kind::Call(function, arguments), start..end)?;
        }
        Ok(value)
    }

    /// An operand and the members, indices and arguments behind it.
    fn postfix(&mut self) -> Result<Syntax, Finding> {
        let mut value = self.operand()?;
        loop {
            let start = value.span.start;
            if self.at_symbol(".") {
                self.advance()?;
                let Token::Name(name) = self.current.token.clone() else {
                    return Err(self.unexpected("the name of a field"));
                };
                let span = self.advance()?.span;
                let member = Identifier {
                    name,
                    span: span.clone(),
                };
                value = Syntax::new(Kind::Member(Box::new(value), member), start..span.end)?;
            } else if self.at_symbol("[") {
                self.advance()?;
                let index = self.expression(binding::LOOSEST)?;
                let end = self.symbol("]")?;
                value = Syntax::new(Kind::Index(Box::new(value), Box::new(index)), start..end)?;
            } else if self.at_symbol("(") {
                let Kind::Name(name) = value.kind else {
                    return Err(self
                        .unexpected("an operator or the end")
                        .with_hint("only a function takes arguments"));
                };
                let mut arguments = Vec::new();
                let end = self.sequence(")", &mut arguments)?;
                value = Syntax::new(
                    Kind::Call(
                        Identifier {
                            name,
                            span: value.span,
                        },
                        arguments,
                    ),
                    start..end,
                )?;
            } else {
                return Ok(value);
            }
        }
    }

    fn operand(&mut self) -> Result<Syntax, Finding> {
        let place = self.place();
        let kind = match &self.current.token {
            Token::Literal(value) => Kind::Literal(value.clone()),
            Token::WalletName(name) => Kind::WalletName(name.clone()),
            Token::Name(name) => match name.as_str() {
                "true" => Kind::Literal(Value::Bool(true)),
                "false" => Kind::Literal(Value::Bool(false)),
                "none" => Kind::Literal(Value::None),
                name if RESERVED.contains(&name) => return Err(self.unexpected("a value")),
                name => Kind::Name(name.to_owned()),
            },
            Token::Symbol("(") => {
                self.advance()?;
                let mut inner = self.expression(binding::LOOSEST)?;
                self.symbol(")")?;
                inner.parenthesised = true;
                return Ok(inner);
            }
            Token::Symbol("[") => {
                let mut items = Vec::new();
                let end = self.sequence("]", &mut items)?;
                return Syntax::new(Kind::List(items), place.start..end);
            }
            _ => return Err(self.unexpected("a value")),
        };
        self.advance()?;
        Syntax::new(kind, place)
    }

    /// Takes the opening bracket, values separated by commas, and `close`; gives the place behind it.
    fn sequence(&mut self, close: &'static str, values: &mut Vec<Syntax>) -> Result<usize, Finding> {
        self.advance()?;
        while !self.at_symbol(close) {
            values.push(self.expression(binding::LOOSEST)?);
            if !self.at_symbol(",") {
                break;
            }
            self.advance()?;
        }
        self.symbol(close)
    }

    fn symbol(&mut self, symbol: &'static str) -> Result<usize, Finding> {
        if self.at_symbol(symbol) {
            return Ok(self.advance()?.span.end);
        }
        Err(self.unexpected(&format!("`{symbol}`")))
    }

    /// Gives the current token and moves to the next.
    fn advance(&mut self) -> Result<Spanned, Finding> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.current, next))
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        matches!(&self.current.token, Token::Symbol(found) if *found == symbol)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(&self.current.token, Token::Name(found) if found == word)
    }

    fn unexpected(&self, wanted: &str) -> Finding {
        let token = self.lexer.text(&self.current.span);
        let cut: String = token.chars().take(40).flat_map(char::escape_debug).collect();
        let found = if self.current.token == Token::End {
            "the end".to_owned()
        } else {
            format!("`{cut}`")
        };
        Finding::new(self.place(), format!("found {found}, wanted {wanted}"))
    }
}
