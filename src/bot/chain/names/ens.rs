//! The Ethereum Name Service: who answers for a name (EIP-137, ENSIP-10), and what.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::{StreamExt as _, stream};
use herald_protocol::address::Address;

use super::{
    Found, NameError, WalletName, bytes, call, first,
    gateway::{self, is_lookup},
    name::EnsName,
    to_bytes,
};
use crate::{
    bot::{
        chain::nodes::{Chain, Error},
        expression::Value,
    },
    fetch::Fetch,
};

/// The registry, which says who answers for a name.
const REGISTRY: Address = Address::from_bytes([
    0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x2e, 0x07, 0x4e, 0xc6, 0x9a, 0x0d, 0xfb, 0x29, 0x97, 0xba, 0x6c,
    0x7d, 0x2e, 0x1e,
]);
const RESOLVER: &str = "resolver(bytes32 node) returns (address resolver)";
const SUPPORTS: &str = "supportsInterface(bytes4 id) returns (bool is_supported)";
/// The number of [`RESOLVE`], which answers for names below the resolver's own.
const WILDCARD: [u8; 4] = [0x90, 0x61, 0xb9, 0x23];
const RESOLVE: &str = "resolve(bytes name, bytes data) returns (bytes answer)";
const ADDRESS: &str = "addr(bytes32 node) returns (address wallet)";
const NAME: &str = "name(bytes32 node) returns (string name)";
/// Names whose gateways are asked side by side.
const AT_ONCE: usize = 16;

/// Who answers for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resolver {
    at: Address,
    /// Whether it is the one of a name above.
    is_above: bool,
}

/// What resolvers answered for a name: none where nobody has such a record of it.
type Record = Result<Option<Value>, NameError>;

/// The wallets that names stand for.
pub(super) async fn wallets(chain: &Chain, fetch: &Fetch, names: &[WalletName]) -> Result<Vec<Found>, Error> {
    let of_ens: Vec<&EnsName> = names.iter().map(WalletName::as_ens).collect();
    let records = records((chain, fetch), &of_ens, ADDRESS).await?;
    let found = names.iter().zip(records).map(|(name, record)| match record? {
        Some(Value::Wallet(wallet)) if *wallet.as_bytes() != [0; 20] => Ok(wallet),
        _ => Err(NameError::Unknown(format!("{name} has no address"))),
    });
    Ok(found.collect())
}

/// The names that wallets claim and own.
pub(super) async fn names(
    chain: &Chain,
    fetch: &Fetch,
    wallets: &[Address],
) -> Result<Vec<Result<Option<Arc<str>>, NameError>>, Error> {
    let reverse: Vec<EnsName> = wallets.iter().copied().map(EnsName::of_wallet).collect();
    let reverse: Vec<&EnsName> = reverse.iter().collect();
    let claimed = records((chain, fetch), &reverse, NAME).await?;
    let claimed: Vec<Option<EnsName>> = claimed.into_iter().map(claim).collect();
    let of_ens: Vec<&EnsName> = claimed.iter().flatten().collect();
    let mut owners = records((chain, fetch), &of_ens, ADDRESS).await?.into_iter();
    let names = wallets.iter().zip(&claimed).map(|(wallet, claimed)| {
        let name = claimed.as_ref()?;
        // A gateway that is away is no reason to hold what is said to others.
        let owner = owners.next()?.ok()?;
        (owner == Some(Value::Wallet(*wallet))).then(|| Arc::from(name.as_str()))
    });
    Ok(names.map(Ok).collect())
}

/// The name that a wallet claims, if it is one, in its one spelling.
fn claim(record: Record) -> Option<EnsName> {
    let Ok(Some(Value::Text(text))) = record else {
        return None;
    };
    let name = EnsName::read(&text).ok()?;
    (name.as_str() == &*text).then_some(name)
}

