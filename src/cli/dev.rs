//! `herald dev`: bots, a node and a test wallet that joins their lists; its inbox is shown as that wallet decrypts it.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use clap::Args;
use herald_protocol::{address::Address, wallet::WalletKey};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Failure, Options, bots, inbox, keys, print,
    run::{AllAddresses, Run, Stage, tell},
    signals, words,
};
use crate::{
    bot::{
        self, Bots, Event, Kind, Started,
        config::{Bot, SecretReference},
    },
    client::{Client, NodeAddress, keystore},
};

/// Runs bots with what is needed to see them work: missing keys are made.
#[derive(Args, Debug)]
pub(super) struct Dev {
    #[command(flatten)]
    run: Run,
}

/// How long the test wallet waits for its memberships before the announcements begin.
const JOINING: Duration = Duration::from_secs(15);

impl Dev {
    pub(super) async fn execute(self, options: &Options) -> anyhow::Result<()> {
        let mut wallets = Vec::new();
        let (bots, project) = bots::load(&self.run.paths, options, bots::Identities::AreMade)?;
        for bot in bots {
            let wallet = wallet_of(&bot, options)?;
            wallets.push((bot, wallet));
        }
        let tester = made_or_read(
            &keys::folder(options).join("test-wallet.key"),
            "the test wallet",
            options,
        )?;
        let shutdown = CancellationToken::new();
        let signalled = signals::cancel_on_signal(shutdown.clone())?;
        let stage = Stage::set(
            &self.run,
            (wallets, project),
            Started::OnCall,
            (options, &shutdown),
        )
        .await?;
        let Stage {
            house,
            bots,
            events,
            addresses,
        } = stage;
        if !options.json {
            introduce(&addresses, tester.address());
        }
        let (ready, is_ready) = watch::channel(0);
        let talk = talk(events, &addresses, (options, &ready));
        let audience = Audience {
            tester,
            bots,
            addresses: &addresses,
            options,
            ready: is_ready,
        };
        let audience = async {
            tokio::select! {
                outcome = audience.attend() => outcome,
                () = shutdown.cancelled() => Ok(()),
            }
        };
        let audience = async {
            let outcome = audience.await;
            // A test wallet that cannot read shows nothing, which is what this command is for.
            if outcome.is_err() {
                shutdown.cancel();
            }
            outcome
        };
        let (lived, (), attended, ()) = tokio::join!(house.live(shutdown.clone()), talk, audience, signalled);
        attended?;
        lived
    }
}

/// Prints events, and counts the bots that are ready.
async fn talk(
    mut events: mpsc::Receiver<Event>,
    addresses: &AllAddresses,
    (options, ready): (&Options, &watch::Sender<usize>),
) {
    while let Some(event) = events.recv().await {
        tell(&event, addresses, options);
        if event.event == Kind::Ready {
            ready.send_modify(|ready| *ready += 1);
        }
    }
}

fn introduce(addresses: &AllAddresses, tester: Address) {
    let lines = [
        (
            "node, HTTP (XMTP JavaScript clients with env \"local\")",
            addresses.http.as_ref().map(|at| format!("http://{at}")),
        ),
        (
            "node, gRPC",
            addresses.grpc.as_ref().map(|at| format!("grpc://{at}")),
        ),
        ("herald API", Some(format!("http://{}", addresses.api))),
        ("test wallet", Some(tester.to_string())),
    ];
    for (what, at) in lines {
        if let Some(at) = at {
            print::line(&format!("{what:<55} {at}"));
        }
    }
}

/// The test wallet and the bots it listens to.
struct Audience<'a> {
    tester: WalletKey,
    bots: Bots,
    addresses: &'a AllAddresses,
    options: &'a Options,
    /// How many bots are ready.
    ready: watch::Receiver<usize>,
}

