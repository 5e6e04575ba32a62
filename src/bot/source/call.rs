//! Contracts whose answers bots read: which one is called, with what, as of which block.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use herald_protocol::address::Address;
use sha2::{Digest as _, Sha256};

use super::{Answers, cache::Cached};
use crate::bot::{
    chain::{Called, abi::Function},
    expression::{EvaluationError, Expression, Failure, Scope, Value},
};

/// A source that calls a contract.
#[derive(Debug, Clone)]
pub struct ContractCall {
    /// Its name in the bot's file.
    pub name: String,
    /// The chain's name in the project.
    pub chain: Arc<str>,
    /// What is called.
    pub function: Function,
    /// The contract.
    pub at: Expression,
    /// What it is given.
    pub arguments: Vec<Expression>,
    /// The block that it is asked of; the latest unless said otherwise.
    pub block: Option<Expression>,
    /// How long an answer stands, beyond the block it was given at.
    pub cache: Option<Duration>,
}

/// A call, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) block: Option<u64>,
    pub(crate) at: Address,
    pub(crate) data: Vec<u8>,
}

impl ContractCall {
    /// The call that is made where these names have these values.
    pub(crate) fn prepare(&self, scope: &Scope) -> Result<Prepared, Failure> {
        let evaluate = |expression: &Expression| expression.evaluate(scope).map_err(|error| error.failure);
        let at = match evaluate(&self.at)? {
            Value::Wallet(at) => at,
            other => return Err(Failure::mismatch(&other, "the address of a contract")),
        };
        let block = match self.block.as_ref().map(evaluate).transpose()? {
            None | Some(Value::None) => None,
            Some(Value::Int(block)) => Some(u64::try_from(&block).map_err(|_| Failure::Overflow("block"))?),
            Some(other) => return Err(Failure::mismatch(&other, "the number of a block")),
        };
        let values = self.arguments(scope).map_err(|error| error.failure)?;
        let data = self.function.encode(&values);
        Ok(Prepared {
            block,
            at,
            data: data.map_err(|unfit| Failure::Mismatch {
                found: format!("another value for `{}`", unfit.parameter),
                wanted: unfit.wanted,
            })?,
        })
    }

    /// What tells a call from others, also of other sources: each reads the answer in its own way.
    pub(crate) fn digest(&self, call: &Prepared) -> [u8; 32] {
        let digest = Sha256::new().chain_update("call").chain_update(&self.name);
        let digest = digest.chain_update([0]).chain_update(self.chain.as_bytes());
        let digest = digest.chain_update([0]).chain_update(call.at.as_bytes());
        let block = call.block.map_or_else(String::new, |block| block.to_string());
        let digest = digest.chain_update(block).chain_update([0]);
        digest.chain_update(&call.data).finalize().into()
    }

    /// The values that the contract is given.
    pub(super) fn arguments(&self, scope: &Scope) -> Result<Vec<Value>, EvaluationError> {
        let arguments = self.arguments.iter();
        arguments.map(|argument| argument.evaluate(scope)).collect()
    }

    /// What an answer tells. Errors are sentences for people.
    pub(crate) fn read(&self, at: Address, called: Called) -> Result<Value, String> {
        let bytes = called?;
        if bytes.is_empty() && !self.function.outputs.is_empty() {
            return Err(format!(
                "{at} on chain `{}` answers nothing: no contract is there, or it has no `{}`",
                self.chain,
                self.function.signature()
            ));
        }
        let value = self.function.decode(&bytes);
        value.map_err(|error| format!("what {at} answers is no `{}`: {error}", self.function.name))
    }

    /// Whether a mock is one answer; a map of several has other keys.
    pub(super) fn is_answer(&self, value: &Value) -> bool {
        let Value::Record(fields) = value else {
            return false;
        };
        let outputs = &self.function.outputs;
        outputs.iter().all(|output| fields.contains(&output.name))
    }

    /// The answer to the call of this digest that still stands.
    pub(crate) fn kept(&self, answers: &Answers, call: &[u8; 32]) -> Option<Bytes> {
        answers.cache()?.get(call, self.cache?)
    }

    /// Keeps an answer while it stands.
    pub(crate) fn keep(&self, answers: &Answers, call: [u8; 32], bytes: &[u8]) {
        if let (Some(cache), Some(_)) = (answers.cache(), self.cache) {
            cache.put(Cached::of(call, Bytes::copy_from_slice(bytes)));
        }
    }
}
