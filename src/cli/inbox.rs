//! `herald inbox`: a wallet's messages, decrypted.

use clap::Args;
use herald_protocol::{address::Address, wallet::WalletKey};
use tokio_util::sync::CancellationToken;

use super::{Options, print, signals, wallet::Key, wallet_argument::WalletArgument, words};
use crate::{
    bot,
    client::{Builder, Cache, Client, Conversation, Message, NodeAddress, STREAM_OVERLAP},
};

/// Prints the messages of a wallet, oldest first.
#[derive(Args, Debug)]
pub(super) struct Inbox {
    /// Only the conversations with this wallet, or with who has this name
    wallet: Option<WalletArgument>,
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
    /// What a client of the wallet at the node is made from.
    pub(super) fn builder(&self, wallet: WalletKey) -> Builder {
        Client::builder(wallet, self.node.clone())
    }

    /// A client of the wallet at the node; conversations are kept in the data folder when there is one.
    pub(super) async fn client(&self, wallet: WalletKey, options: &Options) -> anyhow::Result<Client> {
        let mut builder = self.builder(wallet);
        if options.data().is_dir() {
            builder = builder.cache(Cache::open(&options.data().join("client.db"))?);
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
        let only = match &self.wallet {
            Some(wallet) => Some(wallet.find(options).await?),
            None => None,
        };
        let client = self.node.client(self.key.wallet()?, options).await?;
        let begun = crate::clock::now();
        let shown = |peer: Address| only.is_none_or(|wallet| wallet == peer);
        let mut messages = Vec::new();
        for conversation in client.conversations().iter().filter(|known| shown(known.peer())) {
            messages.extend(conversation.messages(None).await?);
        }
        messages.sort_by_key(|message| message.sent);
        let mut last = None;
        for message in &messages {
            tell(message, options, &mut last);
        }
        if !self.follow {
            return Ok(());
        }
        let signalled = signals::cancel_on_signal(CancellationToken::new())?;
        // What came since a history was read is in the store, dated by the clocks of its senders.
        let mut stream = client
            .stream_all_messages(begun.saturating_sub(STREAM_OVERLAP))
            .without(messages.iter().map(|message| *message.id.as_bytes()));
        let follow = async {
            loop {
                let message = stream.next().await?;
                if shown(message.conversation.peer()) {
                    tell(&message, options, &mut last);
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
fn tell(message: &Message, options: &Options, last: &mut Option<Conversation>) {
    if options.json {
        return print::json(&to_json(message));
    }
    let conversation = &message.conversation;
    if last.as_ref() != Some(conversation) {
        let id = conversation
            .conversation_id()
            .map(|id| format!(" ({})", print::plain(id)));
        print::line(&format!("── {}{}", conversation.peer(), id.unwrap_or_default()));
        *last = Some(conversation.clone());
    }
    let who = if message.is_own() {
        "me".to_owned()
    } else {
        print::short(message.sender)
    };
    print::line(&format!(
        "{}  {who}: {}",
        bot::print_time(bot::to_utc(message.sent)),
        words::line(&message.content)
    ));
}

pub(super) fn to_json(message: &Message) -> serde_json::Value {
    let fallback = message.content.fallback();
    let text = message.content.as_text();
    serde_json::json!({
        "id": message.id.to_string(),
        "conversation": message.conversation.topic().as_str(),
        "from": message.sender.to_string(),
        "sent_ns": message.sent.as_ns().to_string(),
        "type": message.content.content_type().to_string(),
        "text": text,
        "content": words::json(&message.content),
        "fallback": fallback,
    })
}
