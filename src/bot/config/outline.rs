//! The first pass over a file: what kind of node stands where. It refuses what is out of bounds before any value is
//! built, however the file multiplies itself by aliases.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::diagnostics::{Code, quote};
use super::span::Source;

/// The largest file.
pub(crate) const MAX_BYTES: usize = 256 * 1024;

/// The deepest nesting.
const MAX_DEPTH: usize = 32;

/// The most nodes of a file, each alias counted as what it stands for. A file of full size has far fewer when its
/// scalars are longer than ten characters.
const MAX_NODES: usize = 20_000;

/// The most text of a file, each alias counted as what it stands for.
const MAX_TEXT: usize = 4 * MAX_BYTES;

/// The place of a node in its outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutlineId(usize);

/// One node.
#[derive(Debug)]
pub(crate) struct OutlineNode {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    pub(crate) style: ScalarStyle,
    size: Size,
}

/// What a node stands for, itself included.
#[derive(Debug, Clone, Copy)]
struct Size {
    nodes: usize,
    /// Bytes of text.
    text: usize,
    /// Levels.
    height: usize,
}

impl Size {
    const ONE: Self = Self {
        nodes: 1,
        text: 0,
        height: 1,
    };
}

/// What kind of node it is. An alias appears as the node it stands for.
#[derive(Debug)]
pub(crate) enum Kind {
    Scalar,
    List(Vec<OutlineId>),
    /// The places of the keys, and the values.
    Map(Vec<(Range<usize>, OutlineId)>),
}

/// The nodes of one file; the last one is the root.
#[derive(Debug)]
pub(crate) struct Outline {
    nodes: Vec<OutlineNode>,
}

/// What is wrong and at which byte.
type Refusal = (usize, Code, String, Option<String>);

impl Outline {
    /// Reads the events of a file that is to be a `what`.
    pub(crate) fn read(source: &Source, what: &'static str) -> Result<Self, Refusal> {
        if source.text().len() > MAX_BYTES {
            let message = format!(
                "expected a file of at most 256 KiB, found {} bytes",
                source.text().len()
            );
            return Err((0, Code::Bounds, message, None));
        }
        let mut builder = Builder {
            what,
            nodes: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes_so_far: 0,
            text_so_far: 0,
            documents: 0,
        };
        for event in Parser::new_from_str(source.text()) {
            match event {
                Ok((event, span)) => builder.take(event, source.range(span.start, span.end))?,
                Err(error) => {
                    let byte = source.byte(error.marker().index());
                    // The parser has a limit of its own for what it looks ahead.
                    if error.info().contains("recursion limit") {
                        return Err((byte, Code::Bounds, too_deep(), None));
                    }
                    return Err((byte, Code::Yaml, format!("not YAML: {}", error.info()), None));
                }
            }
        }
        if builder.nodes.is_empty() {
            return Err((
                0,
                Code::Shape,
                format!("expected a {what}, found an empty file"),
                None,
            ));
        }
        Ok(Self { nodes: builder.nodes })
    }

    pub(crate) fn root(&self) -> OutlineId {
        OutlineId(self.nodes.len().saturating_sub(1))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "an id is made by this outline only, for a node that is there"
    )]
    pub(crate) fn node(&self, id: OutlineId) -> &OutlineNode {
        &self.nodes[id.0]
    }
}

/// A list or map whose end has not come.
struct Open {
    start: usize,
    anchor: usize,
    is_map: bool,
    items: Vec<OutlineId>,
    keys: Vec<Range<usize>>,
    names: HashSet<String>,
    size: Size,
}

