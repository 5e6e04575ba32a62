//! `node export`: the stored envelopes as lines of JSON, for another store.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use serde_json::json;

use super::{
    Error, Options,
    backup::{opened, part_of},
    line,
    progress::Progress,
};
use crate::{Config, store::archive::Archive};

/// Writes every stored envelope as a line of JSON, in the order of arrival; a node may run meanwhile.
#[derive(Args, Clone, Debug)]
pub(super) struct Export {
    /// The file to make, or `-` for standard output; an existing one is not written over
    file: PathBuf,
}

impl Export {
    pub(super) async fn execute(self, config: &Config, options: &Options) -> Result<(), Error> {
        let archive = Archive::open(&config.store).await.map_err(opened)?;
        if self.file.as_os_str() == "-" {
            let mut output = BufWriter::new(io::stdout());
            write(&archive, &mut output).await?;
            return Ok(());
        }
        if self.file.exists() {
            return Err(Error::Exists(self.file));
        }
        let part = part_of(&self.file);
        let unusable = |source| Error::File {
            path: self.file.clone(),
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(unusable)?;
        let mut output = BufWriter::new(file);
        let written = write(&archive, &mut output).await;
        let done = written.and_then(|envelopes| {
            output.get_ref().sync_all().map_err(unusable)?;
            fs::hard_link(&part, &self.file).map_err(unusable)?;
            Ok(envelopes)
        });
        // What is left of it is no export; a whole one has its name by now.
        let _ = fs::remove_file(&part);
        let envelopes = done?;
        let file = self.file.display().to_string();
        line(&if options.json {
            json!({ "event": "export", "file": file, "envelopes": envelopes }).to_string()
        } else {
            format!("{file}: {envelopes} envelopes")
        });
        Ok(())
    }
}

/// Says how many envelopes it wrote; the last line says it, too, so that a file that was cut can be told.
async fn write(archive: &Archive, output: &mut impl Write) -> Result<u64, Error> {
    let head = archive.head().await?;
    let mut progress = Progress::new("envelopes", archive.count(head).await?);
    let (mut after, mut written) = (0, 0);
    while after < head {
        let piece = archive.piece(after, head).await?;
        for arrival in &piece.arrivals {
            let envelope = arrival.to_envelope();
            let fields = json!({
                "contentTopic": envelope.content_topic,
                "timestampNs": envelope.timestamp_ns.to_string(),
                "message": STANDARD.encode(&envelope.message),
            });
            writeln!(output, "{fields}").map_err(Error::Output)?;
            written += 1;
        }
        after = piece.scanned_to;
        progress.at(written);
    }
    writeln!(output, "{}", json!({ "envelopes": written })).map_err(Error::Output)?;
    output.flush().map_err(Error::Output)?;
    progress.end();
    Ok(written)
}
