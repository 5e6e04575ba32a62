//! Who carries the commands out: a wallet's client, and what the commands before have left.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use herald::{
    client::{
        Address, Cache, Client, Compression, ConsentProof, Conversation, Draft, InvitationContext,
        Permission, PreferencesAction, Sealed, Subject, TimestampNs, WalletKey,
        attachments::{self, UploadTarget},
    },
    content::Content,
    fetch::Fetch,
};
use serde_json::{Map, Value, json};

use crate::{
    Failure,
    command::{CompressionName, Connect, Names, Read, Start, Write},
    content::Form,
    form::{ConversationForm, EntryForm, MessageForm, ProofForm, nanoseconds, state_word},
    rejection::{Rejections, Scope},
    stream::{Streams, What},
};

/// A wallet's client; its calls are the commands of the same names.
pub(crate) struct Person {
    client: Client,
    /// None for a client of exported keys.
    wallet: Option<WalletKey>,
    fetch: Fetch,
    rejections: Rejections,
    streams: Streams,
    /// What `start` gave; a V1 conversation is known to nobody else before its first message.
    started: Mutex<HashMap<String, Conversation>>,
    prepared: Mutex<Vec<Sealed>>,
}

impl Person {
    pub(crate) async fn connect(connect: Connect) -> Result<Self, Failure> {
        let (builder, wallet) = connect.identity()?;
        let rejections = Rejections::default();
        let heard = rejections.clone();
        let mut builder = builder.on_dropped(move |dropped| heard.hear(dropped));
        if let Some(folder) = &connect.cache {
            builder = builder.cache(Cache::open(&folder.join("client.db"))?);
        }
        Ok(Self {
            client: builder.connect().await?,
            wallet,
            fetch: connect.fetch.fetch()?,
            rejections,
            streams: Streams::default(),
            started: Mutex::default(),
            prepared: Mutex::default(),
        })
    }

    pub(crate) fn address(&self) -> Address {
        self.client.address()
    }

    pub(crate) async fn can_message(&self, addresses: &[String]) -> Result<Value, Failure> {
        let reachable = self.client.can_message(&parsed(addresses)?).await?;
        Ok(json!({"reachable": reachable}))
    }

    pub(crate) async fn conversations(&self) -> Result<Value, Failure> {
        self.client.sync_conversations().await?;
        let known = self.client.conversations();
        let forms: Vec<_> = known.iter().map(ConversationForm::from).collect();
        Ok(json!({"conversations": forms}))
    }

    pub(crate) async fn start(&self, start: Start) -> Result<Value, Failure> {
        let peer = start.peer.parse()?;
        let context = match (start.conversation_id, start.metadata) {
            (None, None) => None,
            (id, metadata) => Some(InvitationContext {
                conversation_id: id.unwrap_or_default(),
                metadata: metadata.unwrap_or_default().into_iter().collect(),
            }),
        };
        let conversation = match start.consent_proof {
            None => self.client.conversation_about(peer, context).await?,
            Some(proof) => {
                self.client
                    .conversation_by_consent(peer, context, proof.into())
                    .await?
            }
        };
        conversation.open().await?;
        let form = ConversationForm::from(&conversation);
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.insert(conversation.topic().to_string(), conversation);
        Ok(json!(form))
    }

    /// The conversation of a topic: known, started here, or new on the network.
    async fn of_topic(&self, topic: &str) -> Result<Conversation, Failure> {
        if let Some(known) = self.known(topic) {
            return Ok(known);
        }
        self.client.sync_conversations().await?;
        let unknown = || format!("no conversation has the topic `{topic}`");
        Ok(self.known(topic).ok_or_else(unknown)?)
    }

    fn known(&self, topic: &str) -> Option<Conversation> {
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        self.client
            .conversation(topic)
            .or_else(|| started.get(topic).cloned())
    }

    async fn draft(&self, write: Write) -> Result<Draft, Failure> {
        let conversation = match (write.topic, write.peer) {
            (Some(topic), None) => self.of_topic(&topic).await?,
            (None, Some(peer)) => self.client.conversation_with(peer.parse()?).await?,
            _ => return Err("wanted either `topic` or `peer`".into()),
        };
        let mut draft = conversation.draft(Content::try_from(write.content)?);
        draft = match write.compression {
            None => draft,
            Some(CompressionName::Deflate) => draft.compressed(Compression::Deflate),
            Some(CompressionName::Gzip) => draft.compressed(Compression::Gzip),
        };
        Ok(if write.ephemeral { draft.ephemeral() } else { draft })
    }

    pub(crate) async fn send(&self, write: Write) -> Result<Value, Failure> {
        let sealed = self.draft(write).await?.send().await?;
        Ok(published(&sealed))
    }

    pub(crate) async fn prepare(&self, write: Write) -> Result<Value, Failure> {
        let sealed = self.draft(write).await?.seal().await?;
        let (id, topic) = (sealed.message_id(), sealed.conversation().topic().to_string());
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        prepared.push(sealed);
        Ok(json!({"prepared": prepared.len() - 1, "id": id.to_string(), "topic": topic}))
    }

    pub(crate) async fn publish(&self, number: usize) -> Result<Value, Failure> {
        let sealed = {
            let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            prepared.get(number).cloned()
        };
        let sealed = sealed.ok_or("no such message is prepared")?;
        sealed.publish().await?;
        Ok(published(&sealed))
    }

