//! The tree as a data format of serde.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
};
use serde::de::{Unexpected, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Error, Place};
use crate::bot::config::later;
use crate::bot::config::spanned::{RAW, SPANNED};
use crate::bot::config::tree::{Content, NodeId, Tree};

/// What one reading of the tree shares.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a, 't> {
    pub(super) tree: &'t Tree,
    /// Nodes that are read as if they were not there.
    pub(super) left_out: &'a BTreeSet<NodeId>,
    /// Where the first error of this reading was raised, and which part to leave out next.
    pub(super) raised: &'a RefCell<Option<(Place, NodeId)>>,
}

impl<'a, 't> Reader<'a, 't> {
    /// Notes where an error comes from; of the places it passes on its way up the first is kept.
    fn located<T>(self, result: Result<T, Error>, place: Place, culprit: NodeId) -> Result<T, Error> {
        if result.is_err() {
            self.raised.borrow_mut().get_or_insert((place, culprit));
        }
        result
    }

    /// The key of a map that is one of these and was left out.
    fn left_out_key(self, id: NodeId, keys: &'static [&'static str]) -> Option<&'static str> {
        keys.iter().copied().find(|key| {
            let entry = self.tree.entry(id, key);
            entry.is_some_and(|entry| self.left_out.contains(&entry))
        })
    }

    fn entries(self, id: NodeId) -> impl Iterator<Item = (&'t str, NodeId)> + use<'a, 't> {
        let entries = match self.tree.content(id) {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let left_out = self.left_out;
        entries
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .filter(move |(_, value)| !left_out.contains(value))
    }
}

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'a, 't> {
    pub(super) reader: Reader<'a, 't>,
    pub(super) id: NodeId,
}

impl<'t> NodeReader<'_, 't> {
    fn visit<V: Visitor<'t>>(self, shape: &'static str, visitor: V) -> Result<V::Value, Error> {
        let Self { reader, id } = self;
        let result = match reader.tree.content(id) {
            Content::Scalar(text) if reader.tree.is_empty(id) => {
                Err(de::Error::invalid_type(Unexpected::Str(text), &visitor))
            }
            Content::Scalar(text) => visitor.visit_borrowed_str(text),
            Content::List(items) => visitor.visit_seq(Items {
                reader,
                items: items.iter(),
            }),
            Content::Map(_) => visitor.visit_map(Fields {
                reader,
                shape,
                entries: Box::new(reader.entries(id)),
                value: None,
            }),
        };
        reader.located(result, Place::Value(id), id)
    }

    /// The variant of an enum that this node is.
    fn variant(
        self,
        shape: &'static str,
        variants: &'static [&'static str],
        expected: &dyn de::Expected,
    ) -> Result<&'static str, Error> {
        let Self { reader, id } = self;
        let named = |name: &str| variants.iter().copied().find(|variant| *variant == name);
        let (kind, found) = match reader.tree.content(id) {
            Content::Scalar(_) if reader.tree.is_empty(id) => (None, Unexpected::Str("")),
            Content::Scalar(text) => (named("$text").or(named("$one")), Unexpected::Str(text)),
            Content::List(_) => (named("$many"), Unexpected::Seq),
            Content::Map(_) => {
                let later = reader.entries(id).find(|(key, _)| later::is_key(shape, key));
                if let Some((key, entry)) = later {
                    return reader.located(Err(Error::NotYet(key.to_owned())), Place::Key(entry), id);
                }
                let mut told: Vec<_> = reader
                    .entries(id)
                    .filter_map(|(key, entry)| Some((named(key)?, entry)))
                    .collect();
                if told.iter().any(|(name, _)| !SHARED.contains(name)) {
                    told.retain(|(name, _)| !SHARED.contains(name));
                }
                let mut told = told.into_iter();
                let kind = told.next().map(|(name, _)| name);
                if let (Some(first), Some((second, entry))) = (kind, told.next()) {
                    let message = format!("`{second}` cannot stand beside `{first}`");
                    return reader.located(Err(Error::Other(message)), Place::Key(entry), entry);
                }
                if kind.is_none()
                    && let Some(key) = reader.left_out_key(id, variants)
                {
                    // What told the variant is left out, which is reported at its place.
                    return reader.located(Err(Error::MissingKey(key)), Place::Value(id), id);
                }
                let kind = kind.or(named("$map")).or(named("$one"));
                if let (None, Some((key, entry))) = (kind, reader.entries(id).next()) {
                    let later = later::keys(shape).collect();
                    let error = Error::UnknownKey {
                        key: key.to_owned(),
                        known: variants,
                        later,
                    };
                    return reader.located(Err(error), Place::Key(entry), id);
                }
                (kind, Unexpected::Map)
            }
        };
        let variant = kind.ok_or_else(|| de::Error::invalid_type(found, expected));
        reader.located(variant, Place::Value(id), id)
    }
}

