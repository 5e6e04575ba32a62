//! Composite contents, deprecated but still read: several contents in one, possibly nested.

use prost::Message as _;

use super::EncodedContent;
use crate::{
    Error, Reason, limits,
    proto::contents::{self, composite::part::Element},
    wire::Fields,
};

/// Several contents in one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Composite {
    /// In the order written.
    pub parts: Vec<Part>,
}

/// A part of a composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A content of any type.
    Content(EncodedContent),
    /// Several more.
    Composite(Composite),
}

impl Composite {
    /// Decodes `xmtp.message_contents.Composite`, the content of `xmtp.org/composite:1.0`. Takes at most
    /// [`limits::COMPOSITE_PARTS`] parts in all and [`limits::COMPOSITE_DEPTH`] levels, and stops reading beyond.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut left = limits::COMPOSITE_PARTS;
        read_composite(bytes, limits::COMPOSITE_DEPTH, &mut left)
    }

    /// Encodes `xmtp.message_contents.Composite`.
    pub fn encode(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    fn to_proto(&self) -> contents::Composite {
        let part = |part: &Part| contents::composite::Part {
            element: Some(match part {
                Part::Content(content) => Element::Part(content.encode()),
                Part::Composite(composite) => Element::Composite(composite.to_proto()),
            }),
        };
        contents::Composite {
            parts: self.parts.iter().map(part).collect(),
        }
    }
}

/// Reads field by field: the generated decoder would build millions of empty parts before they could be counted.
fn read_composite(bytes: &[u8], depth: usize, left: &mut usize) -> Result<Composite, Error> {
    let depth = depth.checked_sub(1).ok_or(Reason::CompositeTooLarge)?;
    let mut composite = Composite::default();
    let mut fields = Fields::of("composite", bytes);
    while let Some((tag, field)) = fields.next()? {
        if tag == PARTS {
            *left = left.checked_sub(1).ok_or(Reason::CompositeTooLarge)?;
            composite.parts.push(read_part(field, depth, left)?);
        }
    }
    Ok(composite)
}

/// Of several members the last one counts, as a oneof decodes.
fn read_part(bytes: &[u8], depth: usize, left: &mut usize) -> Result<Part, Error> {
    let mut element = None;
    let mut fields = Fields::of("composite", bytes);
    while let Some((tag, field)) = fields.next()? {
        if tag == PART || tag == COMPOSITE {
            element = Some((tag, field));
        }
    }
    match element {
        Some((PART, field)) => EncodedContent::decode(field).map(Part::Content),
        Some((_, field)) => read_composite(field, depth, left).map(Part::Composite),
        None => Err(Error::missing("composite part", "part")),
    }
}

const PARTS: u32 = 1;
const PART: u32 = 1;
const COMPOSITE: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content;

    fn nested(levels: usize) -> Composite {
        let innermost = Composite {
            parts: vec![Part::Content(content::text("in"))],
        };
        (1..levels).fold(innermost, |inner, _| Composite {
            parts: vec![Part::Composite(inner)],
        })
    }

    fn wide(parts: usize) -> Composite {
        Composite {
            parts: vec![Part::Content(content::text("x")); parts],
        }
    }

    #[test]
    fn nested_parts_survive_in_their_order() {
        let composite = Composite {
            parts: vec![
                Part::Content(content::text("one")),
                Part::Composite(wide(2)),
                Part::Content(content::text("two")),
            ],
        };
        assert_eq!(Composite::decode(&composite.encode()), Ok(composite));
        assert_eq!(Composite::decode(&[]), Ok(Composite::default()));
    }

    #[test]
    fn the_bounds_themselves_fit_and_one_more_does_not() {
        let too_large = Err(Reason::CompositeTooLarge.into());
        assert!(Composite::decode(&nested(limits::COMPOSITE_DEPTH).encode()).is_ok());
        assert_eq!(
            Composite::decode(&nested(limits::COMPOSITE_DEPTH + 1).encode()),
            too_large
        );
        assert!(Composite::decode(&wide(limits::COMPOSITE_PARTS).encode()).is_ok());
        assert_eq!(
            Composite::decode(&wide(limits::COMPOSITE_PARTS + 1).encode()),
            too_large
        );
        // Parts of nested composites count as well.
        let split = Composite {
            parts: vec![Part::Composite(wide(500)), Part::Composite(wide(500))],
        };
        assert_eq!(Composite::decode(&split.encode()), too_large);
    }

    #[test]
    fn empty_parts_and_false_lengths_are_refused() {
        assert!(matches!(
            Composite::decode(&[0x0a, 0x00]),
            Err(Error::Malformed { .. })
        ));
        assert!(matches!(
            Composite::decode(&[0x0a, 0x05, 0x01]),
            Err(Error::Malformed { .. })
        ));
        assert!(matches!(Composite::decode(&[0x0a]), Err(Error::Malformed { .. })));
        // Fields of later versions are passed over.
        assert_eq!(
            Composite::decode(&[0x18, 0x07, 0x22, 0x01, 0x00]),
            Ok(Composite::default())
        );
    }
}
