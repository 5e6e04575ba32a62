//! Memberships that are asked for by web, command line or import: checked as a message's, and done in one transaction like a
//! message's, with its welcome, goodbye and rules.

use std::sync::Arc;

use chrono::DateTime;
use herald_protocol::{address::Address, consent::ConsentProof, time::TimestampNs};
use rusqlite::Transaction;
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::{
    answer::{Answer, Effect, Incoming},
    command::out_of_bounds,
    inbox,
};
use crate::bot::{
    config::List,
    expression::{Type, nearest},
    running::Running,
    store::{self, Member},
};

/// A wallet that is to be on a list.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// The list's name.
    pub(crate) list: String,
    /// The wallet.
    pub(crate) wallet: Address,
    /// Its fields as JSON or as text, by name.
    pub(crate) fields: Map<String, Json>,
    /// Its signed wish to be written to.
    pub(crate) proof: Option<ConsentProof>,
    /// Whether the list's welcome is said and its `joined` rules fire, as for a join by message.
    pub(crate) greets: bool,
}

/// What a join did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// The wallet is a member now.
    New,
    /// It was one, and its fields are new.
    Updated,
}

/// Why a join is refused; nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no list `{0}`")]
    NoList(String),
    #[error("{message}")]
    Field {
        /// `fields.NAME`, or `fields`.
        field: String,
        message: String,
    },
    #[error("list `{0}` has `confirm: signature`: a join needs `signature` and `timestamp`")]
    ProofWanted(String),
    #[error("the proof is refused: {0}")]
    Proof(String),
    #[error("the wallet left; a message or a newer proof of its own brings it back")]
    Left,
}

/// The most bytes of one member's fields, as JSON.
const MAX_FIELDS: usize = 16 * 1024;

/// Puts wallets on lists, in one transaction. `id` names the request: what it causes is recorded under it. One that is refused keeps
/// back no other.
pub(crate) async fn join(
    running: &Arc<Running>,
    id: &str,
    joins: Vec<Join>,
) -> Result<Vec<Result<Joined, Refused>>, store::Error> {
    let (shared, id) = (Arc::clone(running), id.to_owned());
    let done = running.store.write(move |transaction| {
        let (mut effects, mut done) = (Vec::new(), Vec::with_capacity(joins.len()));
        for join in joins {
            let incoming = incoming(&shared, &id, join.wallet);
            let mut answer = Answer::new(transaction, &shared, &incoming);
            done.push(answer.join_as(join)?);
            effects.append(&mut answer.effects);
        }
        Ok((effects, done))
    });
    let (effects, done) = done.await?;
    inbox::tell(running, effects).await;
    Ok(done)
}

/// Takes a wallet off a list; its `left` rules fire. Says whether it was on it.
pub(crate) async fn leave(
    running: &Arc<Running>,
    id: &str,
    (list, wallet): (String, Address),
) -> Result<bool, store::Error> {
    act(running, id, wallet, move |answer| {
        let (left, _) = answer.depart(Some(&list), false)?;
        Ok(!left.is_empty())
    })
    .await
}

/// Erases a wallet.
pub(crate) async fn forget(running: &Arc<Running>, id: &str, wallet: Address) -> Result<(), store::Error> {
    let forgotten = act(running, id, wallet, |answer| {
        answer.forget()?;
        Ok(())
    });
    forgotten.await
}

async fn act<T: Send + 'static>(
    running: &Arc<Running>,
    id: &str,
    wallet: Address,
    work: impl FnOnce(&mut Answer<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
) -> Result<T, store::Error> {
    let (shared, incoming) = (Arc::clone(running), incoming(running, id, wallet));
    let done = running.store.write(move |transaction: &Transaction<'_>| {
        let mut answer = Answer::new(transaction, &shared, &incoming);
        let value = work(&mut answer)?;
        Ok((std::mem::take::<Vec<Effect>>(&mut answer.effects), value))
    });
    let (effects, value) = done.await?;
    inbox::tell(running, effects).await;
    Ok(value)
}

/// A request in the place of a message.
fn incoming(running: &Running, id: &str, wallet: Address) -> Incoming {
    Incoming {
        id: Sha256::digest(format!("{}/{wallet}/{id}", running.bot.name)).into(),
        text: String::new(),
        content_type: String::new(),
        from: wallet,
        sent: running.clock.now(),
        conversation: None,
    }
}

