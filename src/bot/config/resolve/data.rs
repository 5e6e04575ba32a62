//! Data in tests: the bodies of webhooks and the fields of members, as JSON of the types they stand for.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::report::Report;
use crate::bot::config::diagnostics::Code;
use crate::bot::config::shape::Place;
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::expression::Type;
use crate::bot::testing;

/// Reads data. The test wallets in it are noted.
pub(super) struct Data<'r, 't> {
    pub(super) report: &'r mut Report<'t>,
    pub(super) people: &'r mut BTreeSet<String>,
    /// Whether what does not fit its type is left as it stands: it is meant to be refused.
    pub(super) may_be_wrong: bool,
}

impl Data<'_, '_> {
    /// A value of a type; where a wallet belongs, the name of a test wallet is its address.
    pub(super) fn typed(&mut self, node: NodeId, ty: &Type) -> Option<Json> {
        let tree = self.report.tree;
        match (tree.content(node), ty) {
            (_, Type::Any) => Some(self.any(node)),
            (Content::Scalar(text), Type::Optional(_)) if is_nothing(text) && tree.is_plain(node) => {
                Some(Json::Null)
            }
            (_, Type::Optional(ty)) => self.typed(node, ty),
            (Content::Scalar(text), Type::Wallet)
                if testing::is_wallet(text) && text.parse::<herald_protocol::address::Address>().is_err() =>
            {
                self.people.insert(text.clone());
                Some(testing::wallet(text).address().to_string().into())
            }
            (Content::Map(entries), Type::Record(record)) => {
                let mut members = Some(serde_json::Map::new());
                for (name, entry) in entries {
                    let value = self.typed(*entry, record.get(name).unwrap_or(&Type::Any));
                    members = members.zip(value).map(|(mut members, value)| {
                        members.insert(name.clone(), value);
                        members
                    });
                }
                members.map(Json::Object)
            }
            (Content::List(items), Type::List(element)) => {
                let items: Vec<Option<Json>> = items.iter().map(|item| self.typed(*item, element)).collect();
                items.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
            }
            (Content::Scalar(text), ty) => match ty.read_text(text) {
                Ok(value) => Some(value.to_json()),
                Err(_) if self.may_be_wrong => Some(self.any(node)),
                Err(reason) => {
                    self.report.add(Place::Value(node), Code::Type, reason, None);
                    None
                }
            },
            _ if self.may_be_wrong => Some(self.any(node)),
            (_, ty) => {
                let message = format!("expected a value of type {ty}");
                self.report.add(Place::Value(node), Code::Type, message, None);
                None
            }
        }
    }

    /// A value without a declared type: what stands there decides, and what is quoted is text.
    pub(super) fn any(&mut self, node: NodeId) -> Json {
        let tree = self.report.tree;
        match tree.content(node) {
            Content::Scalar(text) if !tree.is_plain(node) => text.clone().into(),
            Content::Scalar(text) if is_nothing(text) => Json::Null,
            Content::Scalar(text) => match Type::infer(text) {
                ty @ (Type::Bool | Type::Int | Type::Decimal) => ty
                    .read_text(text)
                    .map_or_else(|_| text.clone().into(), |value| value.to_json()),
                _ => text.clone().into(),
            },
            Content::List(items) => items.iter().map(|item| self.any(*item)).collect(),
            Content::Map(entries) => {
                let members = entries
                    .iter()
                    .map(|(name, entry)| (name.clone(), self.any(*entry)));
                Json::Object(members.collect())
            }
        }
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(text, "" | "none" | "null" | "~")
}