struct Builder {
    what: &'static str,
    nodes: Vec<OutlineNode>,
    open: Vec<Open>,
    /// Complete nodes by the parser's number of their anchor.
    anchors: HashMap<usize, OutlineId>,
    /// All nodes so far.
    nodes_so_far: usize,
    text_so_far: usize,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, range: Range<usize>) -> Result<(), Refusal> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return refuse_feature(
                        range.start,
                        "expected one document, found a second",
                        &format!("one file is one {}", self.what),
                    );
                }
                Ok(())
            }
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) => {
                let message = format!("expected a value without a tag, found {}", quote(&written(&tag)));
                refuse_feature(
                    range.start,
                    &message,
                    "leave the tag out; the key decides the type of its value",
                )
            }
            Event::Scalar(text, style, anchor, None) => {
                if self.expects_key() {
                    return self.take_key(&text, range);
                }
                let node = OutlineNode {
                    kind: Kind::Scalar,
                    range,
                    style,
                    size: Size {
                        text: text.len(),
                        ..Size::ONE
                    },
                };
                self.weigh(node.range.start, node.size)?;
                self.complete(node, anchor);
                Ok(())
            }
            Event::Alias(anchor) => self.take_alias(anchor, range.start),
            Event::SequenceStart(anchor, None) => self.begin(anchor, false, range.start),
            Event::MappingStart(anchor, None) => self.begin(anchor, true, range.start),
            Event::SequenceEnd | Event::MappingEnd => {
                self.end(range.end);
                Ok(())
            }
        }
    }

    /// Whether the next node is a key of a map.
    fn expects_key(&self) -> bool {
        self.open
            .last()
            .is_some_and(|open| open.is_map && open.keys.len() == open.items.len())
    }

    fn take_key(&mut self, text: &str, range: Range<usize>) -> Result<(), Refusal> {
        if text == "<<" {
            return refuse_feature(
                range.start,
                "merge keys are not part of the language",
                "write the keys out, or use `defaults`",
            );
        }
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        if !open.names.insert(text.to_owned()) {
            let message = format!("key {} stands twice", quote(text));
            return Err((
                range.start,
                Code::DuplicateKey,
                message,
                Some("keep one of them".to_owned()),
            ));
        }
        open.keys.push(range);
        open.size.text += text.len();
        self.text_so_far += text.len();
        Ok(())
    }

    fn take_alias(&mut self, anchor: usize, byte: usize) -> Result<(), Refusal> {
        if self.expects_key() {
            return refuse_key(byte);
        }
        let Some(id) = self.anchors.get(&anchor).copied() else {
            return refuse_feature(
                byte,
                "expected an alias to a complete value before it, found one inside it",
                "write the value out",
            );
        };
        let Some(size) = self.nodes.get(id.0).map(|node| node.size) else {
            return Ok(());
        };
        self.weigh(byte, size)?;
        self.place(id, size);
        Ok(())
    }

    fn begin(&mut self, anchor: usize, is_map: bool, byte: usize) -> Result<(), Refusal> {
        if self.expects_key() {
            return refuse_key(byte);
        }
        self.weigh(byte, Size::ONE)?;
        self.open.push(Open {
            start: byte,
            anchor,
            is_map,
            items: Vec::new(),
            keys: Vec::new(),
            names: HashSet::new(),
            size: Size::ONE,
        });
        Ok(())
    }

    fn end(&mut self, byte: usize) {
        let Some(open) = self.open.pop() else { return };
        let kind = if open.is_map {
            Kind::Map(open.keys.into_iter().zip(open.items).collect())
        } else {
            Kind::List(open.items)
        };
        let node = OutlineNode {
            kind,
            range: open.start..byte.max(open.start),
            style: ScalarStyle::Plain,
            size: open.size,
        };
        self.complete(node, open.anchor);
    }

    /// Counts nodes that are about to be added below the open ones.
    fn weigh(&mut self, byte: usize, size: Size) -> Result<(), Refusal> {
        self.nodes_so_far += size.nodes;
        self.text_so_far += size.text;
        if self.nodes_so_far > MAX_NODES || self.text_so_far > MAX_TEXT {
            let message = format!(
                "expected at most {MAX_NODES} values and {} KiB of text, aliases counted as what they stand for",
                MAX_TEXT / 1024
            );
            return Err((byte, Code::Bounds, message, None));
        }
        if self.open.len() + size.height > MAX_DEPTH {
            return Err((byte, Code::Bounds, too_deep(), None));
        }
        Ok(())
    }

    fn complete(&mut self, node: OutlineNode, anchor: usize) {
        let id = OutlineId(self.nodes.len());
        let size = node.size;
        self.nodes.push(node);
        // The parser numbers anchors from 1; 0 is none.
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        self.place(id, size);
    }

    fn place(&mut self, id: OutlineId, size: Size) {
        if let Some(open) = self.open.last_mut() {
            open.items.push(id);
            open.size.nodes += size.nodes;
            open.size.text += size.text;
            open.size.height = open.size.height.max(size.height + 1);
        }
    }
}

fn too_deep() -> String {
    format!("expected at most {MAX_DEPTH} levels of maps and lists")
}

/// A tag as a file has it.
fn written(tag: &Tag) -> String {
    let handle = if tag.is_yaml_core_schema() {
        "!!"
    } else {
        &tag.handle
    };
    format!("{handle}{}", tag.suffix)
}

fn refuse_feature(byte: usize, message: &str, hint: &str) -> Result<(), Refusal> {
    Err((byte, Code::Feature, message.to_owned(), Some(hint.to_owned())))
}

fn refuse_key(byte: usize) -> Result<(), Refusal> {
    refuse_feature(
        byte,
        "expected a key that is a text, found something else",
        "write the key out, in quotes if need be",
    )
}
