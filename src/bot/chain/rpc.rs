//! JSON-RPC 2.0 over HTTP with one node of a chain, which may answer anything, late, or not at all.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{
    Response,
    header::{self, HeaderMap},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{sync::OnceCell, time::Instant};
use url::Url;

/// The longest answer. Ours: ten thousand logs with a kilobyte of data each, and as much again.
const LARGEST: usize = 32 * 1024 * 1024;
/// The most that a node is believed when it says how long its answer is.
const BELIEVED: usize = 1024 * 1024;
/// The longest wait for an answer. Ours: nodes give up on a search of logs sooner.
const WITHIN: Duration = Duration::from_secs(30);
/// Things that are asked at once, until a node refuses so many. Ours: most nodes take a hundred.
const AT_ONCE: usize = 100;
/// How long a node that took too long is left alone, so that not every question waits for it.
const REST: Duration = Duration::from_secs(30);
/// How long a node that is asked too often is left alone: when it does not say, and at most.
const LIMITED: Duration = Duration::from_secs(2);
const LONGEST_LIMITED: Duration = Duration::from_mins(10);
/// How long a node that refuses the logs of one block is not asked for logs.
const WITHOUT_LOGS: Duration = Duration::from_mins(10);
/// The most bytes of a contract's refusal that are kept. Ours: a lookup elsewhere has a few kilobytes.
const MOST_DATA: usize = 64 * 1024;
/// The longest words of a node that are repeated.
const SAID: usize = 200;

/// Why a node gave no answer that can be used. Texts name its scheme and host alone: the rest of its address may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection, or it broke, or it took too long.
    #[error("no answer from {place}: {reason}")]
    Unreachable {
        /// The node.
        place: String,
        /// What happened.
        reason: String,
    },
    /// It wants to be asked less often.
    #[error("{place} wants to be asked less often")]
    Limited {
        /// The node.
        place: String,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// It does not do what was asked.
    #[error("{place} refuses: {message} ({code})")]
    Refused {
        /// The node.
        place: String,
        /// Its own number for it, or the status of HTTP.
        code: i64,
        /// Its own words.
        message: String,
        /// What the contract that was called refuses with, as far as the node tells.
        data: Vec<u8>,
    },
    /// What it said is no answer to what was asked.
    #[error("{place} answers with {found}, wanted {wanted}")]
    Malformed {
        /// The node.
        place: String,
        /// What was there.
        found: String,
        /// What was asked for.
        wanted: String,
    },
}

/// A node of a chain.
pub(crate) struct Rpc {
    place: String,
    url: Url,
    client: reqwest::Client,
    /// Filled once it has said that it is of the right chain.
    is_right: OnceCell<()>,
    /// Whether its chain has Multicall3, once that is known.
    pub(super) has_multicall: OnceCell<bool>,
    /// How many things it takes at once.
    at_once: AtomicUsize,
    /// Until when it is left alone, and why.
    rest: Mutex<Option<(Instant, Error)>>,
    /// Until when it is not asked for logs, which it refuses.
    without_logs: Mutex<Option<Instant>>,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

#[derive(Serialize)]
struct Question<'q, P> {
    jsonrpc: &'static str,
    id: usize,
    method: &'q str,
    params: P,
}

impl<'q, P: Serialize> Question<'q, P> {
    fn new(id: usize, method: &'q str, params: P) -> Self {
        Self {
            jsonrpc: "2.0",
            id,
            method,
            params,
        }
    }
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Answer<T> {
    #[serde(default)]
    id: Value,
    #[serde(default = "Option::default")]
    result: Option<T>,
    error: Option<Refusal>,
}

/// What comes of several questions.
#[derive(Deserialize)]
#[serde(untagged, bound = "T: DeserializeOwned")]
enum Answers<T> {
    Each(Vec<Answer<T>>),
    One(Answer<T>),
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    /// The bytes of a contract, or whatever else a node puts there.
    #[serde(default)]
    data: Value,
}

impl Rpc {
    pub(crate) fn new(url: Url, client: reqwest::Client) -> Self {
        Self {
            place: url.origin().ascii_serialization(),
            url,
            client,
            is_right: OnceCell::new(),
            has_multicall: OnceCell::new(),
            at_once: AtomicUsize::new(AT_ONCE),
            rest: Mutex::default(),
            without_logs: Mutex::default(),
        }
    }

