//! The file as a tree of texts, lists and maps that know their places.
//!
//! Two readers work together. `saphyr-parser` goes first, event by event: it bounds what the file may be, and its marks
//! give every key and value a place. `serde_yaml` then reads the values. Each scalar is asked for as text, so `1.10`
//! stays `1.10` and `0xabc` stays `0xabc`; the outline tells beforehand what to ask for.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use saphyr_parser::ScalarStyle;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::diagnostics::{Code, Finding};
use super::outline::{Kind, Outline, OutlineId};
use super::span::Source;

/// The place of a node in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// A text, list or map.
#[derive(Debug)]
pub(crate) enum Content {
    Scalar(String),
    List(Vec<NodeId>),
    Map(Vec<(String, NodeId)>),
}

#[derive(Debug)]
struct Node {
    parent: Option<NodeId>,
    /// The key it stands under, or its index in a list.
    step: Option<Step>,
    key: Option<Range<usize>>,
    value: Range<usize>,
    style: ScalarStyle,
    content: Content,
}

#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Index(usize),
}

/// A whole file.
#[derive(Debug)]
pub(crate) struct Tree {
    file: PathBuf,
    /// What the file is: `bot` or `project`.
    what: &'static str,
    source: Source,
    nodes: Vec<Node>,
}

impl Tree {
    /// Reads the text of a file that is to be a `what`.
    ///
    /// # Errors
    /// The one reason why the text is not a tree within bounds.
    pub(crate) fn parse(file: &Path, text: String, what: &'static str) -> Result<Self, Box<Finding>> {
        let mut tree = Self {
            file: file.to_owned(),
            what,
            source: Source::new(text),
            nodes: Vec::new(),
        };
        let outline = Outline::read(&tree.source, what)
            .map_err(|(byte, code, message, hint)| tree.finding(byte, code, message, hint))?;
        let mut nodes = Vec::new();
        let text = tree.source.text();
        let seed = NodeSeed {
            outline: &outline,
            id: outline.root(),
            nodes: &mut nodes,
            parent: None,
            step: None,
            key: None,
        };
        if let Err(error) = seed.deserialize(serde_yaml::Deserializer::from_str(text)) {
            let byte = error.location().map_or(0, |location| location.index());
            let message = error.to_string();
            // The place is told apart from the message.
            let message = message.split(" at line ").next().unwrap_or_default();
            return Err(tree.finding(byte, Code::Yaml, format!("not YAML: {message}"), None));
        }
        tree.nodes = nodes;
        Ok(tree)
    }

    /// What the file is: `bot` or `project`.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    #[cfg(test)]
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The node of the whole document.
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn content(&self, id: NodeId) -> &Content {
        const NOTHING: &Content = &Content::List(Vec::new());
        self.node(id).map_or(NOTHING, |node| &node.content)
    }

