//! Somebody's RPC node in front of a chain, which lags, refuses, hides or lies as a test says.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::chain::{ask, hexadecimal, quantity};

/// The code and the message of an error.
pub(crate) type Refusal = (i64, &'static str);

/// What a node does. The default is an honest node without limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// It has not got so many of the newest blocks, and knows nothing of what is in them.
    pub(crate) lag: u64,
    /// It says that its head is so many blocks higher than what it has.
    pub(crate) boast: u64,
    /// `eth_getLogs` over more blocks than this is refused.
    pub(crate) most_blocks: Option<(u64, Refusal)>,
    /// `eth_getLogs` with more events than this is refused.
    pub(crate) most_logs: Option<(usize, Refusal)>,
    /// More requests than this in one are refused.
    pub(crate) most_at_once: Option<(usize, Refusal)>,
    /// `eth_getLogs` finds nothing.
    pub(crate) hides_logs: bool,
    /// From the block of this number on, its blocks have other hashes.
    pub(crate) fork: Option<u64>,
    /// It answers nothing but 503.
    pub(crate) is_down: bool,
    /// It answers nothing, for as long as the other side waits.
    pub(crate) is_silent: bool,
}

/// A JSON-RPC node on this machine. It ends when it is dropped.
pub(crate) struct RpcProxy {
    url: String,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    node: String,
    behaviour: Mutex<Behaviour>,
    /// How many of the next HTTP requests come too early.
    too_many: AtomicUsize,
    http_requests: AtomicUsize,
    /// Method and parameters of every request.
    asked: Mutex<Vec<(String, Value)>>,
    /// The true hash of each block whose hash was changed.
    hashes: Mutex<HashMap<String, String>>,
}

