//! The guard against a table of hostile places, and the client against real servers.

mod behaviour;
mod hostile;
pub(crate) mod world;
