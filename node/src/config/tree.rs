//! A configuration as a tree of texts, lists and maps that know their places, whatever wrote them.
//!
//! The YAML parser's events are bounded before anything is built of them, and scalars keep the text they were written
//! with: what a text means is decided by the type of its key ([`super::read`]).

use std::{collections::HashMap, io::Read as _, path::Path, sync::Arc};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::{
    Error,
    problem::{Origin, Place, Problem, quote},
};

/// One value with its place and the keys that lead to it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    /// Joined by dots; empty for the root.
    pub(super) key: String,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Text(String, Form),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// How a text was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Quoted,
    /// The whole of a variable or flag. It is YAML only where a list or a map is wanted, so an address needs no quotes.
    Raw,
}

#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) place: Place,
}

impl Node {
    /// Reads a file within bounds.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable {
            path: path.to_owned(),
            source,
        };
        let origin = Origin::File(Arc::from(path));
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() > MAX_BYTES {
            return Err(too_large().located(&origin.at(1, 1), "").into());
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::parse(&text, &origin, "")?),
            Err(_) => Err(Problem::new("found bytes that are no text, wanted UTF-8")
                .located(&origin.at(1, 1), "")
                .into()),
        }
    }

    /// Parses YAML that stands under `key`. An empty text is an empty map.
    pub(super) fn parse(text: &str, origin: &Origin, key: &str) -> Result<Self, Problem> {
        if text.len() > MAX_BYTES {
            return Err(too_large().located(&origin.at(1, 1), key));
        }
        let mut reader = Reader {
            events: Parser::new_from_str(text),
            origin,
            nodes: 0,
        };
        let mut root = None;
        while let Some((event, place)) = reader.next(key)? {
            match event {
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(Problem::new("found a second document, wanted one").located(&place, key));
                }
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                event => root = Some(reader.node(event, place, key, MAX_DEPTH)?),
            }
        }
        Ok(root.unwrap_or_else(|| Self {
            place: origin.at(1, 1),
            key: key.to_owned(),
            content: Content::Map(Vec::new()),
        }))
    }

    /// Nothing written anywhere.
    pub(super) fn map() -> Self {
        Self {
            place: Place::DEFAULTS,
            key: String::new(),
            content: Content::Map(Vec::new()),
        }
    }

    /// The whole text of a variable or flag.
    pub(super) fn raw(text: &str, origin: &Origin) -> Self {
        Self {
            place: origin.at(1, 1),
            key: String::new(),
            content: Content::Text(text.to_owned(), Form::Raw),
        }
    }

    /// Whether nothing stands there: `key:`, `~` or `null`.
    pub(super) fn is_empty(&self) -> bool {
        match &self.content {
            Content::Text(text, Form::Plain) => matches!(text.as_str(), "" | "~" | "null"),
            Content::Text(text, Form::Raw) => text.is_empty(),
            _ => false,
        }
    }

    /// Reads the text of a variable or flag as YAML; anything else stays as it is.
    pub(super) fn unfolded(self) -> Result<Self, Problem> {
        match &self.content {
            Content::Text(text, Form::Raw) => Self::parse(text, &self.place.origin, &self.key),
            _ => Ok(self),
        }
    }

    /// What it is, in words.
    pub(super) fn describe(&self) -> String {
        match &self.content {
            _ if self.is_empty() => "nothing".to_owned(),
            Content::Text(text, _) => quote(text),
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a map".to_owned(),
        }
    }

    /// Puts a value under these keys, in the place of whatever is there.
    pub(super) fn set(&mut self, keys: &[String], value: Self) -> Result<(), Problem> {
        let Some((first, rest)) = keys.split_first() else {
            let key = std::mem::take(&mut self.key);
            *self = Self { key, ..value };
            return Ok(());
        };
        if self.is_empty() {
            self.content = Content::Map(Vec::new());
        } else if !matches!(self.content, Content::Map(_)) {
            *self = self.clone().unfolded()?;
        }
        let found = self.describe();
        let Content::Map(entries) = &mut self.content else {
            return Err(
                Problem::new(format!("found {found}, wanted a map of keys")).located(&self.place, &self.key)
            );
        };
        if let Some((key, entry)) = entries.iter_mut().find(|(key, _)| key.text == *first) {
            key.place = value.place.clone();
            return entry.set(rest, value);
        }
        let key = Key {
            text: first.clone(),
            place: value.place.clone(),
        };
        let mut entry = Self {
            place: value.place.clone(),
            key: joined(&self.key, first),
            content: Content::Map(Vec::new()),
        };
        entry.set(rest, value)?;
        entries.push((key, entry));
        Ok(())
    }

    /// Where every key was written last.
    pub(super) fn places(&self) -> HashMap<String, Place> {
        let mut places = HashMap::new();
        let mut left = vec![self];
        while let Some(node) = left.pop() {
            places.insert(node.key.clone(), node.place.clone());
            match &node.content {
                Content::Text(..) => {}
                Content::List(items) => left.extend(items),
                Content::Map(entries) => left.extend(entries.iter().map(|(_, value)| value)),
            }
        }
        places
    }
}

