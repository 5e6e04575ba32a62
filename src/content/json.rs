//! The JSON inside of some contents, read in any spelling: any order and spacing, members nobody knows, the last of equal names.

use std::{collections::BTreeMap, fmt};

use herald_protocol::Error;
use serde::{
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
    ser::Serialize,
};
use serde_json::value::RawValue;

use super::malformed;

/// The members of an object that somebody asked for, as they are spelled. `null` is the same as absent.
#[derive(Debug)]
pub(super) struct Members<'a> {
    what: &'static str,
    found: BTreeMap<&'static str, &'a RawValue>,
}

impl<'a> Members<'a> {
    /// Reads an object, keeping only the members `names`, so that what is not wanted takes no memory. Errors: not an object.
    pub(super) fn parse(what: &'static str, text: &'a str, names: &[&'static str]) -> Result<Self, Error> {
        // JavaScript's decoder of text drops a mark of byte order.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = serde_json::Deserializer::from_str(text);
        let found = Wanted(names)
            .deserialize(&mut reader)
            .and_then(|found| reader.end().map(|()| found))
            .map_err(|error| malformed(what, error.to_string()))?;
        Ok(Self { what, found })
    }

    /// A member that may be absent. Errors: it is another thing than text.
    pub(super) fn optional_text(&self, name: &'static str) -> Result<Option<String>, Error> {
        self.raw(name)
            .map(|raw| {
                serde_json::from_str(raw)
                    .map_err(|_| malformed(self.what, format!("`{name}` is {}, wanted text", kind(raw))))
            })
            .transpose()
    }

    /// A member that must be there. Errors: it is not, or is another thing than text.
    pub(super) fn text(&self, name: &'static str) -> Result<String, Error> {
        self.optional_text(name)?
            .ok_or_else(|| malformed(self.what, format!("`{name}` is missing")))
    }

    /// A member as it is spelled.
    pub(super) fn raw(&self, name: &'static str) -> Option<&'a str> {
        self.found
            .get(name)
            .map(|raw| raw.get())
            .filter(|raw| *raw != "null")
    }
}

struct Wanted<'n>(&'n [&'static str]);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = BTreeMap<&'static str, &'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = BTreeMap<&'static str, &'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match self.0.iter().find(|wanted| **wanted == name) {
                Some(wanted) => {
                    found.insert(*wanted, map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// What a value is, for a message about it.
pub(super) fn kind(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "text",
        Some(b't' | b'f') => "true or false",
        _ => "a number",
    }
}

/// The compact spelling, as `JSON.stringify` has it: no spaces, nothing escaped that need not be.
pub(super) fn write(value: &impl Serialize) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "called with structs of text and checked numbers, which always serialise"
    )]
    serde_json::to_vec(value).expect("text and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "b"];

    #[test]
    fn any_spelling_is_read_and_the_last_of_equal_names_counts() {
        let text = "\u{feff} {\"c\":[1,{}],\"\\u0061\" : \"x\\u00fc\" ,\"b\":null,\"a\":\"y\"}\n";
        let members = Members::parse("thing", text, NAMES).unwrap();
        assert_eq!(members.text("a"), Ok("y".to_owned()));
        assert_eq!(members.optional_text("b"), Ok(None));
    }

    #[test]
    fn what_is_no_object_or_goes_on_behind_it_is_refused() {
        for text in [
            "",
            "1",
            "[]",
            "\"a\"",
            "{\"a\":1",
            "{} {}",
            "null",
            "{\"a\":\"\\ud83d\"}x",
        ] {
            assert!(Members::parse("thing", text, NAMES).is_err(), "{text}");
        }
    }

    #[test]
    fn a_member_of_another_kind_is_told() {
        let members = Members::parse("thing", "{\"a\":[1],\"b\":2}", NAMES).unwrap();
        let problem = members.text("a").unwrap_err().to_string();
        assert_eq!(problem, "malformed thing: `a` is a list, wanted text");
        assert_eq!(members.raw("b"), Some("2"));
    }
}
