//! Wallets by number, with the same keys in every run.

use std::{path::Path, thread};

use herald::{
    bot::{
        self, Event, Launch, Shared,
        config::{self, Bot},
        project::Project,
        store::Store,
    },
    client::{Cache, NodeAddress, WalletKey},
};
use herald_protocol::{
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    ciphertext::Entropy,
    key::PrivateKey,
    key_bundle::SealedKeyBundle,
    proto::api::Envelope,
    time::TimestampNs,
    topic::Topic,
    wallet,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::Error;

/// The key of wallet `number`.
pub(crate) fn wallet(number: u32) -> Result<WalletKey, Error> {
    Ok(WalletKey::from_bytes(&secret("wallet", number))?)
}

/// Its XMTP keys.
pub(crate) fn identity(number: u32) -> Result<PrivateKeyBundle, Error> {
    let wallet = wallet(number)?;
    let key = |what| PrivateKey::from_bytes(&secret(what, number));
    let unsigned = UnsignedIdentity::legacy(key("identity")?, BORN);
    let signature = wallet.sign_text(&unsigned.text());
    Ok(unsigned.signed(wallet.address(), &signature, key("pre-key")?, BORN)?)
}

/// The envelope by which a node has the wallet's keys.
pub(crate) fn stored_identity(number: u32) -> Result<Envelope, Error> {
    let (wallet, wallet_pre_key) = (wallet(number)?, secret("wallet pre-key", number));
    let signature = wallet.sign_text(&wallet::enable_identity_text(&wallet_pre_key));
    let entropy = Entropy::from_bytes([8; 44]);
    let sealed = SealedKeyBundle::seal(&identity(number)?, wallet_pre_key, &signature, entropy)?;
    Ok(Envelope {
        content_topic: Topic::private_store(wallet.address()).into(),
        timestamp_ns: BORN.as_ns(),
        message: sealed.encode().into(),
    })
}

/// A bot of the wallet at a node.
pub(crate) fn launch(bot: Bot, number: u32, node: NodeAddress) -> Result<Launch, Error> {
    Ok(Launch {
        bot,
        wallet: wallet(number)?,
        node,
        network: None,
    })
}

/// The bot of `bot.yaml` in a folder, what it lives with, its stores in `data`, and what it tells.
pub(crate) fn bot_in(folder: &Path) -> Result<(Bot, Shared, mpsc::Receiver<Event>), Error> {
    let loaded = config::load(&folder.join("bot.yaml"));
    let (bot, _) = loaded.map_err(|found| found.iter().map(ToString::to_string).collect::<String>())?;
    let (sender, events) = bot::events();
    let stores = (
        Store::open(&folder.join("data").join("herald.db"))?,
        Cache::open(&folder.join("data").join("client.db"))?,
    );
    let shared = Shared::of(Project::default(), stores, herald::clock::now.into(), sender)?;
    Ok((bot, shared, events))
}

/// A node that is not there.
pub(crate) fn nowhere() -> NodeAddress {
    NodeAddress::plain("127.0.0.1:1")
}

/// A client of the wallet; when its keys are not on the node it gets new ones.
pub(crate) async fn connect(number: u32, node: NodeAddress) -> Result<herald::client::Client, Error> {
    let builder = herald::client::Client::builder(wallet(number)?, node);
    Ok(builder.connect().await?)
}

/// Does something with every number below `count`, on all cores. In order.
pub(crate) fn each<T: Send>(
    count: u32,
    work: impl Fn(u32) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let cores = thread::available_parallelism()?.get();
    let part = count.div_ceil(u32::try_from(cores)?);
    thread::scope(|scope| {
        let part_of = |first: u32| {
            let work = &work;
            scope.spawn(move || {
                let numbers = first..count.min(first.saturating_add(part));
                numbers.map(work).collect::<Result<Vec<T>, Error>>()
            })
        };
        let firsts = (0..count).step_by(part as usize);
        let parts: Vec<_> = firsts.map(part_of).collect();
        let mut all = Vec::with_capacity(count as usize);
        for part in parts {
            all.extend(part.join().map_err(|_| "a thread panicked")??);
        }
        Ok(all)
    })
}

fn secret(what: &str, number: u32) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(number.to_be_bytes());
    hash.finalize().into()
}

/// Before everything that is measured.
const BORN: TimestampNs = TimestampNs::from_ns(1_700_000_000_000_000_000);
