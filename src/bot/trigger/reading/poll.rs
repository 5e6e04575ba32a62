//! `poll`: the items of a source that are new, or whose fields have changed.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::news::Item;
use crate::bot::{
    expression::{Scope, Value},
    source::{Asker, Http, Pages},
};

/// A source that is read again and again.
#[derive(Debug, Clone)]
pub struct Poll {
    /// What is asked.
    pub source: Http,
    /// How often; at least one second.
    pub every: Duration,
    /// The members whose values count as a change, `space.id` for one inside of another; empty for none.
    pub changed: Vec<String>,
    /// Whether the items of the first reading are news.
    pub starts_with_all: bool,
}

impl Poll {
    /// All items, of all pages. Errors are sentences for people.
    pub(super) async fn items(&self, asker: Asker<'_>, scope: &Scope) -> Result<Vec<Item>, String> {
        let mut pages = Pages::of(&self.source, asker, scope)?;
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page.iter().map(|item| self.item(item)));
            if items.len() > MAX_ITEMS {
                return Err(format!("it gives more than {MAX_ITEMS} items"));
            }
        }
        Ok(items)
    }

    pub(super) fn item(&self, value: &Value) -> Item {
        item(value, &self.changed)
    }
}

/// An item with what it is told from others by: its `id`, else the members that count, else all of it.
fn item(value: &Value, changed: &[String]) -> Item {
    let counted: Vec<_> = changed.iter().map(|path| member(value, path)).collect();
    let counts = Sha256::digest(to_text(&Value::list(counted))).into();
    let id = match member(value, "id") {
        Value::None | Value::List(_) | Value::Record(_) => None,
        id => Some(id.to_text()),
    };
    let id = id
        .filter(|id| !id.is_empty() && id.len() <= MAX_ID)
        .unwrap_or_else(|| {
            let digest = if changed.is_empty() {
                Sha256::digest(to_text(value)).into()
            } else {
                counts
            };
            const_hex::encode::<[u8; 32]>(digest)
        });
    Item {
        is_kept: !changed.is_empty(),
        ..Item::new(id, counts, value.clone())
    }
}

/// A member of a value, or of a member of it; `none` where there is none.
fn member(value: &Value, path: &str) -> Value {
    let mut found = value.clone();
    for name in path.split('.') {
        found = match &found {
            Value::Record(members) => members.get(name).cloned().unwrap_or(Value::None),
            _ => return Value::None,
        };
    }
    found
}

fn to_text(value: &Value) -> String {
    value.to_json().to_string()
}

/// The most items of one reading. Ours: they are compared in memory.
const MAX_ITEMS: usize = 10_000;
/// The longest id that stands for itself.
const MAX_ID: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::{item, *};

    fn paths(changed: &[&str]) -> Vec<String> {
        changed.iter().map(|path| (*path).to_owned()).collect()
    }

    fn value(json: &str) -> Value {
        let json = serde_json::from_str(json).unwrap();
        crate::bot::expression::Type::Any.read_json(&json).unwrap()
    }

    #[test]
    fn an_item_is_its_id_and_changes_by_the_members_that_count() {
        let changed = paths(&["state", "space.id"]);
        let item = |json: &str| item(&value(json), &changed);
        let open = item(r#"{"id": 7, "state": "open", "space": {"id": "ens"}, "votes": 1}"#);
        let voted = item(r#"{"id": 7, "state": "open", "space": {"id": "ens"}, "votes": 2}"#);
        let closed = item(r#"{"id": 7, "state": "closed", "space": {"id": "ens"}, "votes": 2}"#);
        assert_eq!(open.id, "7");
        assert_eq!((open.digest, open.version), (voted.digest, voted.version));
        assert_eq!(open.digest, closed.digest);
        assert_ne!(open.version, closed.version);
    }

    #[test]
    fn an_item_without_an_id_is_what_counts_or_all_of_it() {
        let counting = paths(&["state"]);
        let of = |json: &str| item(&value(json), &counting);
        let one = of(r#"{"state": "open", "votes": 1}"#);
        assert_eq!(one.digest, of(r#"{"state": "open", "votes": 2}"#).digest);
        assert_ne!(one.digest, of(r#"{"state": "done", "votes": 2}"#).digest);
        let whole = |value: &Value| item(value, &[]);
        let one = whole(&value(r#"{"a": 1}"#));
        let other = whole(&value(r#"{"a": 2}"#));
        assert_ne!(one.digest, other.digest);
        assert_eq!(one.version, other.version, "no change of an item counts");
        assert_eq!(whole(&Value::text("x")).id.len(), 64, "items need not be records");
    }
}