/// Keys that tell a trigger, unless another does that has them among its own.
const SHARED: [&str; 2] = ["every", "at"];

impl<'t> Deserializer<'t> for NodeReader<'_, 't> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit("", visitor)
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.reader.tree.content(self.id) {
            // A derived struct would also read a list, by position.
            Content::List(_) => {
                let error = de::Error::invalid_type(Unexpected::Seq, &visitor);
                self.reader.located(Err(error), Place::Value(self.id), self.id)
            }
            _ => self.visit(name, visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            SPANNED => visitor.visit_seq(PlaceAndValue { node: self, given: 0 }),
            RAW => visitor.visit_u32(self.id.number()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = self.variant(name, variants, &visitor)?;
        visitor.visit_enum(Variant { variant, node: self })
    }

    forward_to_deserialize_any! {
        <V: Visitor<'t>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a, 't> {
    reader: Reader<'a, 't>,
    items: std::slice::Iter<'t, NodeId>,
}

impl<'t> SeqAccess<'t> for Items<'_, 't> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let left_out = self.reader.left_out;
        let next = self.items.find(|id| !left_out.contains(id));
        next.map(|id| {
            seed.deserialize(NodeReader {
                reader: self.reader,
                id: *id,
            })
        })
        .transpose()
    }
}

struct Fields<'a, 't> {
    reader: Reader<'a, 't>,
    /// The name of the struct that is read, for its later keys.
    shape: &'static str,
    entries: Box<dyn Iterator<Item = (&'t str, NodeId)> + 'a>,
    value: Option<NodeId>,
}

impl<'t> MapAccess<'t> for Fields<'_, 't> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, id)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(id);
        let result = match seed.deserialize(BorrowedStrDeserializer::<Error>::new(key)) {
            Err(Error::UnknownKey { .. }) if later::is_key(self.shape, key) => {
                Err(Error::NotYet(key.to_owned()))
            }
            Err(Error::UnknownKey { key, known, .. }) => Err(Error::UnknownKey {
                key,
                known,
                later: later::keys(self.shape).collect(),
            }),
            other => other,
        };
        self.reader.located(result, Place::Key(id), id).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let id = self
            .value
            .take()
            .ok_or_else(|| Error::Other("a value was asked for before its key".to_owned()))?;
        seed.deserialize(NodeReader {
            reader: self.reader,
            id,
        })
    }
}

/// Gives first the place of a node, then its value.
struct PlaceAndValue<'a, 't> {
    node: NodeReader<'a, 't>,
    given: u8,
}

impl<'t> SeqAccess<'t> for PlaceAndValue<'_, 't> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.given += 1;
        match self.given {
            1 => seed
                .deserialize(self.node.id.number().into_deserializer())
                .map(Some),
            2 => seed.deserialize(self.node).map(Some),
            _ => Ok(None),
        }
    }
}

struct Variant<'a, 't> {
    variant: &'static str,
    node: NodeReader<'a, 't>,
}

impl<'t> EnumAccess<'t> for Variant<'_, 't> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'t>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        seed.deserialize(self.variant.into_deserializer())
            .map(|variant| (variant, self))
    }
}

impl<'t> VariantAccess<'t> for Variant<'_, 't> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.node)
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.node.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.node.deserialize_any(visitor)
    }
}
