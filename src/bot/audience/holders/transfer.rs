//! What the logs of a token say: who gains and who loses how much of it.

use std::collections::BTreeMap;

use herald_protocol::address::Address;
use num_bigint::{BigInt, BigUint};
use sha3::{Digest as _, Keccak256};

use crate::bot::chain::Log;

/// The first topics of the logs that move tokens: of ERC-20 and ERC-721, of ERC-1155 one by one and many at once.
pub(super) struct Topics(pub(super) [[u8; 32]; 3]);

/// What logs change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum {
    /// What the token is: 20, 721 or 1155; none without a log.
    pub(super) standard: Option<u16>,
    /// What wallets gain, or lose.
    pub(super) changes: BTreeMap<Address, BigInt>,
}

impl Default for Topics {
    fn default() -> Self {
        let signatures = [
            "Transfer(address,address,uint256)",
            "TransferSingle(address,address,address,uint256,uint256)",
            "TransferBatch(address,address,address,uint256[],uint256[])",
        ];
        Self(signatures.map(|signature| Keccak256::digest(signature).into()))
    }
}

impl Topics {
    /// Sums logs up: of one item of the token, or of all. `standard` is what the token is known to be.
    ///
    /// # Errors
    /// Which log is none of such a token.
    pub(super) fn sum(
        &self,
        logs: &[Log],
        item: Option<[u8; 32]>,
        standard: Option<u16>,
    ) -> Result<Sum, String> {
        let mut sum = Sum {
            standard,
            changes: BTreeMap::new(),
        };
        for log in logs {
            self.add(&mut sum, log, item).map_err(|reason| {
                let tx = const_hex::encode_prefixed(log.tx);
                format!("log {} of transaction {tx} {reason}", log.index)
            })?;
        }
        let Sum { changes, .. } = &mut sum;
        changes.remove(&Address::from_bytes([0; 20]));
        changes.retain(|_, change| *change != BigInt::ZERO);
        Ok(sum)
    }

    fn add(&self, sum: &mut Sum, log: &Log, item: Option<[u8; 32]>) -> Result<(), String> {
        let [transfer, single, batch] = &self.0;
        let is_wanted = |id: &[u8; 32]| item.is_none_or(|item| item == *id);
        let one = || BigInt::from(1_u8);
        let (standard, from, to, amount) = match log.topics.as_slice() {
            [topic, from, to] if topic == transfer => {
                if item.is_some() {
                    return Err("is one of ERC-20, whose tokens have no ids; leave `id` out".to_owned());
                }
                (20, from, to, word_at(&log.data, 0).map(number))
            }
            [topic, from, to, id] if topic == transfer => (
                721,
                from,
                to,
                Some(if is_wanted(id) { one() } else { BigInt::ZERO }),
            ),
            [topic, _, from, to] if topic == single => {
                let id = word_at(&log.data, 0);
                let amount = id.zip(word_at(&log.data, 1)).map(|(id, amount)| {
                    if is_wanted(id) {
                        number(amount)
                    } else {
                        BigInt::ZERO
                    }
                });
                (1155, from, to, amount)
            }
            [topic, _, from, to] if topic == batch => {
                let ids = words(&log.data, 0);
                let amounts =
                    words(&log.data, 1).filter(|amounts| ids.as_ref().map(Vec::len) == Some(amounts.len()));
                let amount = ids.zip(amounts).map(|(ids, amounts)| {
                    let wanted = ids.iter().zip(amounts).filter(|(id, _)| is_wanted(id));
                    wanted.map(|(_, amount)| number(amount)).sum()
                });
                (1155, from, to, amount)
            }
            topics => {
                return Err(format!(
                    "has {} topics, which no transfer of ERC-20, ERC-721 or ERC-1155 has",
                    topics.len()
                ));
            }
        };
        if let Some(known) = sum.standard.replace(standard).filter(|known| *known != standard) {
            return Err(format!(
                "is one of ERC-{standard}, those before were of ERC-{known}: what the token's wallets hold cannot be told"
            ));
        }
        let malformed = || "is no whole transfer".to_owned();
        let (from, to) = (
            address(from).ok_or_else(malformed)?,
            address(to).ok_or_else(malformed)?,
        );
        let amount = amount.ok_or_else(malformed)?;
        *sum.changes.entry(from).or_default() -= &amount;
        *sum.changes.entry(to).or_default() += amount;
        Ok(())
    }
}

fn number(word: &[u8; 32]) -> BigInt {
    BigUint::from_bytes_be(word).into()
}

fn address(topic: &[u8; 32]) -> Option<Address> {
    let (zeros, address) = topic.split_first_chunk::<12>()?;
    let address = address.try_into().ok()?;
    (*zeros == [0; 12]).then(|| Address::from_bytes(address))
}

fn word_at(data: &[u8], place: usize) -> Option<&[u8; 32]> {
    let start = place.checked_mul(32)?;
    data.get(start..)?.first_chunk()
}

/// The list that the word of this place points to.
fn words(data: &[u8], place: usize) -> Option<Vec<&[u8; 32]>> {
    let start = size(word_at(data, place)?)?;
    let list = data.get(start..)?;
    let count = size(word_at(list, 0)?)?;
    let all = list.get(32..)?;
    // No longer than the bytes that are there.
    (count <= all.len() / 32).then(|| (0..count).filter_map(|place| word_at(all, place)).collect())
}

fn size(word: &[u8; 32]) -> Option<usize> {
    let (zeros, size) = word.split_first_chunk::<24>()?;
    let size = u64::from_be_bytes(size.try_into().ok()?);
    (*zeros == [0; 24]).then(|| usize::try_from(size).ok())?
}

#[cfg(test)]
mod tests;
