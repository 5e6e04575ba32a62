//! Handles of Lens, which are tokens of their owners.

use herald_protocol::address::Address;

use super::{Found, NameError, WalletName, call, first};
use crate::bot::{
    chain::nodes::{Chain, Error},
    expression::Value,
};

/// `LensHandles`, on Polygon.
const HANDLES: Address = Address::from_bytes([
    0xe7, 0xe7, 0xea, 0xd3, 0x61, 0xf3, 0xaa, 0xcd, 0x73, 0xa6, 0x1a, 0x9b, 0xd6, 0xc1, 0x0c, 0xa1, 0x7f,
    0x38, 0xe9, 0x45,
]);
const TOKEN: &str = "getTokenId(string handle) returns (uint256 token)";
const OWNER: &str = "ownerOf(uint256 token) returns (address owner)";

/// The owners of handles.
pub(super) async fn wallets(chain: &Chain, names: &[WalletName]) -> Result<Vec<Found>, Error> {
    let handles = names.iter().map(|name| name.handle().unwrap_or_default());
    let tokens: Vec<_> = handles
        .map(|handle| (HANDLES, call(TOKEN, &[Value::text(handle)])))
        .collect();
    let tokens = chain.ask_contracts(&tokens).await?;
    let tokens: Vec<Option<Value>> = tokens
        .into_iter()
        .map(|token| first(TOKEN, &token.ok()?))
        .collect();
    let owners: Vec<_> = tokens
        .iter()
        .flatten()
        .map(|token| (HANDLES, call(OWNER, std::slice::from_ref(token))))
        .collect();
    let mut owners = chain.ask_contracts(&owners).await?.into_iter();
    let found = names.iter().zip(tokens).map(|(name, token)| {
        let owner = token.and_then(|_| owners.next()).and_then(Result::ok);
        match owner.and_then(|answer| first(OWNER, &answer)) {
            Some(Value::Wallet(owner)) if *owner.as_bytes() != [0; 20] => Ok(owner),
            _ => Err(NameError::Unknown(format!("{name} has no owner"))),
        }
    });
    Ok(found.collect())
}