    pub(crate) async fn messages(&self, read: Read) -> Result<Value, Failure> {
        let conversation = self.of_topic(&read.topic).await?;
        let rejected = Arc::new(Mutex::new(Vec::new()));
        let gather = Arc::clone(&rejected);
        let _listening = self
            .rejections
            .listen(Scope::Topic(read.topic.clone()), move |error| {
                gather.lock().unwrap_or_else(PoisonError::into_inner).push(error);
            });
        let mut history = conversation.history();
        if read.descending {
            history = history.newest_first();
        }
        if let Some(start) = &read.start_ns {
            history = history.since(time(start)?);
        }
        if let Some(end) = &read.end_ns {
            history = history.until(time(end)?);
        }
        if let Some(page) = read.page {
            history = history.page_size(page);
        }
        let limit = read.limit.unwrap_or(usize::MAX);
        let mut messages = Vec::new();
        while messages.len() < limit
            && let Some(page) = history.next_page().await?
        {
            for message in page.iter().take(limit - messages.len()) {
                messages.push(MessageForm::new(message, conversation.topic())?);
            }
        }
        let rejected = rejected.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(json!({"messages": messages, "rejected": *rejected}))
    }

    pub(crate) async fn stream(&self, what: What, topic: Option<String>) -> Result<Value, Failure> {
        let conversation = match topic {
            Some(topic) => Some(self.of_topic(&topic).await?),
            None => None,
        };
        let opened = self
            .streams
            .open(&self.client, &self.rejections, what, conversation);
        Ok(json!({"stream": opened.await?}))
    }

    pub(crate) fn stop(&self, stream: u64) -> Result<Value, Failure> {
        self.streams.stop(stream)?;
        Ok(json!({}))
    }

    pub(crate) async fn consent(&self, addresses: &[String]) -> Result<Value, Failure> {
        self.client.sync_consent().await?;
        self.client.sync_conversations().await?;
        let addresses: Vec<Address> = parsed(addresses)?;
        let state = |address: &Address| state_word(self.client.consent_of(*address));
        Ok(json!({"states": addresses.iter().map(state).collect::<Vec<_>>()}))
    }

    pub(crate) async fn consent_list(&self) -> Result<Value, Failure> {
        self.client.sync_consent().await?;
        let list = self.client.consent_list();
        let entries = list.entries();
        let forms = entries.map(|(subject, name, state)| EntryForm::new(subject, name, state));
        Ok(json!({"entries": forms.collect::<Vec<_>>()}))
    }

    pub(crate) async fn decide(&self, permission: Permission, names: Names) -> Result<Value, Failure> {
        let addresses: Vec<Address> = parsed(&names.addresses)?;
        match permission {
            Permission::Allow => self.client.allow(&addresses).await?,
            Permission::Deny => self.client.deny(&addresses).await?,
        }
        for (subject, names) in [(Subject::Group, names.groups), (Subject::InboxId, names.inboxes)] {
            let action = PreferencesAction {
                permission,
                subject,
                names,
            };
            self.client.decide(&action).await?;
        }
        Ok(json!({}))
    }

    pub(crate) fn consent_proof(&self, sender: &str, timestamp_ms: u64) -> Result<Value, Failure> {
        let wallet = self
            .wallet
            .as_ref()
            .ok_or("exported keys alone prove no consent")?;
        let at = TimestampNs::from_ms(timestamp_ms).ok_or("the time is too late")?;
        Ok(json!(ProofForm::from(&ConsentProof::sign(
            wallet,
            sender.parse()?,
            at
        ))))
    }

    pub(crate) fn hmac_keys(&self) -> Value {
        let mut topics = Map::new();
        for conversation in self.client.conversations() {
            let Some(keys) = conversation.hmac_keys() else {
                continue;
            };
            let keys =
                keys.map(|(period, key)| json!({"period": period, "key": BASE64_STANDARD.encode(*key)}));
            topics.insert(conversation.topic().to_string(), json!(keys));
        }
        json!({"topics": topics})
    }

    pub(crate) fn export_keys(&self) -> Result<Value, Failure> {
        Ok(json!({"keys": BASE64_STANDARD.encode(self.client.export_keys()?)}))
    }

    pub(crate) async fn rotate(&self) -> Result<Value, Failure> {
        self.client.rotate_pre_key().await?;
        Ok(json!({}))
    }

    pub(crate) async fn upload(&self, form: Form, put: &str) -> Result<Value, Failure> {
        let Content::Attachment(attachment) = Content::try_from(form)? else {
            return Err("wanted an `attachment`".into());
        };
        let remote = attachments::upload(&self.fetch, &attachment, &UploadTarget::presigned(put)?).await?;
        Ok(json!({"content": Form::try_from(&Content::from(remote))?}))
    }

    pub(crate) async fn download(&self, form: Form) -> Result<Value, Failure> {
        let Content::RemoteAttachment(remote) = Content::try_from(form)? else {
            return Err("wanted a `remote_attachment`".into());
        };
        let content = attachments::download(&self.fetch, &remote, attachments::DOWNLOAD_BYTES).await?;
        Ok(json!({"content": Form::try_from(&content)?}))
    }
}

fn published(sealed: &Sealed) -> Value {
    json!({
        "id": sealed.message_id().to_string(),
        "topic": sealed.conversation().topic().to_string(),
        "sent_ns": nanoseconds(sealed.sent()),
    })
}

fn parsed(addresses: &[String]) -> Result<Vec<Address>, Failure> {
    let parsed: Result<_, _> = addresses.iter().map(|address| address.parse()).collect();
    Ok(parsed?)
}

fn time(nanoseconds: &str) -> Result<TimestampNs, Failure> {
    Ok(TimestampNs::from_ns(nanoseconds.parse()?))
}