/// Asks for one record of several names.
async fn records(
    (chain, fetch): (&Chain, &Fetch),
    names: &[&EnsName],
    record: &str,
) -> Result<Vec<Record>, Error> {
    let resolvers = resolvers(chain, names).await?;
    let wildcards = wildcards(chain, &resolvers).await?;
    let mut calls = Vec::new();
    for (name, resolver) in names.iter().zip(&resolvers) {
        let Some(Resolver { at, is_above }) = resolver else {
            continue;
        };
        let question = call(record, &[Value::Hash(name.node())]);
        if wildcards.contains(at) {
            let question = call(RESOLVE, &[bytes(&name.to_dns()), bytes(&question)]);
            calls.push((*name, (*at, question), true));
        } else if !is_above {
            calls.push((*name, (*at, question), false));
        }
    }
    let questions: Vec<_> = calls.iter().map(|(_, call, _)| call.clone()).collect();
    let answers = chain.ask_contracts(&questions).await?;
    let mut found: HashMap<&EnsName, Record> = HashMap::new();
    let mut elsewhere = Vec::new();
    for ((name, (at, _), is_wrapped), answer) in calls.into_iter().zip(answers) {
        match answer {
            Ok(answer) => drop(found.insert(name, Ok(read(record, is_wrapped, &answer)))),
            Err(refusal) if is_lookup(&refusal.data) => {
                elsewhere.push((name.clone(), at, is_wrapped, refusal.data));
            }
            // It has no such record, or none of such a name.
            Err(_) => {}
        }
    }
    let follow = |(name, at, is_wrapped, data)| follow((chain, fetch), record, (name, at, is_wrapped, data));
    let asked: Vec<_> = stream::iter(elsewhere)
        .map(follow)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let asked = asked
        .into_iter()
        .collect::<Result<HashMap<EnsName, Record>, Error>>()?;
    Ok(names
        .iter()
        .map(|name| {
            found
                .get(name)
                .or_else(|| asked.get(*name))
                .cloned()
                .unwrap_or(Ok(None))
        })
        .collect())
}

/// A record that is at a gateway.
async fn follow(
    asked: (&Chain, &Fetch),
    record: &str,
    (name, at, is_wrapped, data): (EnsName, Address, bool, Vec<u8>),
) -> Result<(EnsName, Record), Error> {
    let answer = gateway::follow(asked, (&name, at), data).await?;
    Ok((name, answer.map(|answer| read(record, is_wrapped, &answer))))
}

/// A record as a resolver answers it; none where it answers something else.
fn read(record: &str, is_wrapped: bool, answer: &[u8]) -> Option<Value> {
    if is_wrapped {
        return first(record, &to_bytes(first(RESOLVE, answer).as_ref())?);
    }
    first(record, answer)
}

/// The resolver of each name, else that of the nearest name above it that has one.
async fn resolvers(chain: &Chain, names: &[&EnsName]) -> Result<Vec<Option<Resolver>>, Error> {
    let own: Vec<[u8; 32]> = names.iter().map(|name| name.node()).collect();
    let own = registered(chain, &own).await?;
    let lacking = names.iter().zip(&own).filter(|(_, own)| own.is_none());
    let above: HashSet<[u8; 32]> = lacking.flat_map(|(name, _)| name.parents()).collect();
    let above: Vec<[u8; 32]> = above.into_iter().collect();
    let found = registered(chain, &above).await?;
    let above: HashMap<_, _> = above.into_iter().zip(found).collect();
    let resolvers = names.iter().zip(own).map(|(name, own)| {
        if let Some(at) = own {
            return Some(Resolver { at, is_above: false });
        }
        let mut above = name.parents().map(|node| above.get(&node).copied().flatten());
        let at = above.find_map(|at| at)?;
        Some(Resolver { at, is_above: true })
    });
    Ok(resolvers.collect())
}

/// The resolvers that the registry has for nodes.
async fn registered(chain: &Chain, nodes: &[[u8; 32]]) -> Result<Vec<Option<Address>>, Error> {
    let calls: Vec<_> = nodes
        .iter()
        .map(|node| (REGISTRY, call(RESOLVER, &[Value::Hash(*node)])))
        .collect();
    let answers = chain.ask_contracts(&calls).await?;
    let found = answers
        .into_iter()
        .map(|answer| match first(RESOLVER, &answer.ok()?) {
            Some(Value::Wallet(at)) if *at.as_bytes() != [0; 20] => Some(at),
            _ => None,
        });
    Ok(found.collect())
}

/// Which of the resolvers answer for names below their own.
async fn wildcards(chain: &Chain, resolvers: &[Option<Resolver>]) -> Result<HashSet<Address>, Error> {
    let all: HashSet<Address> = resolvers.iter().flatten().map(|resolver| resolver.at).collect();
    let all: Vec<Address> = all.into_iter().collect();
    let calls: Vec<_> = all
        .iter()
        .map(|at| (*at, call(SUPPORTS, &[bytes(&WILDCARD)])))
        .collect();
    let answers = chain.ask_contracts(&calls).await?;
    let is_wildcard = |answer: &[u8]| first(SUPPORTS, answer) == Some(Value::Bool(true));
    let supporting = all.into_iter().zip(answers);
    let supporting = supporting.filter(|(_, answer)| answer.as_ref().is_ok_and(|answer| is_wildcard(answer)));
    Ok(supporting.map(|(at, _)| at).collect())
}
