//! Who holds tokens: `given.holders`.

use std::collections::{BTreeMap, BTreeSet};

use herald_protocol::address::Address;
use num_bigint::BigUint;

use super::Resolving;
use crate::bot::audience::{
    Audience,
    holders::{BALANCE, GivenHolder},
};
use crate::bot::config::diagnostics::{Code, quote};
use crate::bot::config::resolve::report::Report;
use crate::bot::config::shape::Place;
use crate::bot::config::tree::{Content, NodeId};
use crate::bot::expression::{Scope, Type, Value};
use crate::bot::store::word;

/// Holders by their token; those without one hold whichever is asked for.
pub(super) type Holders = BTreeMap<Option<Address>, Vec<GivenHolder>>;

impl Resolving<'_, '_, '_> {
    /// A list of holders, or lists by the address of their token.
    pub(super) fn holders(&mut self, node: NodeId) -> Option<Holders> {
        let tree = self.report.tree;
        let tokens = self.tokens()?;
        if tokens.is_empty() {
            let message = "no rule of the bot writes to `holders`";
            self.report.add(Place::Key(node), Code::Undefined, message, None);
            return None;
        }
        let entries = match tree.content(node) {
            Content::Map(entries) => entries,
            Content::List(items) => {
                let mut named = tokens.iter().flatten();
                if let (Some(first), Some(second)) = (named.next(), named.next()) {
                    let message = "expected holders by their token: the bot's rules name several";
                    let hint = format!("write `{first}: [{{ wallet: alice }}]`, and the same for {second}");
                    self.report
                        .add(Place::Value(node), Code::Shape, message, Some(hint));
                    return None;
                }
                return Some(BTreeMap::from([(None, self.of_token(items)?)]));
            }
            Content::Scalar(_) => {
                let message = "expected a list of holders like `{ wallet: alice, balance: 1 }`";
                self.report.add(Place::Value(node), Code::Shape, message, None);
                return None;
            }
        };
        let mut holders = Some(BTreeMap::new());
        for (key, entry) in entries {
            let token = match Type::Wallet.read_text(key) {
                Ok(Value::Wallet(token)) => Some(token),
                _ => None,
            };
            let (Some(token), Content::List(items)) = (token, tree.content(*entry)) else {
                let message = format!(
                    "expected the address of a token and its holders, found {}",
                    quote(key)
                );
                self.report.add(Place::Key(*entry), Code::Shape, message, None);
                holders = None;
                continue;
            };
            let of_token = self.of_token(items);
            holders = holders.zip(of_token).map(|(mut holders, of_token)| {
                holders.insert(Some(token), of_token);
                holders
            });
        }
        holders
    }

    /// The tokens whose holders the rules write to; none for one that is not known before a rule fires.
    fn tokens(&self) -> Option<BTreeSet<Option<Address>>> {
        let mut tokens = BTreeSet::new();
        for branch in self.rules?.values().flat_map(|rule| rule.audience.branches()) {
            if let Audience::Holders(holders) = branch.audience {
                let token = match holders.token.evaluate(&Scope::new()) {
                    Ok(Value::Wallet(token)) => Some(token),
                    _ => None,
                };
                tokens.insert(token);
            }
        }
        Some(tokens)
    }

    fn of_token(&mut self, items: &[NodeId]) -> Option<Vec<GivenHolder>> {
        let mut holders = Some(Vec::new());
        for item in items {
            let holder = self.holder(*item);
            holders = holders.zip(holder).map(|(mut holders, holder)| {
                holders.push(holder);
                holders
            });
        }
        holders
    }

    fn holder(&mut self, node: NodeId) -> Option<GivenHolder> {
        let entries = match self.report.tree.content(node) {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let (mut wallet, mut item, mut balance) = (None, None, Some(BigUint::from(1_u8)));
        let mut is_right = true;
        for (key, entry) in entries {
            match key.as_str() {
                "wallet" => wallet = self.who(*entry),
                BALANCE => balance = self.amount(*entry),
                "id" => {
                    item = self.amount(*entry).as_ref().and_then(word);
                    is_right &= item.is_some();
                }
                _ => {
                    let hint = Report::meant(key, ["wallet", BALANCE, "id"]);
                    let message = format!("holders have no {}", quote(key));
                    self.report
                        .add(Place::Key(*entry), Code::UnknownKey, message, hint);
                    is_right = false;
                }
            }
        }
        if entries.iter().all(|(key, _)| key != "wallet") {
            let message = "expected a holder like `{ wallet: alice, balance: 1 }`";
            self.report.add(Place::Value(node), Code::Shape, message, None);
        }
        let wallet = wallet.filter(|_| is_right)?.address();
        Some(GivenHolder {
            wallet,
            item,
            balance: balance?,
        })
    }

    /// A number of at most 256 bits.
    fn amount(&mut self, node: NodeId) -> Option<BigUint> {
        let found = self.report.tree.scalar(node).unwrap_or_default().to_owned();
        let amount = match Type::Int.read_text(&found) {
            Ok(Value::Int(int)) => int.to_biguint().filter(|amount| word(amount).is_some()),
            _ => None,
        };
        if amount.is_none() {
            let message = format!("expected an int of 0 or more, found {}", quote(&found));
            self.report.add(Place::Value(node), Code::Type, message, None);
        }
        amount
    }
}
