//! What the API does with lists and people, for whoever asks: a request, or a command beside a store that nobody serves.

use std::{str::FromStr as _, sync::Arc};

use axum::http::StatusCode;
use herald_protocol::{
    address::{Address, ParseAddressError},
    consent::ConsentProof,
};

use super::{
    Refusal,
    shapes::{
        DeliveryShape, ListShape, MemberShape, Members, Membership, NewMember, Outcome, Person, PersonList,
        ProofShape,
    },
};
use crate::bot::{
    chain::{NameError, WalletName},
    dialog::request::{self, Join, Joined, Refused},
    print_time,
    running::Running,
    store::Filter,
};

/// The most members of one page, and of one import.
pub(super) const LONGEST_PAGE: u32 = 1_000;

/// Deliveries that a person's history shows.
const HISTORY: u32 = 100;

/// The lists of a bot.
pub(super) async fn lists(running: &Running) -> Result<Vec<ListShape>, Refusal> {
    let mut lists = Vec::new();
    for list in running.bot.lists.values() {
        let count = running.store.count_members(&running.bot.name, &list.name).await;
        let count = count.map_err(|error| Refusal::unrecorded(&error, &running.bot.name))?;
        lists.push(ListShape::of(list, count));
    }
    Ok(lists)
}

/// A page of a list's members.
pub(super) async fn members(
    running: &Running,
    list: &str,
    (after, limit): (String, Option<u32>),
) -> Result<Members, Refusal> {
    known(running, list)?;
    let (bot, store) = (&running.bot.name, &running.store);
    let limit = limit.unwrap_or(LONGEST_PAGE).clamp(1, LONGEST_PAGE);
    let failed = |error| Refusal::unrecorded(&error, bot);
    let members = store.members(bot, list, after, limit).await.map_err(failed)?;
    let wallets = members.iter().map(|member| member.wallet).collect();
    let proofs = store.proofs(bot, wallets).await.map_err(failed)?;
    let is_full = members.len() == limit as usize;
    let next = members
        .last()
        .filter(|_| is_full)
        .map(|member| member.wallet.to_string());
    let members = members.into_iter().zip(proofs);
    Ok(Members {
        members: members
            .map(|(member, proof)| MemberShape::of(member, proof.map(ProofShape::from)))
            .collect(),
        next,
    })
}

/// Puts a wallet on a list, with its welcome and its rules.
pub(super) async fn join(
    running: &Arc<Running>,
    id: &str,
    (list, wallet, new): (&str, Address, NewMember),
) -> Result<Membership, Refusal> {
    known(running, list)?;
    let join = read(list, wallet, new, true)?;
    let wallet = wallet.to_string();
    let done = request::join(running, id, vec![join]).await;
    let done = done.map_err(|error| Refusal::unrecorded(&error, &running.bot.name))?;
    match done.into_iter().next() {
        Some(Ok(joined)) => Ok(Membership {
            wallet,
            list: list.to_owned(),
            joined: joined == Joined::New,
        }),
        Some(Err(refused)) => Err(refusal(refused)),
        None => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "nothing was done")),
    }
}

/// Puts wallets on a list, in one transaction and without a word to them.
pub(super) async fn import(
    running: &Arc<Running>,
    id: &str,
    (list, new): (&str, Vec<NewMember>),
) -> Result<Vec<Outcome>, Refusal> {
    known(running, list)?;
    if new.len() > LONGEST_PAGE as usize {
        let reason = format!("expected at most {LONGEST_PAGE} members, found {}", new.len());
        return Err(Refusal::of_field("members", reason));
    }
    let texts: Vec<&str> = new.iter().map(|new| new.wallet.as_str()).collect();
    let wallets = wallets_or_names(running, &texts).await?;
    let (mut outcomes, mut joins) = (Vec::with_capacity(new.len()), Vec::new());
    for (new, wallet) in new.into_iter().zip(wallets) {
        let join =
            wallet.and_then(|wallet| read(list, wallet, new, false).map_err(|refusal| refusal.message));
        match join {
            Ok(join) => {
                outcomes.push(None);
                joins.push(join);
            }
            Err(reason) => outcomes.push(Some(Outcome::Refused(reason))),
        }
    }
    let done = request::join(running, id, joins).await;
    let done = done.map_err(|error| Refusal::unrecorded(&error, &running.bot.name))?;
    let mut done = done.into_iter().map(|joined| match joined {
        Ok(Joined::New) => Outcome::Joined,
        Ok(Joined::Updated) => Outcome::Updated,
        Err(refused) => Outcome::Refused(refused.to_string()),
    });
    let outcomes = outcomes
        .into_iter()
        .map(|outcome| outcome.or_else(|| done.next()));
    Ok(outcomes.flatten().collect())
}

/// Takes a wallet off a list.
pub(super) async fn leave(
    running: &Arc<Running>,
    id: &str,
    (list, member): (&str, &str),
) -> Result<(), Refusal> {
    known(running, list)?;
    let member = wallet_or_name(running, member).await?;
    let left = request::leave(running, id, (list.to_owned(), member)).await;
    if left.map_err(|error| Refusal::unrecorded(&error, &running.bot.name))? {
        return Ok(());
    }
    let reason = format!("{member} is not on list `{list}`");
    Err(Refusal::new(StatusCode::NOT_FOUND, reason))
}