/// Events on their way to nodes.
struct Reader<'a, E> {
    events: E,
    origin: &'a Origin,
    nodes: usize,
}

impl<'a, E> Reader<'a, E>
where
    E: Iterator<Item = Result<(Event<'a>, Span), ScanError>>,
{
    fn next(&mut self, key: &str) -> Result<Option<(Event<'a>, Place)>, Problem> {
        match self.events.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let place = self.origin.at(span.start.line(), span.start.col() + 1);
                Ok(Some((event, place)))
            }
            Some(Err(error)) => {
                let place = self.origin.at(error.marker().line(), error.marker().col() + 1);
                Err(Problem::new(format!("not YAML: {}", error.info())).located(&place, key))
            }
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, key: &str, depth: usize) -> Result<Node, Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("found more than {MAX_NODES} values, wanted fewer");
            return Err(Problem::new(message).located(&place, key));
        }
        if depth == 0 {
            let message = format!("found more than {MAX_DEPTH} levels of maps and lists, wanted fewer");
            return Err(Problem::new(message).located(&place, key));
        }
        let content = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                let problem = Problem::new("found a tag, wanted the value alone");
                return Err(problem.located(&place, key));
            }
            Event::Scalar(text, style, 0, None) => {
                let plain = style == ScalarStyle::Plain;
                Content::Text(text.into_owned(), if plain { Form::Plain } else { Form::Quoted })
            }
            Event::SequenceStart(0, None) => Content::List(self.list(key, depth)?),
            Event::MappingStart(0, None) => Content::Map(self.map(key, depth)?),
            _ => {
                let problem = Problem::new("found an anchor or alias, wanted the value itself");
                return Err(problem.located(&place, key));
            }
        };
        Ok(Node {
            place,
            key: key.to_owned(),
            content,
        })
    }

    fn list(&mut self, key: &str, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        while let Some((event, place)) = self.next(key)? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let item = format!("{key}[{}]", items.len());
            items.push(self.node(event, place, &item, depth - 1)?);
        }
        Ok(items)
    }

    fn map(&mut self, key: &str, depth: usize) -> Result<Vec<(Key, Node)>, Problem> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some((event, place)) = self.next(key)? {
            let text = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                _ => return Err(Problem::new("found something else, wanted a key").located(&place, key)),
            };
            let path = joined(key, &text);
            if entries.iter().any(|(other, _)| other.text == text) {
                return Err(Problem::new("the key stands twice").located(&place, &path));
            }
            let Some((event, value_place)) = self.next(&path)? else {
                break;
            };
            let value = self.node(event, value_place, &path, depth - 1)?;
            entries.push((Key { text, place }, value));
        }
        Ok(entries)
    }
}

pub(super) fn joined(parent: &str, key: &str) -> String {
    if parent.is_empty() {
        key.to_owned()
    } else {
        format!("{parent}.{key}")
    }
}

fn too_large() -> Problem {
    Problem::new("found more than 256 KiB, wanted less")
}

/// The largest text; `config/node.yaml` has some 2 KiB.
const MAX_BYTES: usize = 256 * 1024;
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 4_096;
