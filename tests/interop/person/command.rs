//! The commands as they are written, and who carries each out.

use std::{collections::HashMap, path::PathBuf};

use herald::{
    client::{
        Builder, Client, Permission, WalletKey,
        mnemonic::{self, DerivationPath},
    },
    fetch::Fetch,
};
use herald_protocol::bundle::PrivateKeyBundle;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    Failure,
    content::{Bytes, Form},
    form::ProofForm,
    stream::What,
    wallet::Person,
};

/// What this program is asked for; see the table at its top.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub(crate) enum Command {
    Connect(Connect),
    CanMessage { addresses: Vec<String> },
    Conversations,
    Start(Start),
    Send(Write),
    Prepare(Write),
    Publish { prepared: usize },
    Messages(Read),
    Stream { what: What, topic: Option<String> },
    Stop { stream: u64 },
    Consent { addresses: Vec<String> },
    ConsentList,
    Allow(Names),
    Deny(Names),
    ConsentProof { sender: String, timestamp_ms: u64 },
    HmacKeys,
    ExportKeys,
    Rotate,
    Upload { content: Form, put: String },
    Download { content: Form },
}

#[derive(Deserialize)]
pub(crate) struct Connect {
    node: String,
    key: Option<String>,
    mnemonic: Option<String>,
    path: Option<String>,
    keys: Option<Bytes>,
    pub(crate) cache: Option<PathBuf>,
    #[serde(default)]
    pub(crate) fetch: FetchOptions,
}

#[derive(Default, Deserialize)]
pub(crate) struct FetchOptions {
    #[serde(default)]
    allow: Vec<String>,
    roots: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Start {
    pub(crate) peer: String,
    pub(crate) conversation_id: Option<String>,
    pub(crate) metadata: Option<HashMap<String, String>>,
    pub(crate) consent_proof: Option<ProofForm>,
}

#[derive(Deserialize)]
pub(crate) struct Write {
    pub(crate) topic: Option<String>,
    pub(crate) peer: Option<String>,
    pub(crate) content: Form,
    pub(crate) compression: Option<CompressionName>,
    #[serde(default)]
    pub(crate) ephemeral: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CompressionName {
    Deflate,
    Gzip,
}

#[derive(Deserialize)]
pub(crate) struct Read {
    pub(crate) topic: String,
    #[serde(default)]
    pub(crate) descending: bool,
    pub(crate) start_ns: Option<String>,
    pub(crate) end_ns: Option<String>,
    pub(crate) page: Option<u32>,
    pub(crate) limit: Option<usize>,
}

#[derive(Deserialize)]
pub(crate) struct Names {
    #[serde(default)]
    pub(crate) addresses: Vec<String>,
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    #[serde(default)]
    pub(crate) inboxes: Vec<String>,
}

impl Command {
    /// Carries the command out; `person` is there from `connect` on.
    pub(crate) async fn run(self, person: &OnceCell<Person>) -> Result<Value, Failure> {
        if let Self::Connect(connect) = self {
            let connected = Person::connect(connect).await?;
            let address = connected.address();
            person.set(connected).map_err(|_| "`connect` comes once")?;
            return Ok(json!({"address": address.to_string()}));
        }
        let person = person.get().ok_or("`connect` comes first")?;
        match self {
            Self::Connect(_) => Err("`connect` comes once".into()),
            Self::CanMessage { addresses } => person.can_message(&addresses).await,
            Self::Conversations => person.conversations().await,
            Self::Start(start) => person.start(start).await,
            Self::Send(write) => person.send(write).await,
            Self::Prepare(write) => person.prepare(write).await,
            Self::Publish { prepared } => person.publish(prepared).await,
            Self::Messages(read) => person.messages(read).await,
            Self::Stream { what, topic } => person.stream(what, topic).await,
            Self::Stop { stream } => person.stop(stream),
            Self::Consent { addresses } => person.consent(&addresses).await,
            Self::ConsentList => person.consent_list().await,
            Self::Allow(names) => person.decide(Permission::Allow, names).await,
            Self::Deny(names) => person.decide(Permission::Deny, names).await,
            Self::ConsentProof { sender, timestamp_ms } => person.consent_proof(&sender, timestamp_ms),
            Self::HmacKeys => Ok(person.hmac_keys()),
            Self::ExportKeys => person.export_keys(),
            Self::Rotate => person.rotate().await,
            Self::Upload { content, put } => person.upload(content, &put).await,
            Self::Download { content } => person.download(content).await,
        }
    }
}

impl Connect {
    /// The client to be, and the wallet that signs for it.
    pub(crate) fn identity(&self) -> Result<(Builder, Option<WalletKey>), Failure> {
        let node = self.node.parse()?;
        let wallet = || match (&self.key, &self.mnemonic) {
            (Some(key), None) => Ok(WalletKey::from_hex(key)?),
            (None, Some(words)) => {
                let path = self.path.as_deref().map(str::parse).transpose()?;
                Ok(mnemonic::read(
                    words,
                    "",
                    &path.unwrap_or_else(DerivationPath::default),
                )?)
            }
            _ => Err(Failure::from("wanted one of `key`, `mnemonic` and `keys`")),
        };
        Ok(match &self.keys {
            Some(keys) => (
                Client::builder_from_keys(PrivateKeyBundle::decode(&keys.0)?, node),
                None,
            ),
            None => (Client::builder(wallet()?, node), Some(wallet()?)),
        })
    }
}

impl FetchOptions {
    pub(crate) fn fetch(&self) -> Result<Fetch, Failure> {
        let mut builder = Fetch::builder();
        for network in &self.allow {
            builder = builder.allow(network.parse()?);
        }
        if let Some(roots) = &self.roots {
            builder = builder.root_certificate(roots.as_bytes())?;
        }
        Ok(builder.build()?)
    }
}
