//! What a YAML file declares, from its text to the messages it sends.
//!
//! ```text
//! config   file -> Bot                        trigger   clock, webhook, message ... -> occurrence
//! store    what must not be forgotten         outbox    occurrence -> rows -> sealed -> published -> settled
//! chain    logs and states of EVM chains
//! dialog   people writing to the bot          runtime   the tasks of each bot
//! ```

pub mod audience;
mod brake;
pub mod chain;
pub mod config;
pub mod dialog;
mod event;
pub mod expression;
pub(crate) mod fire;
pub(crate) mod folder;
mod identity;
mod outbox;
pub(crate) mod outside;
pub mod policy;
pub mod probe;
pub mod project;
pub mod rehearsal;
pub mod reload;
pub(crate) mod running;
mod runtime;
pub mod source;
pub mod status;
pub mod store;
pub mod testing;
pub mod trigger;
pub mod uploads;

pub use brake::Brake;
pub use event::{Event, Events, Kind, print_time};
pub use identity::{Error as IdentityError, resolve as resolve_identity};
pub use project::Project;
pub use running::to_utc;
pub use runtime::{Bots, Changed, Launch, Runtime, Shared, Started, events};
pub use status::Status;
pub use uploads::Uploads;
