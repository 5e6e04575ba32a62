//! `herald schema`: the shapes of what herald reads and serves, for editors and programs.

use clap::Subcommand;

use super::print;
use crate::{
    bot::config::{reference, schema},
    console,
};

/// Prints what herald reads and serves.
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
    /// The reference of both files and of the filters and functions, as Markdown
    Reference,
}

impl Schema {
    pub(super) fn execute(self) {
        let schema = match self {
            Self::Bot => schema::bot(),
            Self::Project => schema::project(),
            Self::Api => console::openapi(),
            Self::Reference => return print::line(reference::markdown().trim_end()),
        };
        print::line(&format!("{schema:#}"));
    }
}