impl Answer<'_> {
    fn join_as(&mut self, join: Join) -> Result<Result<Joined, Refused>, rusqlite::Error> {
        let (running, transaction) = (self.running, self.transaction);
        let bot = &running.bot;
        let Some(list) = bot.lists.get(&join.list) else {
            return Ok(Err(Refused::NoList(join.list)));
        };
        if let Some(proof) = &join.proof {
            let checked = proof.verify(running.address, join.wallet, running.clock.now());
            if let Err(error) = checked {
                return Ok(Err(Refused::Proof(error.to_string())));
            }
        } else if list.confirms {
            return Ok(Err(Refused::ProofWanted(join.list)));
        }
        if let Some(left) = store::left_at(transaction, &bot.name, join.wallet)? {
            let signed = join
                .proof
                .as_ref()
                .and_then(|proof| signed_at(proof.timestamp_ms));
            if signed.is_none_or(|signed| signed <= left) {
                return Ok(Err(Refused::Left));
            }
        }
        let known = store::find_member(transaction, &bot.name, &join.list, join.wallet)?;
        let fields = match read_fields(list, join.fields, known.as_ref()) {
            Ok(fields) => fields,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(proof) = &join.proof {
            store::keep_proof(transaction, &bot.name, join.wallet, proof)?;
        }
        if join.greets {
            self.join(list, fields)?;
        } else {
            let member = Member {
                wallet: join.wallet,
                fields,
                joined: running.now(),
            };
            store::join(transaction, &bot.name, &list.name, &member)?;
        }
        Ok(Ok(if known.is_some() {
            Joined::Updated
        } else {
            Joined::New
        }))
    }
}

/// When a proof was signed; a wallet signs whole seconds, so the end of its second.
fn signed_at(timestamp_ms: u64) -> Option<DateTime<chrono::Utc>> {
    let end = TimestampNs::from_ms(timestamp_ms)?.as_seconds().checked_add(1)?;
    DateTime::from_timestamp(i64::try_from(end).ok()?, 0)
}

/// Reads fields as the join command reads its arguments: typed, bounded, and none missing that every member has.
fn read_fields(
    list: &List,
    given: Map<String, Json>,
    known: Option<&Member>,
) -> Result<Map<String, Json>, Refused> {
    let refused = |name: &str, message: String| Refused::Field {
        field: format!("fields.{name}"),
        message,
    };
    let mut fields = Map::new();
    for (name, json) in given {
        let declared = list.fields.iter().find(|field| field.name == name);
        let ty = match (declared, name.as_str()) {
            (Some(field), _) => &field.ty,
            (None, "tz") => &Type::Tz,
            (None, "name" | "lang") => &Type::Text,
            (None, _) => {
                let names = list.fields.iter().map(|field| field.name.as_str());
                let near = nearest(&name, names.chain(["tz", "name", "lang"]));
                let near = near
                    .map(|near| format!(", did you mean `{near}`?"))
                    .unwrap_or_default();
                let message = format!("list `{}` has no field `{name}`{near}", list.name);
                return Err(refused(&name, message));
            }
        };
        if json.is_null() {
            fields.insert(name, json);
            continue;
        }
        let value = match &json {
            // What a form, a table or a command line gives.
            Json::String(text) => ty.read_text(text),
            json => ty
                .read_json(json)
                .map_err(|wrong| format!("expected {}, found {}", wrong.wanted, wrong.found)),
        };
        let value = value.map_err(|reason| refused(&name, format!("`{name}`: {reason}")))?;
        let bounds = declared.map(|field| (field.min.as_ref(), field.max.as_ref()));
        let (min, max) = bounds.unwrap_or_default();
        if let Some(reason) = out_of_bounds(&value, min, max) {
            return Err(refused(&name, format!("`{name}`: {reason}")));
        }
        fields.insert(name, value.to_json());
    }
    for field in &list.fields {
        let is_needed = list.is_given(&field.name) && field.default.is_none() && !field.ty.is_optional();
        let given = fields.get(&field.name);
        let has = match (given, known) {
            (Some(given), _) => !given.is_null(),
            (None, known) => known.is_some_and(|known| known.fields.contains_key(&field.name)),
        };
        if is_needed && !has {
            return Err(refused(&field.name, format!("`{}` is missing", field.name)));
        }
    }
    if serde_json::to_vec(&fields).map_or(true, |bytes| bytes.len() > MAX_FIELDS) {
        return Err(Refused::Field {
            field: "fields".to_owned(),
            message: "expected fields of at most 16 KiB together".to_owned(),
        });
    }
    Ok(fields)
}
