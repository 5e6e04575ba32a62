//! Why reading did not go on, and what is told of it.

use crate::bot::{
    chain::{self, RpcError},
    store,
};

/// Why reading did not go on.
pub(super) enum Failure {
    Chain(chain::Error),
    Store(store::Error),
    File(String),
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl From<chain::Error> for Failure {
    fn from(error: chain::Error) -> Self {
        Self::Chain(error)
    }
}

impl Failure {
    /// Whether the next height may be enough.
    pub(super) fn is_of_height(&self) -> bool {
        matches!(self, Self::Chain(chain::Error::Absent(_)))
    }

    /// What is told of it, and what is the same again however it is worded.
    pub(super) fn reason(&self, chain: &str) -> (String, String) {
        match self {
            Self::Chain(error) => {
                let kind = match error {
                    chain::Error::Differ { first, second, .. } => format!("blocks of {first} and {second}"),
                    chain::Error::Contradict { first, second, .. } => format!("logs of {first} and {second}"),
                    error => error.to_string(),
                };
                (format!("chain `{chain}`: {error}"), kind)
            }
            Self::Store(error) => {
                let reason = format!("the logs of chain `{chain}` wait: {error}");
                (reason.clone(), reason)
            }
            Self::File(reason) => (reason.clone(), reason.clone()),
        }
    }

    /// Whether it is told after so many tries. What may have been a moment is not, and is seen from the chain's height if it lasts.
    pub(super) fn is_told(&self, failures: u32) -> bool {
        match self {
            Self::Chain(chain::Error::Absent(_)) => false,
            Self::Chain(chain::Error::Node(RpcError::Unreachable { .. } | RpcError::Limited { .. })) => {
                failures > 1
            }
            _ => true,
        }
    }
}
