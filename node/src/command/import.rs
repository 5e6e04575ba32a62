//! `node import`: envelopes of another store into this one.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::PathBuf,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use herald_protocol::{limits, proto::api::Envelope};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{Error, Options, backup::opened, line, progress::Progress};
use crate::{Config, clock, envelope::AcceptedEnvelope, store::Store};

/// Stores the envelopes of an export. What the store has already is not stored twice, so it can be done again.
#[derive(Args, Clone, Debug)]
pub(super) struct Import {
    /// A file of `export`, or `-` for standard input
    file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    content_topic: String,
    timestamp_ns: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    envelopes: u64,
}

/// A line of an export.
enum Line {
    Envelope(Envelope),
    /// The last one, with how many were before it.
    End(u64),
}

impl Import {
    pub(super) async fn execute(self, config: &Config, options: &Options) -> Result<(), Error> {
        let unusable = |source| Error::File {
            path: self.file.clone(),
            source,
        };
        let (input, bytes): (Box<dyn BufRead>, u64) = if self.file.as_os_str() == "-" {
            (Box::new(BufReader::new(io::stdin())), 0)
        } else {
            let file = File::open(&self.file).map_err(unusable)?;
            let bytes = file.metadata().map_err(unusable)?.len();
            (Box::new(BufReader::new(file)), bytes)
        };
        // Nobody streams what is imported; the channel is drained below, by its end.
        let (arrivals, mut streamed) = mpsc::channel(1);
        let store = Store::open(&config.store, true, clock::wall.into(), arrivals)
            .await
            .map_err(opened)?;
        let storing = async {
            let stored = store_lines(&store, input, bytes).await;
            store.close().await;
            stored
        };
        let draining = async { while streamed.recv().await.is_some() {} };
        let (stored, ()) = tokio::join!(storing, draining);
        let envelopes = stored?;
        line(&if options.json {
            serde_json::json!({ "event": "import", "envelopes": envelopes }).to_string()
        } else {
            format!("{envelopes} envelopes")
        });
        Ok(())
    }
}

async fn store_lines(store: &Store, mut input: Box<dyn BufRead>, bytes: u64) -> Result<u64, Error> {
    let mut progress = (bytes > 0).then(|| Progress::new("bytes", bytes));
    let (mut read, mut number) = (0, 0);
    let mut batch = Vec::new();
    loop {
        let mut text = Vec::new();
        let length = (&mut input)
            .take(LINE_BYTES)
            .read_until(b'\n', &mut text)
            .map_err(Error::Input)?;
        if length == 0 {
            return Err(Error::Cut(number));
        }
        number += 1;
        read += length as u64;
        match parse(&text).map_err(|problem| Error::Line { number, problem })? {
            Line::Envelope(envelope) => {
                let accepted = AcceptedEnvelope::check(&envelope);
                batch.push(accepted.map_err(|refusal| Error::Line {
                    number,
                    problem: refusal.to_string(),
                })?);
            }
            Line::End(envelopes) if envelopes == number - 1 => {
                store.publish(std::mem::take(&mut batch)).await?;
                if let Some(progress) = progress {
                    progress.end();
                }
                return Ok(envelopes);
            }
            Line::End(envelopes) => {
                let problem = format!("found {} envelopes, wanted {envelopes}", number - 1);
                return Err(Error::Line { number, problem });
            }
        }
        if batch.len() >= limits::PUBLISH_ENVELOPES
            || batch.iter().map(AcceptedEnvelope::size).sum::<usize>() >= limits::REQUEST_BYTES
        {
            store.publish(std::mem::take(&mut batch)).await?;
            if let Some(progress) = &mut progress {
                progress.at(read);
            }
        }
    }
}

fn parse(text: &[u8]) -> Result<Line, String> {
    if let Ok(End { envelopes }) = serde_json::from_slice(text) {
        return Ok(Line::End(envelopes));
    }
    let fields: Fields = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let timestamp_ns = fields.timestamp_ns.parse();
    let message = STANDARD.decode(fields.message);
    Ok(Line::Envelope(Envelope {
        content_topic: fields.content_topic,
        timestamp_ns: timestamp_ns.map_err(|error| format!("timestampNs: {error}"))?,
        message: message.map_err(|error| format!("message: {error}"))?.into(),
    }))
}

/// The largest envelope in base64, its topic escaped, and the names of the fields.
const LINE_BYTES: u64 = 2 * 1024 * 1024;