impl RpcProxy {
    /// An honest node for the chain behind this URL.
    pub(crate) async fn to(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            node: node.to_owned(),
            behaviour: Mutex::default(),
            too_many: AtomicUsize::new(0),
            http_requests: AtomicUsize::new(0),
            asked: Mutex::default(),
            hashes: Mutex::default(),
        });
        let routes = Router::new().fallback(take).with_state(Arc::clone(&shared));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            url,
            shared,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it does from now on.
    pub(crate) fn behaves(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Answers so many HTTP requests with 429 and the wish to be asked a second later.
    pub(crate) fn too_many(&self, requests: usize) {
        self.shared.too_many.store(requests, Ordering::SeqCst);
    }

    /// The parameters of every request of a method so far, those that were refused too.
    pub(crate) fn asked(&self, method: &str) -> Vec<Value> {
        let asked = self.shared.asked.lock().unwrap();
        let of_method = asked.iter().filter(|(asked, _)| asked == method);
        of_method.map(|(_, parameters)| parameters.clone()).collect()
    }

    /// How many requests there were so far, each of a batch counted.
    pub(crate) fn requests(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// How many HTTP requests there were so far.
    pub(crate) fn http_requests(&self) -> usize {
        self.shared.http_requests.load(Ordering::SeqCst)
    }
}

async fn take(State(shared): State<Arc<Shared>>, Json(body): Json<Value>) -> Response {
    shared.http_requests.fetch_add(1, Ordering::SeqCst);
    let is_batch = body.is_array();
    let requests = if let Value::Array(requests) = body {
        requests
    } else {
        vec![body]
    };
    shared
        .asked
        .lock()
        .unwrap()
        .extend(requests.iter().map(|request| {
            let method = request["method"].as_str().expect("a method").to_owned();
            (method, request["params"].clone())
        }));
    let behaviour = shared.behaviour.lock().unwrap().clone();
    if behaviour.is_silent {
        return std::future::pending().await;
    }
    if behaviour.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let fewer = |count: usize| count.checked_sub(1);
    let is_early = shared
        .too_many
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
        .is_ok();
    if is_early {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    if let Some((most, refusal)) = behaviour.most_at_once
        && requests.len() > most
    {
        return Json(json!({ "jsonrpc": "2.0", "id": null, "error": error(refusal) })).into_response();
    }
    let mut answers = Vec::new();
    for request in &requests {
        let mut answer = json!({ "jsonrpc": "2.0", "id": request["id"] });
        match shared.answer(&behaviour, request).await {
            Ok(result) => answer["result"] = result,
            Err(error) => answer["error"] = error,
        }
        answers.push(answer);
    }
    if is_batch {
        // JSON-RPC 2.0 leaves the order to the server.
        answers.reverse();
        Json(answers).into_response()
    } else {
        Json(answers.remove(0)).into_response()
    }
}

fn error((code, message): Refusal) -> Value {
    json!({ "code": code, "message": message })
}

const NO_SUCH_BLOCK: Refusal = (-32000, "header not found");

impl Shared {
    async fn answer(&self, behaviour: &Behaviour, request: &Value) -> Result<Value, Value> {
        let method = request["method"].as_str().unwrap();
        let mut parameters = self.with_true_hashes(&request["params"]);
        let head = self.head(behaviour).await?;
        let is_newest = method == "eth_getBlockByNumber" && parameters[0] == "latest";
        let mut result = match method {
            "eth_blockNumber" => json!(hexadecimal(head + behaviour.boast)),
            "eth_getLogs" => self.logs(behaviour, head, &mut parameters).await?,
            "eth_getBlockByNumber" => {
                let number = self.number(behaviour, head, &parameters[0]).await?;
                if number > head {
                    return Ok(Value::Null);
                }
                parameters[0] = hexadecimal(number).into();
                self.ask(method, parameters).await?
            }
            "eth_call" | "eth_getBalance" | "eth_getCode" | "eth_getTransactionCount" => {
                let of_block = parameters[1]["blockHash"].is_string();
                if !of_block {
                    let number = self.number(behaviour, head, &parameters[1]).await?;
                    if number > head {
                        return Err(error(NO_SUCH_BLOCK));
                    }
                    parameters[1] = hexadecimal(number).into();
                }
                self.ask(method, parameters).await?
            }
            _ => self.ask(method, parameters).await?,
        };
        // A block, or a receipt or transaction of one.
        let is_unknown = [&result["number"], &result["blockNumber"]]
            .into_iter()
            .any(|number| number.is_string() && quantity(number) > head);
        if is_unknown {
            return Ok(Value::Null);
        }
        if let Some(fork) = behaviour.fork {
            self.change_hashes(fork, &mut result);
        }
        if is_newest {
            result["number"] = hexadecimal(head + behaviour.boast).into();
        }
        Ok(result)
    }

    async fn ask(&self, method: &str, parameters: Value) -> Result<Value, Value> {
        ask(&self.node, method, parameters).await
    }

    /// The newest block that it has.
    async fn head(&self, behaviour: &Behaviour) -> Result<u64, Value> {
        let head = quantity(&self.ask("eth_blockNumber", json!([])).await?);
        Ok(head.saturating_sub(behaviour.lag))
    }

    /// The number that a block is named by.
    async fn number(&self, behaviour: &Behaviour, head: u64, name: &Value) -> Result<u64, Value> {
        match name.as_str() {
            None | Some("latest" | "pending") => Ok(head),
            Some("earliest") => Ok(0),
            Some("safe" | "finalized") => {
                let block = self.ask("eth_getBlockByNumber", json!([name, false])).await?;
                Ok(quantity(&block["number"]).saturating_sub(behaviour.lag))
            }
            Some(_) => Ok(quantity(name)),
        }
    }

    async fn logs(&self, behaviour: &Behaviour, head: u64, parameters: &mut Value) -> Result<Value, Value> {
        let filter = &mut parameters[0];
        if filter["blockHash"].is_null() {
            let from = self.number(behaviour, head, &filter["fromBlock"]).await?;
            let to = self.number(behaviour, head, &filter["toBlock"]).await?;
            if let Some((most, refusal)) = behaviour.most_blocks
                && (to + 1).saturating_sub(from) > most
            {
                return Err(error(refusal));
            }
            if from > head {
                return Ok(json!([]));
            }
            filter["fromBlock"] = hexadecimal(from).into();
            // What it has not got yet it passes over in silence.
            filter["toBlock"] = hexadecimal(to.min(head)).into();
        }
        let mut logs = self.ask("eth_getLogs", parameters.take()).await?;
        let found = logs.as_array_mut().expect("a list");
        if found.iter().any(|log| quantity(&log["blockNumber"]) > head) {
            return Err(error(NO_SUCH_BLOCK));
        }
        if behaviour.hides_logs {
            found.clear();
        }
        match behaviour.most_logs {
            Some((most, refusal)) if found.len() > most => Err(error(refusal)),
            _ => Ok(logs),
        }
    }

    /// Changes the hashes of blocks from this one on, wherever they are in an answer.
    fn change_hashes(&self, fork: u64, answer: &mut Value) {
        match answer {
            Value::Array(values) => values
                .iter_mut()
                .for_each(|value| self.change_hashes(fork, value)),
            Value::Object(fields) => {
                let number = |field: &str| fields.get(field).filter(|value| value.is_string()).map(quantity);
                let numbers = [
                    ("hash", number("number")),
                    (
                        "parentHash",
                        number("number").and_then(|number| number.checked_sub(1)),
                    ),
                    ("blockHash", number("blockNumber")),
                ];
                for (field, number) in numbers {
                    if number.is_some_and(|number| number >= fork)
                        && let Some(Value::String(hash)) = fields.get_mut(field)
                    {
                        let other = changed(hash);
                        self.hashes
                            .lock()
                            .unwrap()
                            .insert(other.clone(), std::mem::replace(hash, other));
                    }
                }
                fields
                    .values_mut()
                    .for_each(|value| self.change_hashes(fork, value));
            }
            _ => {}
        }
    }

    /// A question with the hashes that the chain knows.
    fn with_true_hashes(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.with_true_hashes(value)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), self.with_true_hashes(value)))
                .collect(),
            Value::String(text) => {
                let hashes = self.hashes.lock().unwrap();
                hashes.get(text).unwrap_or(text).clone().into()
            }
            other => other.clone(),
        }
    }
}

/// Another hash, the same for the same.
fn changed(hash: &str) -> String {
    let mut bytes: [u8; 32] = const_hex::decode_to_array(hash).unwrap();
    bytes[0] ^= 0xff;
    const_hex::encode_prefixed(bytes)
}
