//! Contents inside of contents: never compressed, without fallback, and bounded before anything is made of them.

use herald_protocol::{Error, Reason, content::EncodedContent, limits};

use super::{Content, malformed};

/// What is left for the contents inside of one: levels below it, and parts of composites in the whole message.
#[derive(Debug)]
pub(super) struct Room<'a> {
    levels: usize,
    parts: &'a mut usize,
}

impl Room<'_> {
    /// Reads the content of a message itself, which all of the room is for.
    pub(super) fn whole<T>(read: impl FnOnce(&mut Room<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let mut parts = limits::COMPOSITE_PARTS;
        read(&mut Room {
            levels: MAX_DEPTH,
            parts: &mut parts,
        })
    }

    /// The room of what is inside. Errors: [`MAX_DEPTH`] is passed.
    pub(super) fn inside(&mut self) -> Result<Room<'_>, Error> {
        let too_deep = || malformed("nested content", format!("found more than {MAX_DEPTH} levels"));
        Ok(Room {
            levels: self.levels.checked_sub(1).ok_or_else(too_deep)?,
            parts: self.parts,
        })
    }

    /// Takes the room of a composite's parts, for good. Errors: the message has more than [`limits::COMPOSITE_PARTS`].
    pub(super) fn take(&mut self, parts: usize) -> Result<(), Error> {
        *self.parts = self.parts.checked_sub(parts).ok_or(Reason::CompositeTooLarge)?;
        Ok(())
    }
}

/// How a content is written inside of another.
pub(super) fn encode(content: &Content) -> EncodedContent {
    bare(content.to_encoded())
}

/// The same without fallback.
pub(super) fn bare(content: EncodedContent) -> EncodedContent {
    EncodedContent {
        fallback: None,
        ..content
    }
}

/// Reads a content that is inside of the one whose room is `outside`. Its bytes are let go before what is inside of it is read: contents of
/// many levels take the memory of two.
pub(super) fn decode(bytes: Vec<u8>, outside: &mut Room<'_>) -> Result<Content, Error> {
    let content = plain(EncodedContent::decode(&bytes)?)?;
    drop(bytes);
    Content::decode_in(&mut outside.inside()?, content)
}

/// Takes what is nested as it must be. Errors: it is compressed, which no client does and which would multiply the bound of the outer
/// one.
pub(super) fn plain(content: EncodedContent) -> Result<EncodedContent, Error> {
    match content.compression {
        None => Ok(content),
        Some(_) => Err(malformed(
            "nested content",
            "found it compressed, wanted it plain",
        )),
    }
}

/// Ours: people answer answers, but each level carries the levels below it.
pub(super) const MAX_DEPTH: usize = 16;
