//! `herald schema`: the shapes of what herald reads and serves, for editors and programs.

use clap::Subcommand;

use super::print;
use crate::console;

/// Prints a schema as JSON.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Schema {
    /// The `OpenAPI` document of the HTTP API
    Api,
}

impl Schema {
    pub(super) fn execute(self) {
        match self {
            Self::Api => print::json(&console::openapi()),
        }
    }
}
