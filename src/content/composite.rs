//! Several contents in one, `xmtp.org/composite:1.0`, as XIP-9 defines them. XIP-19 has deprecated it: it is read, and should not be
//! sent.

use herald_protocol::{
    Error,
    content::{self, ContentTypeId, EncodedContent, Part},
};

use super::{Content, ContentCodec, nested, standard};

/// Several contents; one of them may be a composite itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// The contents in their order. Read are at most 1,000 in a message, 16 composites inside of each other.
    pub parts: Vec<Content>,
}

impl Composite {
    pub(super) fn decode_in(room: &mut nested::Room<'_>, content: EncodedContent) -> Result<Self, Error> {
        let composite = content::Composite::decode(&content.content)?;
        drop(content);
        // All of them at once: they are in memory while the contents inside of the first are read.
        room.take(count(&composite))?;
        Self::read(room, composite)
    }

    fn read(room: &mut nested::Room<'_>, composite: content::Composite) -> Result<Self, Error> {
        let mut inside = room.inside()?;
        let read = |part| match part {
            Part::Content(content) => Content::decode_in(&mut inside, nested::plain(content)?),
            Part::Composite(composite) => Self::read(&mut inside, composite).map(Content::Composite),
        };
        let parts = composite.parts.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    fn to_parts(&self) -> content::Composite {
        let part = |content: &Content| match content {
            Content::Composite(composite) => Part::Composite(composite.to_parts()),
            content => Part::Content(nested::encode(content)),
        };
        content::Composite {
            parts: self.parts.iter().map(part).collect(),
        }
    }
}

/// The parts on all levels that were read together.
fn count(composite: &content::Composite) -> usize {
    let below = |part: &Part| match part {
        Part::Content(_) => 0,
        Part::Composite(composite) => count(composite),
    };
    composite.parts.len() + composite.parts.iter().map(below).sum::<usize>()
}

impl ContentCodec for Composite {
    fn content_type() -> ContentTypeId {
        standard("composite")
    }

    fn encode(&self) -> EncodedContent {
        EncodedContent::new(Self::content_type(), self.to_parts().encode())
    }

    fn decode(content: &EncodedContent) -> Result<Self, Error> {
        nested::Room::whole(|room| Self::decode_in(room, content.clone()))
    }
}

#[cfg(test)]
mod tests {
    use herald_protocol::{Reason, limits};

    use super::*;
    use crate::content::{Attachment, Reply};

    fn composite(parts: Vec<Content>) -> Content {
        Composite { parts }.into()
    }

    #[test]
    fn contents_and_composites_come_back_in_their_order() {
        let attachment = Attachment::new("a", "b", vec![1]);
        let inner = composite(vec!["two".into(), Reply::new("id", "three").into()]);
        let outer = composite(vec![
            "one".into(),
            inner,
            attachment.into(),
            composite(Vec::new()),
        ]);
        assert_eq!(Content::decode(outer.to_encoded()), Ok(outer));
    }

    #[test]
    fn the_bytes_are_those_of_the_published_definition() {
        // Composite { parts: [Part { part: EncodedContent { type: {}, .. } }, Part { composite: {} }] }
        let bytes = vec![0x0a, 4, 0x0a, 2, 0x0a, 0, 0x0a, 2, 0x12, 0];
        let read = Composite::decode(&EncodedContent::new(Composite::content_type(), bytes.clone())).unwrap();
        assert_eq!(read.parts.len(), 2);
        assert_eq!(read.parts[1], composite(Vec::new()));
        assert_eq!(read.encode().content, bytes);
    }

    #[test]
    fn depth_and_number_of_parts_are_bounded_on_all_levels_together() {
        let deep = |levels| (1..levels).fold(composite(Vec::new()), |inner, _| composite(vec![inner]));
        assert!(Content::decode(deep(nested::MAX_DEPTH).to_encoded()).is_ok());
        assert!(Content::decode(deep(nested::MAX_DEPTH + 1).to_encoded()).is_err());
        let wide = |parts| composite(vec!["x".into(); parts]);
        assert!(Content::decode(wide(limits::COMPOSITE_PARTS).to_encoded()).is_ok());
        assert!(Content::decode(wide(limits::COMPOSITE_PARTS + 1).to_encoded()).is_err());
        assert!(Content::decode(composite(vec![wide(600), wide(600)]).to_encoded()).is_err());
    }

    #[test]
    fn the_bound_of_parts_does_not_restart_inside_of_a_part() {
        // Part::Content with a composite in it, which `to_parts` does not write.
        let part = |parts| Part::Content(composite(vec!["x".into(); parts]).to_encoded());
        let read = |parts: Vec<Part>| {
            let bytes = content::Composite { parts }.encode();
            Composite::decode(&EncodedContent::new(Composite::content_type(), bytes))
        };
        let reply = |parts| {
            let reply = Reply::new("id", composite(vec!["x".into(); parts]));
            Part::Content(nested::bare(reply.encode()))
        };
        let half = limits::COMPOSITE_PARTS / 2;
        assert!(read(vec![part(half - 1), part(half - 1)]).is_ok());
        assert!(read(vec![part(half - 1), reply(half - 1)]).is_ok());
        let too_large = Err(Reason::CompositeTooLarge.into());
        assert_eq!(read(vec![part(half - 1), part(half)]), too_large);
        assert_eq!(read(vec![reply(half - 1), part(half)]), too_large);
        assert_eq!(read(vec![part(limits::COMPOSITE_PARTS)]), too_large);
    }

    #[test]
    fn parts_that_wait_to_be_read_count_before_those_inside_of_the_first() {
        let first = Part::Content(composite(vec!["x".into(); limits::COMPOSITE_PARTS - 3]).to_encoded());
        // It would be told if the count came too late.
        let broken = EncodedContent::new(Attachment::content_type(), Vec::new());
        let last = content::Composite {
            parts: vec![Part::Content("x".to_owned().encode())],
        };
        let parts = vec![first, Part::Content(broken), Part::Composite(last)];
        let bytes = content::Composite { parts }.encode();
        let read = Composite::decode(&EncodedContent::new(Composite::content_type(), bytes));
        assert_eq!(read, Err(Reason::CompositeTooLarge.into()));
    }

    #[test]
    fn replies_and_composites_share_one_bound_of_depth() {
        let alternating = (0..=nested::MAX_DEPTH).fold(Content::from("x"), |inner, level| match level % 2 {
            0 => Reply::new("id", inner).into(),
            _ => composite(vec![inner]),
        });
        assert!(Content::decode(alternating.to_encoded()).is_err());
    }

    #[test]
    fn a_part_without_content_is_refused() {
        for bytes in [vec![0x0a, 0], vec![0x0a, 5, 0x0a], vec![0x0a], vec![0xff; 20]] {
            let content = EncodedContent::new(Composite::content_type(), bytes);
            assert!(matches!(
                Composite::decode(&content),
                Err(Error::Malformed { .. })
            ));
        }
    }
}
