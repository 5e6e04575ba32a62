//! herald's own integration tests: the real program, real clients, a real node, and faults; one module a promise.

#[cfg(test)]
mod audiences;
#[cfg(test)]
mod bad_messages;
#[cfg(test)]
mod bot_tests;
#[cfg(test)]
mod broadcast;
#[cfg(test)]
mod callback;
#[cfg(test)]
mod chain_peers;
#[cfg(test)]
mod client;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod content;
#[cfg(test)]
mod contracts;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod dialog;
#[cfg(test)]
mod digest;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod flows;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod holders;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod joining;
#[cfg(test)]
mod lets;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod manual;
#[cfg(test)]
mod many_bots;
#[cfg(test)]
mod names;
#[cfg(test)]
mod node_down;
#[cfg(test)]
mod not_on_network;
#[cfg(test)]
mod people;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod project;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod rehearsal;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod subscribers;
#[cfg(test)]
mod unknown_outcome;
#[cfg(test)]
mod watches;
#[cfg(test)]
mod webhook;
