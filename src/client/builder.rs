//! How a client comes to be.

use std::sync::{Arc, Mutex};

use herald_protocol::{time::TimestampNs, wallet::WalletKey};

use super::{
    Api, Cache, Client, Error, Inner, NodeAddress, cache::Account, contacts::Contacts,
    conversations::Conversations, identity,
};

/// What a client is made from; see [`Client::builder`].
#[derive(Debug)]
pub struct Builder {
    wallet: WalletKey,
    node: NodeAddress,
    cache: Option<Cache>,
    network: Option<String>,
    clock: fn() -> TimestampNs,
}

impl Client {
    /// A client of this wallet at this node.
    pub fn builder(wallet: WalletKey, node: NodeAddress) -> Builder {
        Builder {
            wallet,
            node,
            cache: None,
            network: None,
            clock: crate::clock::now,
        }
    }
}

impl Builder {
    /// Keeps conversations in this cache; without one they are read from the network at every start.
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Names the network the node belongs to, when its address alone does not: what is cached is kept by network.
    #[must_use]
    pub fn network(mut self, network: impl Into<String>) -> Self {
        self.network = Some(network.into());
        self
    }

    /// Uses another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: fn() -> TimestampNs) -> Self {
        self.clock = clock;
        self
    }

    /// Loads the wallet's keys from the network or makes them, publishes its contact, and reads its conversations.
    pub async fn connect(self) -> Result<Client, Error> {
        let network = self.network.unwrap_or_else(|| self.node.to_string());
        let api = Api::new(self.node)?;
        let (keys, new_identity) = identity::load_or_create(&api, &self.wallet, self.clock).await?;
        let cache = self.cache.map_or_else(Cache::in_memory, Ok)?;
        let account = Account {
            network,
            wallet: self.wallet.address(),
        };
        if new_identity {
            cache.forget(&account)?;
        }
        let client = Client {
            inner: Arc::new(Inner {
                api,
                address: self.wallet.address(),
                conversations: Conversations::new(cache, account, &keys),
                keys: Arc::new(keys),
                clock: self.clock,
                token: Mutex::new(None),
                contacts: Contacts::default(),
                new_identity,
            }),
        };
        client.publish_contact().await?;
        client.load_conversations().await?;
        Ok(client)
    }
}
