//! Records that a resolver keeps elsewhere: at a gateway on the web, whose answer the resolver proves (EIP-3668).
//!
//! Enters: what a contract refused with. Leaves: what it answers once it was given what the gateway said. A gateway is a stranger's: it
//! is asked through the guarded client, within bounds, and believed by the contract alone.

use std::{sync::OnceLock, time::Duration};

use bytes::Bytes;
use herald_protocol::address::Address;
use serde::Deserialize;
use serde_json::json;

use super::{NameError, away, name::EnsName, to_bytes};
use crate::{
    bot::{
        chain::{
            abi::Function,
            names::{ETHEREUM, bytes},
            nodes::{Chain, Error},
        },
        expression::Value,
    },
    client::Disposition,
    fetch::{self, Fetch, Request},
};

/// What a contract says when its answer is elsewhere; it comes in place of an answer.
const LOOKUP: &str = "OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData) returns (address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData)";
/// What the contract is given in turn; its selector is another one each time.
const CALLBACK: &str = "callback(bytes response, bytes extraData) returns (bytes answer)";
/// How often a contract may send on.
const ROUNDS: usize = 4;
/// The most gateways of one round. Ours.
const GATEWAYS: usize = 8;
/// The longest answer. Ours: proofs of other chains' states have some hundred kilobytes.
const LARGEST: usize = 1024 * 1024;
/// The longest wait for one gateway, and for all that a name needs. Ours.
const WITHIN: Duration = Duration::from_secs(10);
const WHOLE: Duration = Duration::from_secs(30);

/// Whether a contract refuses because its answer is elsewhere.
pub(in crate::bot::chain) fn is_lookup(data: &[u8]) -> bool {
    static SELECTOR: OnceLock<Option<[u8; 4]>> = OnceLock::new();
    let selector = SELECTOR.get_or_init(|| Some(Function::parse(LOOKUP).ok()?.selector()));
    selector.is_some_and(|selector| data.starts_with(&selector))
}

/// Where an answer is.
#[derive(Debug, PartialEq, Eq)]
struct Lookup {
    sender: Address,
    urls: Vec<String>,
    data: Vec<u8>,
    callback: [u8; 4],
    extra: Vec<u8>,
}

/// What a gateway answers.
#[derive(Deserialize)]
struct Answer {
    data: String,
}

/// Looks for the answer of a contract where it says, until it has one.
///
/// # Errors
/// The chain does not answer. That there is no answer of the contract is an outcome.
pub(super) async fn follow(
    asked: (&Chain, &Fetch),
    (name, at): (&EnsName, Address),
    refused: Vec<u8>,
) -> Result<Result<Vec<u8>, NameError>, Error> {
    let whole = tokio::time::timeout(WHOLE, rounds(asked, (name, at), refused)).await;
    whole.unwrap_or_else(|_| {
        let reason = format!("{}: its gateways took more than {WHOLE:?}", name.as_str());
        Ok(Err(NameError::Away(reason)))
    })
}

async fn rounds(
    (chain, fetch): (&Chain, &Fetch),
    (name, at): (&EnsName, Address),
    mut refused: Vec<u8>,
) -> Result<Result<Vec<u8>, NameError>, Error> {
    let unknown = |reason: &str| {
        Ok(Err(NameError::Unknown(format!(
            "{} has no address: {reason}",
            name.as_str()
        ))))
    };
    for _ in 0..ROUNDS {
        let Some(lookup) = Lookup::read(&refused) else {
            return unknown("its resolver names no gateway that can be read");
        };
        if lookup.sender != at {
            return unknown("its resolver speaks for another contract");
        }
        let response = match lookup.ask(fetch).await {
            Ok(response) => response,
            Err(NameError::Unknown(reason)) => return unknown(&reason),
            Err(NameError::Away(reason)) => {
                let reason = format!("{}: {reason}", name.as_str());
                return Ok(Err(NameError::Away(reason)));
            }
        };
        let question = (at, lookup.callback(&response));
        let answer = chain.ask_contracts(&[question]).await?.into_iter().next();
        match answer {
            Some(Ok(answer)) => return Ok(Ok(answer.into())),
            Some(Err(refusal)) if is_lookup(&refusal.data) => refused = refusal.data,
            Some(Err(refusal)) => {
                return unknown(&format!("of what its gateway answers, {}", refusal.reason));
            }
            None => return Ok(Err(away(ETHEREUM, &Error::Absent(0)))),
        }
    }
    unknown(&format!("its gateways send on more than {ROUNDS} times"))
}