/// Everything that is known of a wallet.
pub(super) async fn show(running: &Running, person: &str) -> Result<Person, Refusal> {
    let person = wallet_or_name(running, person).await?;
    let bot = &running.bot.name;
    let failed = |error| Refusal::unrecorded(&error, bot);
    let standing = running.store.standing(bot, person).await.map_err(failed)?;
    let filter = Filter {
        bot: Some(bot.clone()),
        wallet: Some(person),
        limit: HISTORY,
        ..Filter::default()
    };
    let deliveries = running.store.deliveries(filter).await.map_err(failed)?;
    let lists = standing.lists.into_iter().map(|(list, member)| PersonList {
        list,
        fields: member.fields,
        joined_at: print_time(member.joined),
    });
    Ok(Person {
        wallet: person.to_string(),
        left: standing.left,
        quiet: standing.quiet,
        proof: standing.proof.map(ProofShape::from),
        lists: lists.collect(),
        deliveries: deliveries.iter().map(DeliveryShape::from).collect(),
    })
}

/// Erases a wallet.
pub(super) async fn forget(running: &Arc<Running>, id: &str, person: &str) -> Result<(), Refusal> {
    let forgotten = request::forget(running, id, wallet_or_name(running, person).await?).await;
    forgotten.map_err(|error| Refusal::unrecorded(&error, &running.bot.name))
}

/// Whether the bot has the list.
pub(super) fn known(running: &Running, list: &str) -> Result<(), Refusal> {
    if running.bot.lists.contains_key(list) {
        return Ok(());
    }
    let reason = format!("bot `{}` has no list `{list}`", running.bot.name);
    Err(Refusal::new(StatusCode::NOT_FOUND, reason))
}

pub(super) fn wallet(text: &str) -> Result<Address, Refusal> {
    Address::from_str(text).map_err(|error| Refusal::of_field("wallet", error.to_string()))
}

/// Reads the text of a wallet, or asks whose name it is.
pub(super) async fn wallet_or_name(running: &Running, text: &str) -> Result<Address, Refusal> {
    let mut found = wallets_or_names(running, &[text]).await?.into_iter();
    let found = found.next().unwrap_or_else(|| Err("it was not asked".to_owned()));
    found.map_err(|reason| Refusal::of_field("wallet", reason))
}

/// Reads the texts of wallets, or asks whose names they are, in their order; or why one is no wallet. While nobody can tell of a name,
/// all are refused.
pub(super) async fn wallets_or_names(
    running: &Running,
    texts: &[&str],
) -> Result<Vec<Result<Address, String>>, Refusal> {
    let read = texts.iter().map(|text| {
        if WalletName::is_meant(text) {
            return WalletName::read(text).map(Err);
        }
        let wallet = text.parse().map(Ok);
        wallet.map_err(|error: ParseAddressError| error.to_string())
    });
    let read: Vec<Result<Result<Address, WalletName>, String>> = read.collect();
    let names = read
        .iter()
        .flatten()
        .filter_map(|read| read.as_ref().err().cloned());
    let names: Vec<WalletName> = names.collect();
    let mut found = running.wallets(&names).await.into_iter();
    let wallets = read.into_iter().map(|read| match read {
        Ok(Ok(wallet)) => Ok(Ok(wallet)),
        Err(reason) => Ok(Err(reason)),
        Ok(Err(_)) => match found.next() {
            Some(Ok(wallet)) => Ok(Ok(wallet)),
            Some(Err(NameError::Unknown(reason))) => Ok(Err(reason)),
            Some(Err(NameError::Away(reason))) => Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason)),
            None => Ok(Err("it was not asked".to_owned())),
        },
    });
    wallets.collect()
}

fn read(list: &str, wallet: Address, new: NewMember, greets: bool) -> Result<Join, Refusal> {
    Ok(Join {
        list: list.to_owned(),
        wallet,
        fields: new.fields,
        proof: proof(new.signature, new.timestamp)?,
        greets,
    })
}

/// A proof of a wallet, unverified.
fn proof(signature: Option<String>, timestamp: Option<u64>) -> Result<Option<ConsentProof>, Refusal> {
    let missing = |wanted: &str, beside: &str| {
        Refusal::of_field(wanted, format!("expected `{wanted}` beside `{beside}`"))
    };
    match (signature, timestamp) {
        (None, None) => Ok(None),
        (Some(signature), Some(timestamp_ms)) => Ok(Some(ConsentProof {
            signature,
            timestamp_ms,
            payload_version: 1,
        })),
        (Some(_), None) => Err(missing("timestamp", "signature")),
        (None, Some(_)) => Err(missing("signature", "timestamp")),
    }
}

/// A refused join as an answer.
fn refusal(refused: Refused) -> Refusal {
    let message = refused.to_string();
    match refused {
        Refused::NoList(_) => Refusal::new(StatusCode::NOT_FOUND, message),
        Refused::Field { field, .. } => Refusal::of_field(field, message),
        Refused::Proof(_) | Refused::ProofWanted(_) => Refusal::of_field("signature", message),
        Refused::Left => Refusal::new(StatusCode::CONFLICT, message),
    }
}
