//! Files outside of messages: what names each, stored before it is uploaded, so that a crash uploads nothing twice.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Delivery, MessageNumber, Store, millis};

/// Which file: the same for all recipients of one occurrence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadKey {
    /// The bot's name.
    pub bot: String,
    /// The rule's name.
    pub rule: String,
    /// What tells the occurrences of a rule apart.
    pub key: String,
    /// Which of the rule's messages.
    pub part: MessageNumber,
}

impl UploadKey {
    /// The file that a row's message names.
    pub fn of(row: &Delivery) -> Self {
        Self {
            bot: row.bot.clone(),
            rule: row.rule.clone(),
            key: row.key.clone(),
            part: row.part,
        }
    }
}

/// A file and where it is, or will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The encoded content that names it.
    pub content: Vec<u8>,
    /// Whether it is known to be there.
    pub is_there: bool,
}

impl Store {
    /// What is known of a file.
    pub async fn upload(&self, key: UploadKey) -> Result<Option<Uploaded>, super::Error> {
        self.read(move |connection| {
            let query = "SELECT content, uploaded_ms IS NOT NULL FROM upload
                         WHERE bot = ?1 AND rule = ?2 AND key = ?3 AND part = ?4";
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Uploaded {
                    content: row.get(0)?,
                    is_there: row.get(1)?,
                })
            };
            connection
                .prepare_cached(query)?
                .query_row(params![key.bot, key.rule, key.key, key.part], read)
                .optional()
        })
        .await
    }

    /// Notes where a file is about to be put, in place of an earlier try.
    pub async fn begin_upload(&self, key: UploadKey, content: Vec<u8>) -> Result<(), super::Error> {
        self.write(move |transaction| {
            transaction.execute(
                "INSERT INTO upload (bot, rule, key, part, content) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET content = excluded.content WHERE uploaded_ms IS NULL",
                params![key.bot, key.rule, key.key, key.part, content],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes that a file is where its content says.
    pub async fn end_upload(&self, key: UploadKey, now: DateTime<Utc>) -> Result<(), super::Error> {
        self.write(move |transaction| {
            transaction.execute(
                "UPDATE upload SET uploaded_ms = ?5 WHERE bot = ?1 AND rule = ?2 AND key = ?3 AND part = ?4",
                params![key.bot, key.rule, key.key, key.part, millis(now)],
            )?;
            Ok(())
        })
        .await
    }
}
