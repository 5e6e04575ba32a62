//! `herald schema`: the shapes of what herald reads and serves, for editors and programs.

use clap::Subcommand;

use super::print;
use crate::{bot::config::schema, console};

/// Prints a schema as JSON.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Schema {
    /// The JSON Schema of a bot's file
    ///
    /// Editors with YAML support read it from a line at the top of a file:
    /// `# yaml-language-server: $schema=bot.schema.json`
    Bot,
    /// The JSON Schema of herald.yaml
    Project,
    /// The `OpenAPI` document of the HTTP API
    Api,
}

impl Schema {
    pub(super) fn execute(self) {
        let schema = match self {
            Self::Bot => schema::bot(),
            Self::Project => schema::project(),
            Self::Api => console::openapi(),
        };
        print::line(&format!("{schema:#}"));
    }
}