impl Audience<'_> {
    /// Joins every list, lets `started` rules fire, and shows what arrives.
    async fn attend(mut self) -> anyhow::Result<()> {
        let Some(grpc) = &self.addresses.grpc else {
            print::talk("no bot uses the built-in node, so there is no test wallet");
            self.bots.fire_started().await?;
            return std::future::pending().await;
        };
        let count = self.bots.list().len();
        let ready = self.ready.wait_for(|ready| *ready == count).await;
        ready.map_err(|_| anyhow::anyhow!("the bots ended"))?;
        let from = crate::clock::now();
        let client = Client::builder(self.tester.clone(), NodeAddress::plain(grpc))
            .connect()
            .await?;
        let joins = self.join(&client).await?;
        if tokio::time::timeout(JOINING, self.until_handled(&joins))
            .await
            .is_err()
        {
            print::talk(
                "the test wallet has not joined every list yet; its inbox may miss the first announcements",
            );
        }
        self.bots.fire_started().await?;
        let mut stream = client.stream_all_messages(from);
        loop {
            let message = stream.next().await?;
            if !message.is_own() && message.sent >= from {
                self.show(&message);
            }
        }
    }

    /// Sends each list's join command. Gives the messages by bot.
    async fn join(&self, client: &Client) -> anyhow::Result<Vec<(String, [u8; 32])>> {
        let mut joins = Vec::new();
        for (bot, address) in self.bots.list() {
            for list in bot.lists.values() {
                let Some(declaration) = list.join.first() else {
                    continue;
                };
                let text = declaration.text();
                if declaration
                    .arguments()
                    .iter()
                    .any(|argument| !argument.is_optional())
                {
                    let place = format!("{}/{}", bot.name, list.name);
                    print::talk(&format!(
                        "the test wallet does not join {place}: `{text}` needs arguments"
                    ));
                    continue;
                }
                let word = text.split_whitespace().next().unwrap_or_default();
                let sent = client.send(address, word).await?;
                joins.push((bot.name.clone(), *sent.message_id().as_bytes()));
            }
        }
        Ok(joins)
    }

    /// Waits until the bots have dealt with the messages.
    async fn until_handled(&self, joins: &[(String, [u8; 32])]) -> anyhow::Result<()> {
        for (bot, message) in joins {
            while !self.bots.has_handled(bot, *message).await? {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    fn show(&self, message: &crate::client::Message) {
        if self.options.json {
            let mut json = inbox::to_json(message);
            if let Some(json) = json.as_object_mut() {
                json.insert("event".to_owned(), "inbox".into());
            }
            return print::json(&json);
        }
        let time = bot::to_utc(message.sent).format("%H:%M:%S");
        let from = self.bots.name_of(message.sender);
        let from = from.unwrap_or_else(|| print::short(message.sender));
        print::line(&format!(
            "{time} inbox       {from}: {}",
            words::line(&message.content)
        ));
    }
}

/// The bot's wallet; one that has no key yet gets one under the data folder, and that is said.
fn wallet_of(bot: &Bot, options: &Options) -> anyhow::Result<WalletKey> {
    match bot::resolve_identity(bot) {
        Err(error) if error.is_missing() => {
            let path = keys::folder(options).join(format!("{}.key", bot.name));
            made_or_read(&path, &format!("bot `{}`", bot.name), options)
        }
        resolved => Ok(resolved.map_err(|error| Failure::Usage(error.into()))?),
    }
}

fn made_or_read(path: &Path, whose: &str, options: &Options) -> anyhow::Result<WalletKey> {
    use secrecy::ExposeSecret as _;
    if !path.exists() {
        keys::write_private(
            path,
            &zeroize::Zeroizing::new(const_hex::encode(keys::random_secret()?.as_slice())),
        )?;
        print::talk(&format!(
            "made a key for {whose}: {} (keep the folder {})",
            path.display(),
            options.data().display()
        ));
    }
    let absolute = std::path::absolute(path)?;
    let text = SecretReference::File(absolute)
        .resolve(Path::new("/"))
        .map_err(|error| Failure::Usage(error.into()))?;
    keystore::read(text.expose_secret(), None).with_context(|| format!("the key of {whose}"))
}
