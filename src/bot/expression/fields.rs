//! The fields of a record, and what records of one kind share.

use std::sync::Arc;

use super::Value;

/// Values by name, in the order of the names. A clone shares them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(Arc<Inner>);

#[derive(Debug, Default, PartialEq)]
struct Inner {
    /// In order, each once.
    names: Arc<[Box<str>]>,
    /// As many as names.
    values: Vec<Value>,
}

/// The names of many records, which share them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    names: Arc<[Box<str>]>,
    /// Where the value of each name goes, as the names were given.
    places: Box<[usize]>,
}

impl Shape {
    /// The shape of records whose values come in the order of these names; of those of one name the last one counts.
    pub fn new<N: Into<Box<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        let given: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        let mut names = given.clone();
        names.sort_unstable();
        names.dedup();
        let places = given
            .iter()
            .map(|name| names.partition_point(|other| other < name));
        Self {
            places: places.collect(),
            names: names.into(),
        }
    }

    /// A record of these values. What they lack is `none`.
    pub fn record(&self, values: impl IntoIterator<Item = Value>) -> Value {
        let mut sorted = vec![Value::None; self.names.len()];
        for (place, value) in self.places.iter().zip(values) {
            if let Some(slot) = sorted.get_mut(*place) {
                *slot = value;
            }
        }
        Value::Record(Fields(Arc::new(Inner {
            names: Arc::clone(&self.names),
            values: sorted,
        })))
    }
}

impl Fields {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Inner { names, values } = &*self.0;
        values.get(names.binary_search_by(|other| (**other).cmp(name)).ok()?)
    }

    /// Whether there is one of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every name, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.names.iter().map(|name| &**name)
    }

    /// Every value, in the order of the names.
    pub fn values(&self) -> &[Value] {
        &self.0.values
    }

    /// Every name and its value, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.names().zip(&self.0.values)
    }
}

impl<N: Into<Box<str>>> FromIterator<(N, Value)> for Fields {
    /// Of those of one name the last one counts.
    fn from_iter<I: IntoIterator<Item = (N, Value)>>(fields: I) -> Self {
        let mut fields: Vec<(Box<str>, Value)> = fields
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect();
        // The sort keeps those of one name in their order, and of neighbours the first one stays.
        fields.reverse();
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        fields.dedup_by(|(next, _), (first, _)| next == first);
        let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        Self(Arc::new(Inner {
            names: names.into(),
            values,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_a_shape_are_those_of_the_same_names_one_by_one_whatever_the_order_and_however_often() {
        let names = ["wallet", "name", "", "vip", "name", "ä", "a"];
        let shape = Shape::new(names);
        for count in 0..=names.len() {
            let values = || (0..).map(Value::from).take(count);
            let lacking = names.into_iter().skip(count).map(|name| (name, Value::None));
            // What lacks is there, too, unless a name that comes twice has its value already.
            let given: Vec<_> = lacking.chain(names.into_iter().zip(values())).collect();
            assert_eq!(shape.record(values()), Value::record(given), "{count} values");
        }
    }

    #[test]
    fn fields_are_found_by_name_and_come_in_the_order_of_their_names() {
        let fields: Fields = [
            ("b", Value::from(1)),
            ("a", Value::from(2)),
            ("b", Value::from(3)),
        ]
        .into_iter()
        .collect();
        assert_eq!(fields.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(fields.get("a"), Some(&Value::from(2)));
        assert_eq!(fields.get("b"), Some(&Value::from(3)));
        assert_eq!(fields.get("c"), None);
        assert_eq!((fields.len(), fields.is_empty()), (2, false));
    }
}
