//! What of a reading is new.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::bot::{
    expression::{Scope, Type, Value},
    fire::Firing,
    store::{KnownItem, SeenItem},
};

/// An item of a reading.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// What it is told from others by, as its occurrence is called.
    pub(super) id: String,
    /// The digest of that.
    pub(super) digest: [u8; 32],
    /// The digest of what counts as a change of it.
    pub(super) version: [u8; 32],
    pub(super) date: Option<DateTime<Utc>>,
    pub(super) value: Value,
    /// Whether the next one is told what it was.
    pub(super) is_kept: bool,
}

/// An item that is not as it was known.
#[derive(Clone, Debug)]
pub(super) struct Sorted {
    pub(super) item: Item,
    pub(super) seen: SeenItem,
    previous: Option<String>,
    /// Whether it makes the rule fire.
    pub(super) is_news: bool,
}

impl Item {
    pub(super) fn new(id: String, version: [u8; 32], value: Value) -> Self {
        Self {
            digest: Sha256::digest(&id).into(),
            id,
            version,
            date: None,
            value,
            is_kept: false,
        }
    }
}

/// The items that are new or have changed, in their order; of several that are the same the first.
pub(super) fn sort(items: Vec<Item>, known: &[Option<KnownItem>]) -> Vec<Sorted> {
    let mut once = BTreeSet::new();
    let mut sorted = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        let known = known.get(at).and_then(Option::as_ref);
        let is_as_known = known.is_some_and(|known| known.version == item.version);
        if is_as_known || !once.insert(item.digest) {
            continue;
        }
        let kept = item.is_kept.then(|| item.value.to_json().to_string());
        sorted.push(Sorted {
            seen: SeenItem {
                item: item.digest,
                known: KnownItem {
                    version: item.version,
                    changes: known.map_or(1, |known| known.changes.saturating_add(1)),
                    value: kept.filter(|kept| kept.len() <= MAX_ITEM),
                },
            },
            previous: known.and_then(|known| known.value.clone()),
            is_news: true,
            item,
        });
    }
    sorted
}

impl Sorted {
    /// What makes the rule fire. Errors: it is larger than a bot reads.
    pub(super) fn firing(&self, now: DateTime<Utc>) -> Result<Firing, String> {
        let changes = self.seen.known.changes;
        let id = match changes {
            1 => self.item.id.clone(),
            changes => format!("{} change {changes}", self.item.id),
        };
        let size = self.item.value.to_json().to_string().len();
        if size > MAX_ITEM {
            let id: String = id.chars().take(80).collect();
            return Err(format!(
                "item `{}` has {size} bytes, wanted at most {MAX_ITEM}",
                id.escape_debug()
            ));
        }
        let previous = self
            .previous
            .as_ref()
            .and_then(|json| serde_json::from_str(json).ok());
        let previous = previous.and_then(|json: serde_json::Value| Type::Any.read_json(&json).ok());
        let names = [
            ("item", self.item.value.clone()),
            ("previous", previous.unwrap_or(Value::None)),
        ];
        Ok(Firing {
            id,
            at: now,
            names: names.into_iter().collect::<Scope>(),
        })
    }
}

/// The largest item, in bytes of JSON: the data of one occurrence.
const MAX_ITEM: usize = 256 * 1024;
