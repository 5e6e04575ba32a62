//! Where answers come from: asked on the web, or given by name before; of upload targets and callbacks the status alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use herald_protocol::address::Address;

use super::cache::Cache;
use crate::bot::{
    chain::WalletName,
    expression::{BLOCK_TIME, ENS, Value},
    testing,
};

/// The answers of the sources of a bot.
#[derive(Debug)]
pub(crate) enum Answers {
    /// Asked; some stand for a while.
    Asked(Cache),
    /// Given. Nothing is asked.
    Given(Arc<Given>),
}

impl Default for Answers {
    fn default() -> Self {
        Self::Asked(Cache::default())
    }
}

impl Answers {
    /// What is given for a name, as `pick` would give it; none where answers are asked. Errors: nothing is, as a sentence for people.
    pub(crate) fn given(&self, name: &str) -> Option<Result<Arc<[Value]>, String>> {
        match self {
            Self::Asked(_) => None,
            Self::Given(given) => Some(given.items(name).ok_or_else(|| not_given(name))),
        }
    }

    /// What is given for a name as a value of any shape; none where answers are asked. Errors: nothing is, as a sentence for people.
    pub(crate) fn given_value(&self, name: &str) -> Option<Result<Value, String>> {
        match self {
            Self::Asked(_) => None,
            Self::Given(given) => Some(given.value(name).ok_or_else(|| not_given(name))),
        }
    }

    /// What is given for a name and one of the arguments that are asked for; none where answers are asked. Errors: nothing is, as a
    /// sentence for people.
    pub(crate) fn given_to(&self, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
        let given = self.given_value(name)?;
        Some(given.map(|value| of_argument(&value, arguments)))
    }

    /// The name that a wallet is given, `none` unless it is given one; none where names are asked.
    pub(crate) fn given_name(&self, wallet: Address) -> Option<Value> {
        let Self::Given(given) = self else {
            return None;
        };
        let value = given.value(ENS).unwrap_or(Value::None);
        Some(match of_argument(&value, &[Value::Wallet(wallet)]) {
            // There are names, but none for this wallet.
            Value::Record(_) => Value::None,
            name => name,
        })
    }

    /// The wallet of a name: that of the person of a test who is called so; none where names are asked.
    pub(crate) fn given_wallet(&self, name: &WalletName) -> Option<Address> {
        match self {
            Self::Asked(_) => None,
            Self::Given(_) => Some(testing::wallet(name.as_str()).address()),
        }
    }

    /// The status that the callback of a rule is answered with: 200 unless another is given; none where callbacks are posted.
    pub(crate) fn callback(&self, rule: &str) -> Option<u16> {
        match self {
            Self::Asked(_) => None,
            Self::Given(given) => Some(given.status(&format!("{rule}{CALLBACK}")).unwrap_or(200)),
        }
    }

    /// Takes what a flow posts for somebody, and gives the status that it is answered with: 200 unless another is given; none where it
    /// is posted.
    pub(crate) fn post(&self, (flow, wallet): (&str, Address), body: &str) -> Option<u16> {
        let Self::Given(given) = self else {
            return None;
        };
        let status = given.status(&format!("{flow}{POST}")).unwrap_or(200);
        let mut posts = given.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.push(Posted {
            rule: format!("flow:{flow}"),
            wallet,
            body: body.to_owned(),
            status,
        });
        Some(status)
    }

    /// The wallet that a name is given for; none where names are not given.
    pub(crate) fn wallet(&self, name: &str) -> Option<Address> {
        match self {
            Self::Asked(_) => None,
            Self::Given(_) => testing::is_wallet(name).then(|| testing::wallet(name).address()),
        }
    }

    /// The answers that stand for a while; none where answers are given.
    pub(super) fn cache(&self) -> Option<&Cache> {
        match self {
            Self::Asked(cache) => Some(cache),
            Self::Given(_) => None,
        }
    }
}

/// What stands behind the name of a rule in the name of its callback.
pub(crate) const CALLBACK: &str = ".callback";
/// And behind the name of a flow in the name of what it posts.
pub(crate) const POST: &str = ".post";

fn not_given(name: &str) -> String {
    let value = match name {
        BLOCK_TIME => "2026-01-02T00:00:00Z",
        "tx_status" => "{ status: success }",
        _ => "[{ wallet: alice }]",
    };
    format!("it is not mocked; put the step `mock: {{ {name}: {value} }}` before this one")
}

/// What is given for one of the arguments that are asked for: the entry of a map whose key is one of them, as it prints or, of a test
/// wallet, by its name; anything else as a whole.
pub(super) fn of_argument(given: &Value, arguments: &[Value]) -> Value {
    let Value::Record(entries) = given else {
        return given.clone();
    };
    let is_meant = |key: &str, argument: &Value| match argument {
        Value::Wallet(wallet) => *key == wallet.to_string() || testing::wallet(key).address() == *wallet,
        other => *key == other.to_text(),
    };
    let found = arguments.iter().find_map(|argument| {
        let mut entries = entries.iter();
        entries.find(|(key, _)| is_meant(key, argument))
    });
    found.map_or_else(|| given.clone(), |(_, value)| value.clone())
}

/// An answer that is given.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of a source: what `pick` gives.
    Value(Value),
    /// Of who takes files, or is called back: an HTTP status.
    Status(u16),
}

/// Answers by name, each until it is replaced, and what was posted.
#[derive(Debug, Default)]
pub(crate) struct Given {
    answers: Mutex<BTreeMap<String, Entry>>,
    posts: Mutex<Vec<Posted>>,
}

/// What a flow posted.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// `flow:NAME`.
    pub(crate) rule: String,
    /// Whose case it is.
    pub(crate) wallet: Address,
    pub(crate) body: String,
    /// What it was answered with.
    pub(crate) status: u16,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    is_used: bool,
}

impl Given {
    /// Gives an answer. Says whether it replaces one that nobody asked for.
    pub(crate) fn put(&self, name: &str, answer: Answer) -> bool {
        let entry = Entry {
            answer,
            is_used: false,
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let replaced = answers.insert(name.to_owned(), entry);
        replaced.is_some_and(|replaced| !replaced.is_used)
    }

    fn items(&self, name: &str) -> Option<Arc<[Value]>> {
        match self.value(name)? {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    fn value(&self, name: &str) -> Option<Value> {
        match self.take(name)? {
            Answer::Value(value) => Some(value),
            Answer::Status(_) => None,
        }
    }

    /// How who takes files, or is called back, answers.
    pub(crate) fn status(&self, name: &str) -> Option<u16> {
        match self.take(name)? {
            Answer::Status(status) => Some(status),
            Answer::Value(_) => None,
        }
    }

    fn take(&self, name: &str) -> Option<Answer> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = answers.get_mut(name)?;
        entry.is_used = true;
        Some(entry.answer.clone())
    }

    /// What was posted so far.
    pub(crate) fn posts(&self) -> Vec<Posted> {
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        posts.clone()
    }

    /// The names of answers that nobody asked for.
    pub(crate) fn unused(&self) -> Vec<String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = answers.iter().filter(|(_, entry)| !entry.is_used);
        unused.map(|(name, _)| name.clone()).collect()
    }
}
