//! EVM chains: what their contracts tell, and what can be asked of them.
//!
//! ```text
//! herald.yaml: rpc ── JSON-RPC ──> Chain ── heads, one poller for all bots ──> log triggers ── ABI ──> occurrences, with the cursor
//!                                    ├──── logs of tokens, summed up in ledgers ────────────────────> holders
//!                                    └──── block times, states of transactions, calls ──────────────> whoever asks
//! ```
//!
//! Enters: the nodes that the operator names, of which two must say the same where two answer. Leaves: blocks and the logs in them.
//! What a contract or a node sends is bounded and never trusted.

/// What contracts are told and tell, as bytes.
pub mod abi;
mod ask;
/// Names of wallets.
mod names;
mod nodes;
mod remarks;
mod rpc;
mod scan;
mod wire;

pub use ask::{Call, Called, TxState, TxStatus};
pub use names::{NameError, WalletName};
pub use nodes::{Chain, Chains, Error};
pub use rpc::Error as RpcError;
pub use wire::Head;

pub(crate) use names::ETHEREUM;
pub(crate) use nodes::{Agreed, Search, without_rpc};
pub(crate) use scan::{MOST_LOGS, Span};
pub(crate) use wire::Log;
