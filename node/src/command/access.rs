//! `node access`: the allow and deny lists of a store, beside the node that may be running on it.

use std::io::{self, Write};

use chrono::{DateTime, SecondsFormat};
use clap::{Args, Subcommand};
use herald_protocol::Excerpt;
use serde_json::json;

use super::{Error, Options};
use crate::{
    Config,
    access_list::{Entry, Permission, Subject},
    clock,
    store::AccessStore,
};

/// Says who may register and publish; a running node follows within seconds.
#[derive(Args, Clone, Debug)]
pub(super) struct Access {
    #[command(subcommand)]
    change: Change,
}

#[derive(Subcommand, Clone, Debug)]
enum Change {
    /// Let them in where that needs permission, with larger limits
    Allow(Set),
    /// Let them publish nothing
    Deny(Set),
    /// Take them off the lists
    Remove(Remove),
    /// Show the lists
    List,
}

#[derive(Args, Clone, Debug)]
struct Set {
    /// Wallets, IP addresses, or ranges like 192.0.2.0/24
    #[arg(required = true, value_name = "SUBJECT")]
    subjects: Vec<Subject>,
    /// Why, for whoever reads the list
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = comment)]
    comment: String,
}

#[derive(Args, Clone, Debug)]
struct Remove {
    /// Wallets, IP addresses, or ranges like 192.0.2.0/24
    #[arg(required = true, value_name = "SUBJECT")]
    subjects: Vec<Subject>,
}

impl Access {
    pub(super) async fn execute(self, config: &Config, options: &Options) -> Result<(), Error> {
        let mut store = AccessStore::open(&config.store)
            .await
            .map_err(|error| Error::Node(error.into()))?;
        match self.change {
            Change::Allow(set) => set.apply(&mut store, Permission::Allow, options).await,
            Change::Deny(set) => set.apply(&mut store, Permission::Deny, options).await,
            Change::Remove(remove) => remove.apply(&mut store, options).await,
            Change::List => {
                print(&store.access().await?, options);
                Ok(())
            }
        }
    }
}

impl Set {
    async fn apply(
        self,
        store: &mut AccessStore,
        permission: Permission,
        options: &Options,
    ) -> Result<(), Error> {
        let mut entries = Vec::with_capacity(self.subjects.len());
        for subject in self.subjects {
            let entry = Entry {
                subject,
                permission,
                since: clock::wall(),
                comment: self.comment.clone(),
            };
            store.set_access(&entry).await?;
            entries.push(entry);
        }
        print(&entries, options);
        Ok(())
    }
}

impl Remove {
    async fn apply(self, store: &mut AccessStore, options: &Options) -> Result<(), Error> {
        let mut absent = Vec::new();
        for subject in self.subjects {
            if !store.remove_access(&subject).await? {
                absent.push(format!("`{subject}`"));
            } else if options.json {
                line(&json!({ "subject": subject.to_string(), "permission": null }).to_string());
            } else {
                line(&format!("{subject}  removed"));
            }
        }
        if absent.is_empty() {
            Ok(())
        } else {
            Err(Error::NotListed(absent.join(", ")))
        }
    }
}

fn comment(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0..=COMMENT_CHARS => Ok(text.to_owned()),
        found => Err(format!(
            "found {found} characters, wanted at most {COMMENT_CHARS}"
        )),
    }
}

fn print(entries: &[Entry], options: &Options) {
    let subjects: Vec<String> = entries.iter().map(|entry| entry.subject.to_string()).collect();
    let width = subjects.iter().map(String::len).max().unwrap_or_default();
    for (entry, subject) in entries.iter().zip(subjects) {
        let permission = entry.permission.as_str();
        let since = time(entry);
        let text = if options.json {
            let comment = &entry.comment;
            json!({ "subject": subject, "permission": permission, "since": since, "comment": comment })
                .to_string()
        } else {
            let comment = Excerpt::of(&entry.comment);
            format!("{subject:<width$}  {permission:<5}  {since}  {comment}")
        };
        line(text.trim_end());
    }
}

fn time(entry: &Entry) -> String {
    let seconds = i64::try_from(entry.since.as_seconds()).unwrap_or_default();
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn line(text: &str) {
    // A reader that has gone away is no reason to fail.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// What a line of a terminal shows whole.
const COMMENT_CHARS: usize = 100;
