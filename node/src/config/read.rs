//! From the tree to typed settings: the wanted type decides what a text means, and every refusal gets its place.

use std::{str::FromStr, vec};

use serde::{
    de::{
        DeserializeSeed, Deserializer, IntoDeserializer as _, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    problem::Problem,
    tree::{Content, Key, Node},
};

impl Node {
    fn refuse(&self, wanted: &str) -> Problem {
        Problem::new(format!("found {}, wanted {wanted}", self.describe())).located(&self.place, &self.key)
    }

    fn text(&self, wanted: &str) -> Result<&str, Problem> {
        match &self.content {
            Content::Text(text, _) if !self.is_empty() => Ok(text),
            _ => Err(self.refuse(wanted)),
        }
    }

    fn parsed<T: FromStr>(&self, wanted: &str) -> Result<T, Problem> {
        self.text(wanted)?.parse().map_err(|_| self.refuse(wanted))
    }
}

/// Types that are read as a wider one; the visitor refuses what does not fit.
macro_rules! widened {
    ($($narrow:ident $wide:ident)*) => {$(
        fn $narrow<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            self.$wide(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.content {
            Content::List(_) => self.deserialize_seq(visitor),
            Content::Map(_) => self.deserialize_map(visitor),
            Content::Text(..) if self.is_empty() => visitor.visit_unit(),
            Content::Text(text, _) => visitor.visit_string(text),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(self.text("a text")?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bool(self.parsed("`true` or `false`")?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_i64(self.parsed("a whole number")?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_u64(self.parsed("a whole number, zero or more")?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_f64(self.parsed("a number")?)
    }

    widened! {
        deserialize_string deserialize_str
        deserialize_i8 deserialize_i64 deserialize_i16 deserialize_i64 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u64 deserialize_u16 deserialize_u64 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.is_empty() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let refused = self.refuse("a list like `[one, two]`");
        match self.unfolded()?.content {
            Content::List(items) => visitor.visit_seq(Items(items.into_iter())),
            _ => Err(refused),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let refused = self.refuse("a map of keys");
        if self.is_empty() {
            return visitor.visit_map(Entries::from(Vec::new()));
        }
        match self.unfolded()?.content {
            Content::Map(entries) => visitor.visit_map(Entries::from(entries)),
            _ => Err(refused),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if let Content::Map(entries) = self.content {
            return visitor.visit_enum(MapAccessDeserializer::new(Entries::from(entries)));
        }
        let text = self.text("a text")?.to_owned();
        text.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items(vec::IntoIter<Node>);

impl<'de> SeqAccess<'de> for Items {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        self.0.next().map(|item| read(seed, item)).transpose()
    }
}

struct Entries {
    left: vec::IntoIter<(Key, Node)>,
    /// Of the key that was handed out last.
    value: Option<Node>,
}

impl From<Vec<(Key, Node)>> for Entries {
    fn from(entries: Vec<(Key, Node)>) -> Self {
        Self {
            left: entries.into_iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.left.next() else {
            return Ok(None);
        };
        let read = seed
            .deserialize(key.text.into_deserializer())
            .map_err(|problem: Problem| problem.located(&key.place, &value.key))?;
        self.value = Some(value);
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let value = self.value.take();
        read(
            seed,
            value.ok_or_else(|| Problem::new("found a key without a value"))?,
        )
    }
}

fn read<'de, S: DeserializeSeed<'de>>(seed: S, node: Node) -> Result<S::Value, Problem> {
    let (place, key) = (node.place.clone(), node.key.clone());
    seed.deserialize(node)
        .map_err(|problem| problem.located(&place, &key))
}
