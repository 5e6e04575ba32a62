//! Matches the blocks of a template with their ends and checks what they hold.

use std::ops::Range;

use super::super::check::Checker;
use super::super::syntax::{Identifier, Syntax, too_deep};
use super::super::{Finding, MAX_DEPTH, Type};
use super::Node;
use super::pieces::{Piece, Statement};

/// Matches blocks with their ends and checks what they hold.
pub(super) struct Builder<'s, 'c, 'n> {
    source: &'s str,
    pieces: std::vec::IntoIter<Piece>,
    checker: &'c mut Checker<'n>,
    /// Whether a mistake of structure was reported.
    given_up: bool,
}

/// The tag that ends a block.
struct Closing {
    statement: Statement,
    span: Range<usize>,
}

impl<'s, 'c, 'n> Builder<'s, 'c, 'n> {
    pub(super) fn new(source: &'s str, pieces: Vec<Piece>, checker: &'c mut Checker<'n>) -> Self {
        Self {
            source,
            pieces: pieces.into_iter(),
            checker,
            given_up: false,
        }
    }

    /// The nodes of the whole template.
    pub(super) fn whole(&mut self) -> Vec<Node> {
        let mut nodes = Vec::new();
        loop {
            let (block, closing) = self.block(0);
            nodes.extend(block);
            let Some(Closing { statement, span }) = closing else {
                return nodes;
            };
            let message = format!("`{}` closes nothing here", statement.keyword());
            self.checker.report(Finding::new(span, message));
        }
    }

    /// The nodes up to a tag that belongs to the block around, or to the end.
    fn block(&mut self, depth: usize) -> (Vec<Node>, Option<Closing>) {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            match piece {
                Piece::Comment | Piece::Output(None) | Piece::Statement(Statement::Unknown, _) => {}
                Piece::Text(span) => self.text(&mut nodes, span),
                Piece::Output(Some(syntax)) => nodes.push(Node::Output(self.checker.check(&syntax).0)),
                Piece::Statement(Statement::If(_) | Statement::For(_), span) if depth >= MAX_DEPTH => {
                    self.give_up(too_deep(span));
                }
                Piece::Statement(Statement::If(condition), span) => {
                    let node = self.conditional(condition, &span, depth);
                    nodes.push(node);
                }
                Piece::Statement(Statement::For(head), span) => {
                    let node = self.repeated(head, &span, depth);
                    nodes.extend(node);
                }
                Piece::Statement(statement, span) => return (nodes, Some(Closing { statement, span })),
            }
        }
        (nodes, None)
    }

    fn text(&self, nodes: &mut Vec<Node>, span: Range<usize>) {
        let text = self.source.get(span).unwrap_or_default();
        match nodes.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ if text.is_empty() => {}
            _ => nodes.push(Node::Text(text.to_owned())),
        }
    }

    fn conditional(&mut self, condition: Option<Syntax>, opening: &Range<usize>, depth: usize) -> Node {
        let (mut branches, mut otherwise) = (Vec::new(), Vec::new());
        // None while the part behind `else` is read; a condition that could not be read guards nothing.
        let mut head = Some(condition);
        loop {
            let code = head
                .as_ref()
                .and_then(Option::as_ref)
                .map(|syntax| self.checker.check(syntax).0);
            let (body, closing) = self.block(depth + 1);
            match code {
                Some(code) => branches.push((code, body)),
                None if head.is_none() => otherwise.extend(body),
                None => {}
            }
            let Some(Closing { statement, span }) = closing else {
                self.unclosed("if", opening);
                break;
            };
            head = match statement {
                Statement::EndIf => break,
                Statement::Elif(_) | Statement::Else if head.is_none() => {
                    let message = format!("`{}` stands after `else`", statement.keyword());
                    self.checker.report(Finding::new(span, message));
                    None
                }
                Statement::Elif(condition) => Some(condition),
                Statement::Else => None,
                other => {
                    self.misplaced(&other, span, "endif");
                    break;
                }
            };
        }
        Node::If(branches, otherwise)
    }

    fn repeated(
        &mut self,
        head: Option<(Identifier, Syntax)>,
        opening: &Range<usize>,
        depth: usize,
    ) -> Option<Node> {
        // Without a head its variable is unknown, and would be reported at each use.
        let mut loop_head = None;
        match head {
            None => self.checker.enter(String::new(), Type::Any, None),
            Some((variable, syntax)) => {
                let (list, ty) = self.checker.check(&syntax);
                let element = self.element(&ty, &syntax);
                self.checker.enter(variable.name.clone(), element, Some(&syntax));
                loop_head = Some((variable.name, list));
            }
        }
        let (body, mut closing) = self.block(depth + 1);
        self.checker.leave();
        let mut otherwise = Vec::new();
        if matches!(
            &closing,
            Some(Closing {
                statement: Statement::Else,
                ..
            })
        ) {
            (otherwise, closing) = self.block(depth + 1);
        }
        match closing {
            Some(Closing {
                statement: Statement::EndFor,
                ..
            }) => {}
            Some(Closing { statement, span }) => self.misplaced(&statement, span, "endfor"),
            None => self.unclosed("for", opening),
        }
        loop_head.map(|(variable, list)| Node::For {
            variable,
            list,
            body,
            otherwise,
        })
    }

    /// The type of a loop's variable.
    fn element(&mut self, ty: &Type, list: &Syntax) -> Type {
        match ty.base() {
            Type::List(element) => (**element).clone(),
            Type::Any => Type::Any,
            other => {
                let message = format!("`for` takes a list, not {}", other.kind());
                self.checker.report(Finding::new(list.span.clone(), message));
                Type::Any
            }
        }
    }

    fn unclosed(&mut self, keyword: &str, opening: &Range<usize>) {
        let finding = Finding::new(opening.clone(), format!("`{keyword}` is never closed"));
        self.give_up(finding.with_hint(format!("close it with `{{% end{keyword} %}}`")));
    }

    fn misplaced(&mut self, statement: &Statement, span: Range<usize>, wanted: &str) {
        self.give_up(Finding::new(
            span,
            format!("found `{}`, wanted `{wanted}`", statement.keyword()),
        ));
    }

    /// Reports the first mistake of structure; what follows it cannot be told apart from its consequences.
    fn give_up(&mut self, finding: Finding) {
        if !self.given_up {
            self.checker.report(finding);
        }
        self.given_up = true;
        self.pieces = Vec::new().into_iter();
    }
}
