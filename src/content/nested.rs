//! Contents inside of contents: never compressed, without fallback, and bounded before anything is made of them.

use herald_protocol::{Error, content::EncodedContent};

use super::{Content, malformed};

/// How many contents one is inside of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth(usize);

impl Depth {
    /// The content of a message itself.
    pub(super) const OUTERMOST: Self = Self(0);

    /// The depth of what is inside. Errors: [`MAX_DEPTH`] is passed.
    pub(super) fn inside(self) -> Result<Self, Error> {
        if self.0 == MAX_DEPTH {
            return Err(malformed(
                "nested content",
                format!("found more than {MAX_DEPTH} levels"),
            ));
        }
        Ok(Self(self.0 + 1))
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

/// Reads a content that is inside of one at `outside`, whose bytes are let go before what is inside of this one is read: contents of
/// many levels take the memory of two.
pub(super) fn decode(bytes: Vec<u8>, outside: Depth) -> Result<Content, Error> {
    let content = plain(EncodedContent::decode(&bytes)?)?;
    drop(bytes);
    Content::decode_at(content, outside.inside()?)
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