    /// The text of a scalar.
    pub(crate) fn scalar(&self, id: NodeId) -> Option<&str> {
        match self.content(id) {
            Content::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The value under a key of a map.
    pub(crate) fn entry(&self, id: NodeId, key: &str) -> Option<NodeId> {
        match self.content(id) {
            Content::Map(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, value)| *value),
            _ => None,
        }
    }

    /// Whether a scalar is written without quotes and on a line of its key.
    pub(crate) fn is_plain(&self, id: NodeId) -> bool {
        self.node(id).is_some_and(|node| node.style == ScalarStyle::Plain)
    }

    /// Whether nothing stands there: `key:`.
    pub(crate) fn is_empty(&self, id: NodeId) -> bool {
        self.is_plain(id) && self.scalar(id) == Some("")
    }

    /// The first byte of the key that leads to a node; of the node where there is no key.
    pub(crate) fn key_byte(&self, id: NodeId) -> usize {
        self.node(id)
            .map_or(0, |node| node.key.as_ref().unwrap_or(&node.value).start)
    }

    /// The first byte of a value.
    pub(crate) fn value_byte(&self, id: NodeId) -> usize {
        self.node(id).map_or(0, |node| node.value.start)
    }

    /// The line of a node, from 1.
    pub(crate) fn line(&self, id: NodeId) -> usize {
        self.source.place(self.value_byte(id)).0
    }

    /// The column of the key that leads to a node, from 0.
    pub(crate) fn key_column(&self, id: NodeId) -> usize {
        self.source.place(self.key_byte(id)).1.saturating_sub(1)
    }

    /// Whether a list or map is written with brackets.
    pub(crate) fn is_flow(&self, id: NodeId) -> bool {
        let text = self.source.text();
        let written = text.get(self.value_byte(id)..).unwrap_or_default();
        !matches!(self.content(id), Content::Scalar(_)) && written.starts_with(['[', '{'])
    }

    /// The bytes that a value is written in, without white space and comments behind it.
    pub(crate) fn written(&self, id: NodeId) -> Range<usize> {
        let start = self.value_byte(id);
        let own = self.node(id).map_or(start, |node| node.value.end);
        let last = match self.content(id) {
            Content::List(items) => items.last().copied(),
            Content::Map(entries) => entries.last().map(|(_, value)| *value),
            Content::Scalar(_) => None,
        };
        let end = match last.filter(|_| !self.is_flow(id)) {
            Some(last) => self.written(last).end,
            None => own,
        };
        let text = self.source.text().get(start..end).unwrap_or_default();
        start..start + text.trim_end().len()
    }

    /// The byte of the file that a byte of a scalar came from.
    pub(crate) fn byte_in(&self, id: NodeId, offset: usize) -> usize {
        match (self.node(id), self.scalar(id)) {
            (Some(node), Some(text)) => self.source.byte_in_scalar(&node.value, node.style, text, offset),
            _ => self.value_byte(id),
        }
    }

    /// The byte of the file that a byte of the key of a node came from.
    pub(crate) fn byte_in_key(&self, id: NodeId, offset: usize) -> usize {
        match self.node(id) {
            Some(Node {
                key: Some(range),
                step: Some(Step::Key(text)),
                ..
            }) => {
                let written = self.source.text().get(range.clone()).unwrap_or_default();
                let style = match written.chars().next() {
                    Some('"') => ScalarStyle::DoubleQuoted,
                    Some('\'') => ScalarStyle::SingleQuoted,
                    _ => ScalarStyle::Plain,
                };
                self.source.byte_in_scalar(range, style, text, offset)
            }
            _ => self.key_byte(id),
        }
    }

    /// The keys and indices from the root to a node, without the root: for `rules.post.when[0]` the nodes of `rules`,
    /// `post`, `when` and its first item.
    pub(crate) fn ancestry(&self, id: NodeId) -> Vec<NodeId> {
        let mut ancestry: Vec<NodeId> =
            std::iter::successors(Some(id), |id| self.node(*id).and_then(|node| node.parent)).collect();
        ancestry.pop();
        ancestry.reverse();
        ancestry
    }

    /// The key that a node stands under.
    pub(crate) fn key(&self, id: NodeId) -> Option<&str> {
        match self.node(id).and_then(|node| node.step.as_ref()) {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The keys that lead to a node: `rules.post.when[0].cron`.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut next = self.node(id);
        while let Some(node) = next {
            steps.extend(node.step.as_ref());
            next = node.parent.and_then(|parent| self.node(parent));
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match step {
                Step::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                }
                Step::Index(index) => {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                }
            }
        }
        path
    }

    /// A finding at a byte, without a path.
    pub(crate) fn finding(
        &self,
        byte: usize,
        code: Code,
        message: String,
        hint: Option<String>,
    ) -> Box<Finding> {
        let (line, column, source_line) = self.source.place(byte);
        Box::new(Finding {
            file: self.file.clone(),
            line,
            column,
            code,
            severity: code.severity(),
            path: String::new(),
            message,
            hint,
            source_line: source_line.to_owned(),
        })
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }
}

/// Reads one node that the outline announced, and its children.
struct NodeSeed<'a> {
    outline: &'a Outline,
    id: OutlineId,
    nodes: &'a mut Vec<Node>,
    parent: Option<NodeId>,
    step: Option<Step>,
    key: Option<Range<usize>>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = NodeId;

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<NodeId, D::Error> {
        let announced = self.outline.node(self.id);
        let number = u32::try_from(self.nodes.len()).map_err(D::Error::custom)?;
        self.nodes.push(Node {
            parent: self.parent,
            step: self.step.take(),
            key: self.key.take(),
            value: announced.range.clone(),
            style: announced.style,
            content: Content::List(Vec::new()),
        });
        let reader = NodeReader {
            seed: self,
            own: NodeId(number),
        };
        match announced.kind {
            Kind::Scalar => deserializer.deserialize_str(reader),
            Kind::List(_) => deserializer.deserialize_seq(reader),
            Kind::Map(_) => deserializer.deserialize_map(reader),
        }
    }
}

struct NodeReader<'a> {
    seed: NodeSeed<'a>,
    own: NodeId,
}

impl NodeReader<'_> {
    fn child(&mut self, id: OutlineId, step: Step, key: Option<Range<usize>>) -> NodeSeed<'_> {
        NodeSeed {
            outline: self.seed.outline,
            id,
            nodes: self.seed.nodes,
            parent: Some(self.own),
            step: Some(step),
            key,
        }
    }

    fn finish(self, content: Content) -> NodeId {
        if let Some(node) = self.seed.nodes.get_mut(self.own.0 as usize) {
            node.content = content;
        }
        self.own
    }
}

impl<'de> Visitor<'de> for NodeReader<'_> {
    type Value = NodeId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.seed.outline.node(self.seed.id).kind {
            Kind::Scalar => "a text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<NodeId, E> {
        Ok(self.finish(Content::Scalar(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<NodeId, A::Error> {
        let outline = self.seed.outline;
        let Kind::List(announced) = &outline.node(self.seed.id).kind else {
            return Err(A::Error::custom("found a list that was not announced"));
        };
        let mut items = Vec::with_capacity(announced.len());
        for (index, item) in announced.iter().enumerate() {
            let seed = self.child(*item, Step::Index(index), None);
            let read = access.next_element_seed(seed)?;
            items.push(read.ok_or_else(|| A::Error::custom("found a list that ends early"))?);
        }
        Ok(self.finish(Content::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<NodeId, A::Error> {
        let outline = self.seed.outline;
        let Kind::Map(announced) = &outline.node(self.seed.id).kind else {
            return Err(A::Error::custom("found a map that was not announced"));
        };
        let mut entries = Vec::with_capacity(announced.len());
        for (range, value) in announced {
            let key: Option<String> = access.next_key()?;
            let key = key.ok_or_else(|| A::Error::custom("found a map that ends early"))?;
            let seed = self.child(*value, Step::Key(key.clone()), Some(range.clone()));
            entries.push((key, access.next_value_seed(seed)?));
        }
        Ok(self.finish(Content::Map(entries)))
    }
}