    /// Scheme and host.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Makes sure, once, that it is a node of the chain of this number.
    pub(crate) async fn check(&self, id: u64) -> Result<(), Error> {
        let check = async || {
            let found: String = self.known("eth_chainId", json!([])).await?;
            match super::wire::number(&found) {
                Some(number) if number == id => Ok(()),
                Some(number) => Err(self.malformed(format!("chain id {number}"), id.to_string())),
                None => Err(self.malformed(format!("chain id `{}`", cut(&found)), id.to_string())),
            }
        };
        self.is_right.get_or_try_init(check).await.copied()
    }

    /// Asks for what there must be.
    pub(crate) async fn known<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, Error> {
        let answer = self.ask(method, params).await?;
        answer.ok_or_else(|| self.malformed("nothing", format!("the answer to {method}")))
    }

    /// Asks for what there may be.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize,
    ) -> Result<Option<T>, Error> {
        let answer: Answer<T> = self.send(Question::new(1, method, params), method).await?;
        self.judge(answer)
    }

    /// Asks several things at once; the answers are in the order of the questions. A node that refuses so many is asked for half of
    /// them at a time.
    pub(crate) async fn batch<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Vec<impl Serialize>,
    ) -> Result<Vec<Result<Option<T>, Error>>, Error> {
        let (mut open, mut answers) = (params.as_slice(), Vec::with_capacity(params.len()));
        while !open.is_empty() {
            let most = self.at_once.load(Ordering::Relaxed).clamp(1, open.len());
            let (now, later) = open.split_at(most);
            match self.part(method, now).await {
                Ok(answered) => {
                    answers.extend(answered);
                    open = later;
                }
                Err(Error::Refused { .. }) if most > 1 => self.at_once.store(most / 2, Ordering::Relaxed),
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    async fn part<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &[impl Serialize],
    ) -> Result<Vec<Result<Option<T>, Error>>, Error> {
        let count = params.len();
        let questions = params.iter().enumerate();
        let questions: Vec<_> = questions
            .map(|(id, params)| Question::new(id, method, params))
            .collect();
        let answers = match self.send(questions, method).await? {
            Answers::Each(answers) => answers,
            // Refused as a whole.
            Answers::One(answer) => {
                self.judge(answer)?;
                Vec::new()
            }
        };
        let missing = || Err(self.malformed("fewer answers", format!("{count} answers to {method}")));
        let mut sorted: Vec<_> = (0..count).map(|_| missing()).collect();
        for answer in answers {
            let place = answer.id.as_u64().and_then(|id| usize::try_from(id).ok());
            if let Some(slot) = place.and_then(|id| sorted.get_mut(id)) {
                *slot = self.judge(answer);
            }
        }
        Ok(sorted)
    }

    fn judge<T>(&self, answer: Answer<T>) -> Result<Option<T>, Error> {
        answer
            .error
            .map_or(Ok(answer.result), |refusal| Err(self.refusal(&refusal)))
    }

    fn refusal(&self, refusal: &Refusal) -> Error {
        match refusal.code {
            // 429 of HTTP inside an answer, and the numbers that several providers give to the same.
            429 | -32_029 | -32_007 => self.limited(None),
            _ => self.refused_with(refusal),
        }
    }

    async fn send<T: DeserializeOwned>(&self, question: impl Serialize, method: &str) -> Result<T, Error> {
        if let Some(error) = self.resting() {
            return Err(error);
        }
        let question = serde_json::to_vec(&question)
            .map_err(|error| self.refused(0, &format!("{method} cannot be asked: {error}")))?;
        match tokio::time::timeout(WITHIN, self.exchange(question, method)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.too_slow(WITHIN)),
        }
    }

    /// Why it is not asked now.
    fn resting(&self) -> Option<Error> {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let resting = rest.as_ref().filter(|(until, _)| Instant::now() < *until);
        resting.map(|(_, error)| error.clone())
    }

    fn rest(&self, time: Duration, error: &Error) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        *rest = Some((Instant::now() + time, error.clone()));
    }

    /// It refused the logs of one block: fewer cannot be asked for.
    pub(crate) fn refuses_logs(&self) {
        let mut until = self.without_logs.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + WITHOUT_LOGS);
    }

    /// Whether there is a point in asking it for logs.
    pub(crate) fn gives_logs(&self) -> bool {
        let until = self.without_logs.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| until <= Instant::now())
    }

    /// Leaves it alone for a while, since it took longer than this.
    pub(crate) fn too_slow(&self, time: Duration) -> Error {
        let error = self.unreachable(format!("it took more than {time:?}"));
        self.rest(REST, &error);
        error
    }

    /// Leaves it alone as long as it wants.
    fn limited(&self, after: Option<Duration>) -> Error {
        let place = self.place.clone();
        let error = Error::Limited { place, after };
        self.rest(after.unwrap_or(LIMITED).min(LONGEST_LIMITED), &error);
        error
    }

    async fn exchange<T: DeserializeOwned>(&self, question: Vec<u8>, method: &str) -> Result<T, Error> {
        let asking = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(question);
        let response = asking.send().await.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        if status == 429 || (status == 503 && response.headers().contains_key(header::RETRY_AFTER)) {
            return Err(self.limited(retry_after(response.headers())));
        }
        let is_success = response.status().is_success();
        let body = self.read(response, method).await?;
        let error = match serde_json::from_slice(&body) {
            Ok(answer) if is_success => return Ok(answer),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        // Some nodes put their refusals into an error of HTTP, and refuse several questions by one answer.
        let refusal = serde_json::from_slice(&body).ok();
        match (refusal.and_then(|answer: Answer<Value>| answer.error), error) {
            (Some(refusal), _) => Err(self.refusal(&refusal)),
            (None, _) if status >= 500 => Err(self.unreachable(format!("status {status}"))),
            (None, Some(error)) if is_success => {
                let found = format!("something else (column {})", error.column());
                Err(self.malformed(found, format!("the answer to {method}")))
            }
            (None, _) => Err(self.refused(i64::from(status), "an error of HTTP")),
        }
    }

    async fn read(&self, mut response: Response, method: &str) -> Result<Vec<u8>, Error> {
        let told = response
            .content_length()
            .and_then(|told| usize::try_from(told).ok());
        let mut body = Vec::with_capacity(told.unwrap_or_default().min(BELIEVED));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken(error))? {
            if chunk.len() > LARGEST - body.len() {
                let message = format!("the answer to {method} is larger than {LARGEST} bytes");
                return Err(self.refused(TOO_LARGE, &message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn broken(&self, error: reqwest::Error) -> Error {
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(found) = cause {
            reason = found.to_string();
            cause = found.source();
        }
        self.unreachable(reason)
    }

    fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            place: self.place.clone(),
            reason,
        }
    }

    fn refused_with(&self, Refusal { code, message, data }: &Refusal) -> Error {
        let mut error = self.refused(*code, message);
        if let (Error::Refused { data: kept, .. }, Some(text)) = (&mut error, data.as_str())
            && text.len() <= 2 * MOST_DATA + 2
        {
            *kept = const_hex::decode(text).unwrap_or_default();
        }
        error
    }

    fn refused(&self, code: i64, message: &str) -> Error {
        // Nodes repeat what they were asked with.
        let message = match self.url.path().trim_matches('/') {
            "" => message.to_owned(),
            path => message.replace(path, "…"),
        };
        Error::Refused {
            place: self.place.clone(),
            code,
            message: cut(&message),
            data: Vec::new(),
        }
    }

    pub(crate) fn malformed(&self, found: impl Into<String>, wanted: impl Into<String>) -> Error {
        Error::Malformed {
            place: self.place.clone(),
            found: found.into(),
            wanted: wanted.into(),
        }
    }
}

/// Our own number for an answer that is too large, as HTTP says it.
const TOO_LARGE: i64 = 413;

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

pub(super) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SAID).collect()
}
