//! `herald backup`: a copy of the bots' store, also while herald runs.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::{Options, deliveries, print};
use crate::bot::store::Store;

/// Copies the bots' store into a new file, also beside a running herald
///
/// To restore it, stop herald and put the copy in the place of the store.
#[derive(Args, Debug)]
pub(super) struct Backup {
    /// The new file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Backup {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let store = Store::open_to_read(&deliveries::store_file(options)?)?;
        store.back_up(&self.file).await?;
        let bytes = std::fs::metadata(&self.file).context("the copy")?.len();
        if options.json {
            print::json(&serde_json::json!({ "file": self.file.display().to_string(), "bytes": bytes }));
        } else {
            print::line(&format!("{} ({bytes} bytes)", self.file.display()));
        }
        Ok(())
    }
}
