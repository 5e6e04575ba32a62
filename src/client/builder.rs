//! How a client comes to be.

use std::sync::{Arc, Mutex, OnceLock, RwLock};

use herald_protocol::{bundle::PrivateKeyBundle, time::Clock};

use super::{
    Cache, Client, Error, Inner, KeyStorage, NodeAddress,
    cache::Account,
    consent::Consent,
    contacts::Contacts,
    dropped::{Dropped, Observer},
    identity::Identity,
    known::Conversations,
    seen::Seen,
    signer::Signer,
    switchboard::Switchboard,
};
use crate::fetch::Fetch;

/// Own messages that may be between the publish and the stream at once: a second of a broadcast, and half a megabyte.
const SENT: usize = 8_192;

/// What a client is made from; see [`Client::builder`].
pub struct Builder {
    identity: Identity,
    keys: Option<PrivateKeyBundle>,
    node: NodeAddress,
    cache: Option<Cache>,
    network: Option<String>,
    clock: Clock,
    observer: Option<Observer>,
    fetch: Option<Fetch>,
    switchboard: Switchboard,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("identity", &self.identity)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the wallet that this signer signs for, at this node.
    pub fn builder(signer: impl Signer + 'static, node: NodeAddress) -> Builder {
        Builder::new(Identity::of_signer(Arc::new(signer)), node)
    }

    /// A client of exported keys (see [`Client::export_keys`]) whose wallet is not at hand: it reads and writes everything that
    /// the keys open (see [`Builder::keys`]), and cannot do what the wallet has to sign, such as a rotation.
    pub fn builder_from_keys(keys: PrivateKeyBundle, node: NodeAddress) -> Builder {
        Builder::new(Identity::of_keys(&keys), node).keys(keys)
    }
}

impl Builder {
    fn new(identity: Identity, node: NodeAddress) -> Self {
        Self {
            identity,
            keys: None,
            node,
            cache: None,
            network: None,
            clock: crate::clock::now.into(),
            observer: None,
            fetch: None,
            switchboard: Switchboard::default(),
        }
    }

    /// Keeps the wallet's keys there; on the network unless said otherwise.
    #[must_use]
    pub fn key_storage(mut self, storage: KeyStorage) -> Self {
        self.identity = self.identity.stored_in(storage);
        self
    }

    /// Starts with exported keys: none are looked for or stored, and the wallet signs nothing. Keys of another wallet are
    /// refused when the client connects.
    ///
    /// Keys that were exported before a rotation stay without the pre-keys that came later. A client of such keys leaves the
    /// wallet's newer contact as it is, and cannot read conversations that others open to it.
    #[must_use]
    pub fn keys(mut self, keys: PrivateKeyBundle) -> Self {
        self.keys = Some(keys);
        self
    }

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

    /// Reaches the node through this, which clients share: they have one connection to it, and one stream.
    #[must_use]
    pub fn switchboard(mut self, switchboard: &Switchboard) -> Self {
        self.switchboard = switchboard.clone();
        self
    }

    /// Asks for remote attachments through this; without it through one that reaches public addresses only.
    #[must_use]
    pub fn fetch(mut self, fetch: Fetch) -> Self {
        self.fetch = Some(fetch);
        self
    }

    /// Calls this for each thing that is left out because it breaks a rule. Keep it short: it runs where messages are opened.
    #[must_use]
    pub fn on_dropped(mut self, observer: impl Fn(&Dropped<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Uses another clock than the system's: a function, or a [`Clock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The wallet's keys, when it has some already. Nothing is made, written or published.
    pub async fn load_keys(&self) -> Result<Option<PrivateKeyBundle>, Error> {
        match &self.keys {
            Some(keys) => Ok(Some(self.identity.own(keys.clone())?)),
            None => {
                self.identity
                    .load(&self.switchboard.line(&self.node)?.api())
                    .await
            }
        }
    }

    /// Loads the wallet's keys or makes and keeps them, publishes its contact, and reads its conversations.
    ///
    /// A wallet with keys signs one text, or two when its keys are stored in an older form or are taken over into a file; a new
    /// one signs two (three when its signer may not be deterministic). When another client stores keys while the wallet is
    /// asked, it is asked for these as well.
    pub async fn connect(mut self) -> Result<Client, Error> {
        let network = self.network.unwrap_or_else(|| self.node.to_string());
        let line = self.switchboard.line(&self.node)?;
        let api = line.api();
        let (keys, new_identity) = match self.keys.take() {
            Some(keys) => (self.identity.own(keys)?, false),
            None => Box::pin(self.identity.load_or_create(&api, &self.clock)).await?,
        };
        let cache = self.cache.map_or_else(Cache::in_memory, Ok)?;
        let account = Account {
            network,
            wallet: self.identity.address(),
        };
        if new_identity {
            cache.forget(&account)?;
        }
        let client = Client {
            inner: Arc::new(Inner {
                api,
                line,
                address: self.identity.address(),
                identity: self.identity,
                conversations: Conversations::new(cache, account, &keys),
                consent: Consent::new(&keys),
                keys: RwLock::new(Arc::new(keys)),
                clock: self.clock,
                token: Mutex::new(None),
                contacts: Contacts::default(),
                sent: Arc::new(Mutex::new(Seen::of(SENT))),
                observer: self.observer,
                fetch: self.fetch.map_or_else(OnceLock::new, OnceLock::from),
                new_identity,
            }),
        };
        Box::pin(client.publish_contact()).await?;
        Box::pin(client.load_conversations()).await?;
        Box::pin(client.load_consent()).await?;
        Ok(client)
    }
}
