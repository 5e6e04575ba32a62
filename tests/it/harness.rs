//! What the tests share: the real program in a folder of its own, real clients of real wallets, and faults.
//!
//! The ledger of a test (what was fired, what was acknowledged, what was read) is kept here, outside of the process under test.

pub(crate) mod abi;
pub(crate) mod chain;
pub(crate) mod ens;
pub(crate) mod house;
pub(crate) mod people;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod rpc_proxy;
pub(crate) mod scripted;
pub(crate) mod shop;
pub(crate) mod site;
pub(crate) mod web;