impl Lookup {
    fn read(data: &[u8]) -> Option<Self> {
        let Ok(Value::Record(fields)) = Function::parse(LOOKUP).ok()?.decode(data.get(4..)?) else {
            return None;
        };
        let Some(Value::Wallet(sender)) = fields.get("sender") else {
            return None;
        };
        let Some(Value::List(urls)) = fields.get("urls") else {
            return None;
        };
        Some(Self {
            sender: *sender,
            urls: urls.iter().take(GATEWAYS).map(Value::to_text).collect(),
            data: to_bytes(fields.get("callData"))?,
            callback: to_bytes(fields.get("callbackFunction"))?.try_into().ok()?,
            extra: to_bytes(fields.get("extraData"))?,
        })
    }

    /// Asks the gateways in order for the first answer.
    async fn ask(&self, fetch: &Fetch) -> Result<Vec<u8>, NameError> {
        let mut failed = None;
        for url in &self.urls {
            let error = match self.ask_at(url, fetch).await {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {
                    let reason = "its gateway answers no JSON with `data`".to_owned();
                    failed = failed.or(Some(NameError::Unknown(reason)));
                    continue;
                }
                Err(error) => error,
            };
            let reason = match std::error::Error::source(&error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            let is_refused = matches!(
                error,
                fetch::Error::Status {
                    status: 400..=499,
                    ..
                }
            );
            match error.disposition() {
                // One that may answer later is worth another try, whatever the others say.
                Disposition::Retry(_) => failed = Some(NameError::Away(reason)),
                // The question itself is refused: the others would do the same.
                Disposition::Reject if is_refused => return Err(NameError::Unknown(reason)),
                Disposition::Reject => failed = failed.or(Some(NameError::Unknown(reason))),
            }
        }
        Err(failed.unwrap_or_else(|| NameError::Unknown("its resolver names no gateway".to_owned())))
    }

    /// What one gateway answers; none where that is nothing to go by.
    async fn ask_at(&self, url: &str, fetch: &Fetch) -> Result<Option<Vec<u8>>, fetch::Error> {
        let request = self.request(url)?.max_bytes(LARGEST).within(WITHIN);
        let answer = fetch.send(request).await?.success()?;
        let read: Option<Answer> = serde_json::from_slice(&answer.body).ok();
        Ok(read.and_then(|answer| const_hex::decode(answer.data).ok()))
    }

    fn request(&self, url: &str) -> Result<Request, fetch::Error> {
        let sender = const_hex::encode_prefixed(self.sender.as_bytes());
        let data = const_hex::encode_prefixed(&self.data);
        let asked = url.replace("{sender}", &sender);
        if url.contains("{data}") {
            return Request::read(&asked.replace("{data}", &data));
        }
        let body = json!({ "sender": sender, "data": data }).to_string();
        Request::post(&asked, "application/json", Bytes::from(body))
    }

    /// The call that gives the contract what a gateway answered.
    fn callback(&self, response: &[u8]) -> Vec<u8> {
        let mut call = super::call(CALLBACK, &[bytes(response), bytes(&self.extra)]);
        for (place, byte) in call.iter_mut().zip(self.callback) {
            *place = byte;
        }
        call
    }
}

#[cfg(test)]
mod tests;
