//! Checks the calls of filters and functions.

use regex::RegexBuilder;

use super::super::code::{Operation, Pattern};
use super::super::functions::{self, Accepts, Argument, Function, Needs, Refusal};
use super::super::syntax::{Identifier, Kind, Syntax};
use super::super::{Finding, Type, Value};
use super::{Checker, shown};

/// Patterns of one source; each keeps its compiled program and search tables in memory.
const MAX_PATTERNS: usize = 16;

/// Bytes of a compiled pattern, with what matching one byte costs at worst. A step is meant to take at most
/// 2 microseconds; measured are 1.7 per byte at 16 KiB and 8 at 64 KiB.
const PATTERN_SIZES: [(usize, usize); 2] = [(16 * 1024, 1), (64 * 1024, 6)];

/// Bytes of the tables that the search of one pattern may build.
const MAX_SEARCH_BYTES: usize = 256 * 1024;

/// How deep groups nest in a pattern.
const MAX_PATTERN_DEPTH: u32 = 32;

impl Checker<'_> {
    pub(super) fn call(&mut self, name: &Identifier, arguments: &[Syntax]) -> (Operation, Type) {
        let (codes, types): (Vec<_>, Vec<_>) = arguments.iter().map(|argument| self.check(argument)).unzip();
        let nothing = (Operation::Literal(Value::None), Type::Any);
        let Some(function) = functions::find(&name.name) else {
            self.report(unknown_function(name));
            return nothing;
        };
        if let Err(finding) = check_arguments(function, name, arguments, &types) {
            self.report(finding);
            return nothing;
        }
        let given: Vec<_> = arguments
            .iter()
            .zip(&types)
            .map(|(syntax, ty)| argument(syntax, ty))
            .collect();
        let result = match function.gives.for_arguments(&given) {
            Ok(ty) => ty,
            Err(Refusal {
                argument,
                message,
                hint,
            }) => {
                let span = arguments
                    .get(argument)
                    .map_or_else(|| name.span.clone(), |syntax| syntax.span.clone());
                self.report(Finding { span, message, hint });
                return nothing;
            }
        };
        match function.needs {
            Needs::Nothing => {}
            Needs::Now => {
                self.name("now", &name.span);
            }
            Needs::Chain(usual) => {
                self.uses.names.insert(name.name.clone());
                self.note_asking(&name.name, &name.span);
                let place = function
                    .accepts
                    .iter()
                    .position(|accepts| *accepts == Accepts::Chain);
                match place.and_then(|place| arguments.get(place)) {
                    Some(syntax) => self.chain(syntax),
                    None => self.uses.chains.extend(usual.map(str::to_owned)),
                }
            }
        }
        let result = if types.first().is_some_and(Type::is_optional) {
            result.optional()
        } else {
            result
        };
        if function.name != "matches" {
            return (Operation::Call(function, codes), result);
        }
        match (codes.into_iter().next(), self.pattern(arguments.get(1))) {
            (Some(text), Some(pattern)) => (Operation::Matches(Box::new(text), pattern), result),
            _ => nothing,
        }
    }

    /// Notes the name of a chain that is written out, and refuses an unknown one.
    fn chain(&mut self, syntax: &Syntax) {
        let (Kind::Literal(Value::Text(name)), Some(chains)) = (&syntax.kind, self.names.chains()) else {
            return;
        };
        if !chains.iter().any(|chain| **chain == **name) {
            let message = format!("the project has no chain \"{}\"", shown(name));
            let known = chains.iter().map(String::as_str);
            self.report(Finding::new(syntax.span.clone(), message).with_nearest(name, known));
            return;
        }
        self.uses.chains.insert(name.to_string());
    }

    /// Compiles a pattern that is written out.
    fn pattern(&mut self, argument: Option<&Syntax>) -> Option<Pattern> {
        let Syntax {
            kind: Kind::Literal(Value::Text(text)),
            span,
            ..
        } = argument?
        else {
            return None;
        };
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            self.report(Finding::new(
                span.clone(),
                format!("more than {MAX_PATTERNS} patterns in one source"),
            ));
            return None;
        }
        for (size, steps_per_byte) in PATTERN_SIZES {
            let compiled = RegexBuilder::new(text)
                .size_limit(size)
                .dfa_size_limit(MAX_SEARCH_BYTES)
                .nest_limit(MAX_PATTERN_DEPTH)
                .build();
            match compiled {
                Ok(regex) => {
                    return Some(Pattern {
                        regex,
                        steps_per_byte,
                    });
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    let error = error.to_string();
                    let reason = error
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ");
                    let message = format!("the pattern cannot be read: {reason}");
                    self.report(Finding::new(span.clone(), message));
                    return None;
                }
            }
        }
        self.report(Finding::new(span.clone(), "the pattern is too large").with_hint("repeat less in it"));
        None
    }
}

fn argument<'a>(syntax: &'a Syntax, ty: &'a Type) -> Argument<'a> {
    let literal = match &syntax.kind {
        Kind::Literal(value) => Some(value),
        _ => None,
    };
    Argument {
        ty: ty.base(),
        literal,
    }
}

/// The number and kinds of the arguments of a call.
fn check_arguments(
    function: &Function,
    name: &Identifier,
    arguments: &[Syntax],
    types: &[Type],
) -> Result<(), Finding> {
    let most = function.accepts.len();
    if !(function.required..=most).contains(&arguments.len()) {
        let message = format!("`{}` is written `{}`", function.name, function.usage);
        return Err(Finding::new(name.span.clone(), message));
    }
    for (index, (syntax, ty)) in arguments.iter().zip(types).enumerate() {
        let Some(accepts) = function.accepts.get(index) else {
            continue;
        };
        let given = argument(syntax, ty);
        let message = format!(
            "`{}` takes {}, not {}",
            function.name,
            accepts.wanted(),
            ty.kind()
        );
        if accepts.is_written_out() && given.literal.is_none() {
            let message = format!(
                "`{}` takes {}, written out in quotes",
                function.name,
                accepts.wanted()
            );
            return Err(Finding::new(syntax.span.clone(), message));
        }
        if !accepts.permits(ty.base()) {
            return Err(Finding::new(syntax.span.clone(), message));
        }
        if index > 0 && matches!(ty, Type::Optional(_)) && !accepts.permits_none() {
            return Err(Finding::new(
                syntax.span.clone(),
                format!("{message} (it may be `none`)").replace(", not", ", found optional"),
            )
            .with_hint("say what to take in its place: `x or ...`"));
        }
    }
    Ok(())
}

fn unknown_function(name: &Identifier) -> Finding {
    Finding::new(
        name.span.clone(),
        format!("unknown filter or function `{}`", shown(&name.name)),
    )
    .with_nearest(&name.name, functions::names())
}
