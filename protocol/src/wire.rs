//! Protobuf read field by field, for messages whose parts must be counted before they are built: the generated decoder
//! would make a hundred bytes in memory of every two on the wire.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::Error;

/// The length-delimited fields of an encoded message, in the order written; others are passed over.
pub(crate) struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `what` names the message in errors.
    pub(crate) const fn of(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// The next field with its number.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, &'a [u8])>, Error> {
        let malformed = |error: prost::DecodeError| Error::malformed(self.what, error.to_string());
        while !self.rest.is_empty() {
            let (tag, wire_type) = decode_key(&mut self.rest).map_err(malformed)?;
            if wire_type != WireType::LengthDelimited {
                let context = DecodeContext::default();
                skip_field(wire_type, tag, &mut self.rest, context).map_err(malformed)?;
                continue;
            }
            let length = decode_varint(&mut self.rest).map_err(malformed)?;
            let split = usize::try_from(length).ok();
            let split = split.and_then(|length| self.rest.split_at_checked(length));
            let Some((field, after)) = split else {
                let problem = format!("found {} bytes, wanted {length}", self.rest.len());
                return Err(Error::malformed(self.what, problem));
            };
            self.rest = after;
            return Ok(Some((tag, field)));
        }
        Ok(None)
    }

    /// Refuses more than `most` fields of this number.
    pub(crate) fn bound(mut self, number: u32, name: &str, most: usize) -> Result<(), Error> {
        let mut left = most;
        while let Some((tag, _)) = self.next()? {
            if tag != number {
                continue;
            }
            let Some(fewer) = left.checked_sub(1) else {
                let problem = format!("found more than {most} of `{name}`");
                return Err(Error::malformed(self.what, problem));
            };
            left = fewer;
        }
        Ok(())
    }
}
