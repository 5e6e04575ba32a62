//! `herald inbox`: a wallet's messages, decrypted.

use std::sync::Arc;

use clap::Args;
use herald_protocol::{address::Address, wallet::WalletKey};
use tokio_util::sync::CancellationToken;

use super::{Options, print, signals, wallet::Key};
use crate::{
    bot,
    client::{Cache, Client, Conversation, Message, NodeAddress},
};

/// Prints the messages of a wallet, oldest first.
#[derive(Args, Debug)]
pub(super) struct Inbox {
    /// Only the conversations with this wallet
    wallet: Option<Address>,
    #[command(flatten)]
    key: Key,
    #[command(flatten)]
    node: NodeFlag,
    /// Go on with messages as they come
    #[arg(short, long)]
    follow: bool,
}

/// Which node a command talks to.
#[derive(Args, Clone, Debug)]
pub(super) struct NodeFlag {
    /// The node: `grpc://host:port`, or `grpcs://host:port` for TLS
    #[arg(long, value_name = "URL", default_value = "grpc://127.0.0.1:5556")]
    node: NodeAddress,
}

impl NodeFlag {
    /// A client of the wallet at the node; conversations are kept in the data folder when there is one.
    pub(super) async fn client(&self, wallet: WalletKey, options: &Options) -> anyhow::Result<Client> {
        let mut builder = Client::builder(wallet, self.node.clone());
        if options.data.is_dir() {
            builder = builder.cache(Cache::open(&options.data.join("client.db"))?);
        }
        Ok(builder.connect().await?)
    }
}

impl Inbox {
    /// Whether it goes on until a signal.
    pub(super) fn follows(&self) -> bool {
        self.follow
    }

    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let client = self.node.client(self.key.wallet()?, options).await?;
        let shown = |peer: Address| self.wallet.is_none_or(|wallet| wallet == peer);
        let mut messages = Vec::new();
        for conversation in client.conversations().iter().filter(|known| shown(known.peer)) {
            messages.extend(client.messages(conversation, None).await?);
        }
        messages.sort_by_key(|message| message.sent);
        let mut last = None;
        for message in &messages {
            tell(message, client.address(), options, &mut last);
        }
        if !self.follow {
            return Ok(());
        }
        let signalled = signals::cancel_on_signal(CancellationToken::new())?;
        let mut known: std::collections::HashSet<_> = messages.iter().map(|message| message.id).collect();
        let mut stream = client.stream_all_messages(crate::clock::now());
        let follow = async {
            loop {
                let message = stream.next().await?;
                if shown(message.conversation.peer) && known.insert(message.id) {
                    tell(&message, client.address(), options, &mut last);
                }
            }
        };
        tokio::select! {
            ended = follow => ended,
            () = signalled => Ok(()),
        }
    }
}

/// Prints a message; a line names the thread when it is another one than before.
fn tell(message: &Message, own: Address, options: &Options, last: &mut Option<Arc<Conversation>>) {
    if options.json {
        return print::json(&to_json(message));
    }
    let conversation = &message.conversation;
    if last
        .as_ref()
        .is_none_or(|last| last.topic() != conversation.topic())
    {
        let id = conversation
            .conversation_id
            .as_ref()
            .map(|id| format!(" ({})", print::plain(id)));
        print::line(&format!("── {}{}", conversation.peer, id.unwrap_or_default()));
        *last = Some(Arc::clone(conversation));
    }
    let who = if message.sender == own {
        "me".to_owned()
    } else {
        print::short(message.sender)
    };
    print::line(&format!(
        "{}  {who}: {}",
        bot::print_time(bot::to_utc(message.sent)),
        text(message)
    ));
}

/// What a message says to somebody who reads text.
pub(super) fn text(message: &Message) -> String {
    match message.content.as_text() {
        Some(text) => print::plain(text),
        None => format!("[{}]", message.content.content_type()),
    }
}

pub(super) fn to_json(message: &Message) -> serde_json::Value {
    let fallback = match &message.content {
        crate::content::Content::Unknown(content) => content.fallback.as_deref(),
        crate::content::Content::Text(_) => None,
    };
    let text = message.content.as_text();
    serde_json::json!({
        "id": const_hex::encode(message.id),
        "conversation": message.conversation.topic().as_str(),
        "from": message.sender.to_string(),
        "sent_ns": message.sent.as_ns().to_string(),
        "type": message.content.content_type().to_string(),
        "text": text,
        "content": content_json(&message.content),
        "fallback": fallback,
    })
}

/// The content as its type has it: text as text, unknown types as the base64 of their bytes.
fn content_json(content: &crate::content::Content) -> serde_json::Value {
    use base64::Engine as _;
    match content {
        crate::content::Content::Text(text) => serde_json::Value::from(text.as_str()),
        crate::content::Content::Unknown(content) => {
            serde_json::Value::from(base64::engine::general_purpose::STANDARD.encode(&content.content))
        }
    }
}
