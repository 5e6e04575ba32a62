//! What is asked of a chain beside its logs: times of blocks, states of transactions, calls of contracts.

use chrono::{DateTime, TimeDelta, Utc};
use herald_protocol::address::Address;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{
    abi::Function,
    nodes::{Chain, Error},
    rpc,
    wire::{BlockWire, Head, number, quantity},
};
use crate::bot::expression::Value;

/// Multicall3, which stands at this address on most chains (multicall3.com).
const MULTICALL: Address = Address::from_bytes([
    0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67, 0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17, 0x39,
    0x76, 0xca, 0x11,
]);
const AGGREGATE: &str = "aggregate3((address target, bool allowFailure, bytes callData)[] calls) returns ((bool success, bytes returnData)[] results)";
/// Calls that are made at once.
const CALLS: usize = 200;
/// Blocks before the latest that the time of a block to come is reckoned by.
const LOOK_BACK: u64 = 1000;

/// What came of a call.
pub type Called = Result<Vec<u8>, String>;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxState {
    /// It waits.
    Pending,
    /// It did what it says.
    Success,
    /// It was undone.
    Failed,
}

/// A transaction that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxStatus {
    /// How it ended.
    pub state: TxState,
    /// The block it is in.
    pub block: Option<Head>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: Option<String>,
    block_number: Option<String>,
}

impl Chain {
    /// When a block was made; of one to come, when it is likely to be.
    ///
    /// # Errors
    /// No node answers.
    pub async fn block_time(&self, block: u64) -> Result<DateTime<Utc>, Error> {
        if let Some(found) = self.block(&quantity(block)).await? {
            return Ok(found.time);
        }
        let latest = self.block("latest").await?.ok_or(Error::Absent(block))?;
        let before = latest.number.saturating_sub(LOOK_BACK);
        let earlier = self
            .block(&quantity(before))
            .await?
            .ok_or(Error::Absent(before))?;
        let blocks = i128::from(latest.number - earlier.number).max(1);
        let span = i128::from((latest.time - earlier.time).num_milliseconds());
        let ahead = span * i128::from(block.saturating_sub(latest.number)) / blocks;
        let ahead = i64::try_from(ahead).ok().and_then(TimeDelta::try_milliseconds);
        let time = ahead.and_then(|ahead| latest.time.checked_add_signed(ahead));
        Ok(time.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    async fn block(&self, which: &str) -> Result<Option<Head>, Error> {
        let found: Option<BlockWire> = self.first("eth_getBlockByNumber", &json!([which, false])).await?;
        Ok(found.and_then(|block| block.read()))
    }

    /// How a transaction stands; none that no node knows.
    ///
    /// # Errors
    /// No node answers.
    pub async fn tx_status(&self, hash: [u8; 32]) -> Result<Option<TxStatus>, Error> {
        let params = json!([const_hex::encode_prefixed(hash)]);
        let receipt: Option<Receipt> = self.first("eth_getTransactionReceipt", &params).await?;
        let Some(receipt) = receipt else {
            let found: Option<Json> = self.first("eth_getTransactionByHash", &params).await?;
            return Ok(found.map(|_| TxStatus {
                state: TxState::Pending,
                block: None,
            }));
        };
        let state = match receipt.status.as_deref().and_then(number) {
            Some(0) => TxState::Failed,
            _ => TxState::Success,
        };
        let block = match receipt.block_number {
            Some(number) => self.block(&number).await?,
            None => None,
        };
        Ok(Some(TxStatus { state, block }))
    }

    /// Calls a contract as it stood at a block, or as it stands.
    ///
    /// # Errors
    /// No node answers, or the call fails.
    pub async fn call(&self, block: Option<u64>, at: Address, data: &[u8]) -> Result<Vec<u8>, Error> {
        let answer: Option<String> = self.first("eth_call", &params(block, at, data)).await?;
        let bytes = answer.and_then(|text| const_hex::decode(text).ok());
        Ok(bytes.unwrap_or_default())
    }

    /// Calls several contracts as they stood at one block; the answers are in the order of the calls. They are made by one contract
    /// where the chain has it, otherwise together in one request.
    ///
    /// # Errors
    /// No node answers. A call that fails is an answer.
    pub async fn multicall(
        &self,
        block: Option<u64>,
        calls: &[(Address, Vec<u8>)],
    ) -> Result<Vec<Called>, Error> {
        let code: Option<String> = self
            .first("eth_getCode", &json!([MULTICALL.to_string(), tag(block)]))
            .await?;
        let has_contract = code.is_some_and(|code| code.len() > 2);
        let mut called = Vec::new();
        for calls in calls.chunks(CALLS) {
            let answers = if has_contract {
                self.aggregate(block, calls).await?
            } else {
                None
            };
            match answers {
                Some(answers) => called.extend(answers),
                None => called.extend(self.together(block, calls).await?),
            }
        }
        Ok(called)
    }

    async fn aggregate(
        &self,
        block: Option<u64>,
        calls: &[(Address, Vec<u8>)],
    ) -> Result<Option<Vec<Called>>, Error> {
        let Ok(function) = Function::parse(AGGREGATE) else {
            return Ok(None);
        };
        let list = calls.iter().map(|(target, data)| {
            Value::record([
                ("target", Value::Wallet(*target)),
                ("allowFailure", Value::Bool(true)),
                ("callData", Value::text(const_hex::encode_prefixed(data))),
            ])
        });
        let Ok(data) = function.encode(&[Value::list(list)]) else {
            return Ok(None);
        };
        let answer = self.call(block, MULTICALL, &data).await?;
        let Ok(Value::Record(record)) = function.decode(&answer) else {
            return Ok(None);
        };
        let Some(Value::List(results)) = record.get("results").filter(|_| record.len() == 1) else {
            return Ok(None);
        };
        let answers: Vec<Called> = results.iter().map(result).collect();
        Ok((answers.len() == calls.len()).then_some(answers))
    }

    async fn together(&self, block: Option<u64>, calls: &[(Address, Vec<u8>)]) -> Result<Vec<Called>, Error> {
        let questions: Vec<Json> = calls.iter().map(|(at, data)| params(block, *at, data)).collect();
        let answers = self.first_batch::<String>("eth_call", &questions).await?;
        let called = answers.into_iter().map(|answer| match answer {
            Ok(text) => const_hex::decode(text.unwrap_or_default()).map_err(|_| "no bytes".to_owned()),
            Err(rpc::Error::Refused { message, .. }) => Err(message),
            Err(error) => Err(error.to_string()),
        });
        Ok(called.collect())
    }
}

/// One answer of Multicall3.
fn result(value: &Value) -> Called {
    let failed = || "the call failed".to_owned();
    let Value::Record(fields) = value else {
        return Err(failed());
    };
    match (fields.get("success"), fields.get("returnData")) {
        (Some(Value::Bool(true)), Some(Value::Text(data))) => {
            const_hex::decode(data.as_ref()).map_err(|_| failed())
        }
        _ => Err(failed()),
    }
}

fn params(block: Option<u64>, at: Address, data: &[u8]) -> Json {
    json!([{ "to": at.to_string(), "data": const_hex::encode_prefixed(data) }, tag(block)])
}

fn tag(block: Option<u64>) -> String {
    block.map_or_else(|| "latest".to_owned(), quantity)
}
