//! The project: where the node, the store, the chains and the upload targets of bots are, and what no bot may exceed.
//!
//! Enters: `herald.yaml`, or nothing. Leaves: a [`Project`] that is valid and complete. Bots name chains and uploads; only the
//! project knows where they are, so the same bot runs at its author's desk, in its tests and in production. What is named here
//! is the operator's and not guarded; addresses in bots are, see [`Project::fetch`].

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

use super::config::{self, Finding, Limit, NodeAddress, SecretReference};
use crate::fetch::{self, Fetch};

/// The name of a project's file.
pub const FILE: &str = "herald.yaml";

/// Everything `herald.yaml` says; `Default` is a project without a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Its file as it was named to [`Project::load`].
    pub file: Option<PathBuf>,
    /// Its name.
    pub name: Option<String>,
    /// The node of bots that name none.
    pub node: NodeAddress,
    /// The SQLite file of what bots must not forget; otherwise `herald.db` in the data folder.
    pub store: Option<PathBuf>,
    /// The chains that the file names; see [`Project::chain`].
    pub chains: BTreeMap<String, Chain>,
    /// Where files go that messages name, by the names that bots use.
    pub uploads: BTreeMap<String, Upload>,
    /// Where herald's API listens: `HOST:PORT`.
    pub listen: String,
    /// Tokens of the API beside its own, one a line; relative to the file.
    pub tokens: Option<SecretReference>,
    /// Networks that bots may ask although they are not public.
    pub allowed: Vec<IpNet>,
    /// The most rule messages that one bot writes to one wallet, whatever its rules say.
    pub recipient_limit: Limit,
}

/// A chain, and where it is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Its number (EIP-155).
    pub id: u64,
    /// Its nodes, in the order in which they are asked; without one nothing of it is known.
    pub rpc: Vec<Rpc>,
    /// How many blocks must stand on a block before its logs count.
    pub confirmations: u64,
}

/// Where a chain's node is. Its address may hold a key, and is told nobody but the node: `Debug` prints scheme and host.
#[derive(Clone, PartialEq)]
pub enum Rpc {
    /// At this address.
    Url(Url),
    /// Where a reference says, relative to the file.
    Reference(SecretReference),
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&url.origin().ascii_serialization()),
            Self::Reference(reference) => std::fmt::Debug::fmt(reference, f),
        }
    }
}

/// Where files go that messages name, and how their readers reach them.
#[derive(Debug, Clone, PartialEq)]
pub enum Upload {
    /// An S3-compatible bucket.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What the names of files begin with, without slashes around it; may be empty.
        prefix: String,
        /// The bucket's region.
        region: String,
        /// Where it is, for others than AWS.
        endpoint: Option<String>,
        /// Where the name of the access key is found.
        key: SecretReference,
        /// Where its secret is found.
        secret: SecretReference,
        /// The address below which anybody can read the files.
        public: String,
    },
    /// A folder of this machine.
    Folder {
        /// Its path.
        folder: PathBuf,
        /// The address below which anybody can read the files.
        public: String,
    },
}

impl Default for Project {
    fn default() -> Self {
        Self {
            file: None,
            name: None,
            node: NodeAddress::BuiltIn,
            store: None,
            chains: BTreeMap::new(),
            uploads: BTreeMap::new(),
            listen: "127.0.0.1:7411".to_owned(),
            tokens: None,
            allowed: Vec::new(),
            recipient_limit: Limit {
                count: 20,
                per: Duration::from_hours(24),
            },
        }
    }
}

impl Project {
    /// Reads a project file.
    ///
    /// # Errors
    /// Every finding, errors and warnings, in the order of the file, when at least one is an error.
    pub fn load(path: &Path) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        config::load_project(path)
    }

    /// The project file for what stands in a folder: there, or in the nearest folder above it.
    pub fn find(folder: &Path) -> Option<PathBuf> {
        // In the folder itself by the caller's spelling, which findings repeat.
        let own = folder.join(FILE);
        if own.is_file() {
            return Some(own);
        }
        let folder = Path::new(".").join(folder);
        let absolute = folder
            .canonicalize()
            .or_else(|_| std::path::absolute(&folder))
            .ok()?;
        let mut above = absolute.ancestors().skip(1).map(|above| above.join(FILE));
        above.find(|file| file.is_file())
    }

    /// The folder that relative paths of the file start at.
    pub fn folder(&self) -> &Path {
        self.file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
    }

    /// The number (EIP-155) of a chain: as the file says, else as everybody knows it.
    pub fn chain(&self, name: &str) -> Option<u64> {
        let own = self.chains.get(name).map(|chain| chain.id);
        own.or_else(|| chain_id(name))
    }

    /// The names of all chains.
    pub fn chain_names(&self) -> impl Iterator<Item = &str> {
        let own = self.chains.keys().map(String::as_str);
        own.chain(CHAINS.iter().map(|(name, ..)| *name))
    }

    /// The HTTP client for what bots name: public addresses, and the networks that the project allows.
    ///
    /// # Errors
    /// The client cannot be set up.
    pub fn fetch(&self) -> Result<Fetch, fetch::Error> {
        let builder = self
            .allowed
            .iter()
            .fold(Fetch::builder(), |builder, network| builder.allow(*network));
        builder.build()
    }
}

/// The number of a chain that everybody calls by this name.
pub(crate) fn chain_id(name: &str) -> Option<u64> {
    let known = CHAINS.iter().find(|(known, ..)| *known == name);
    known.map(|(_, id, _)| *id)
}

/// How many blocks must stand on a block of this chain, unless the project says otherwise.
pub(crate) fn confirmations(id: u64) -> u64 {
    let known = CHAINS.iter().find(|(_, known, _)| *known == id);
    known.map_or(CONFIRMATIONS, |(.., confirmations)| *confirmations)
}

/// For chains of which nothing is known.
const CONFIRMATIONS: u64 = 5;

/// The address of a chain's node.
pub(crate) fn rpc_url(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    (matches!(url.scheme(), "https" | "http") && url.has_host()).then_some(url)
}

/// Whether an address is one of this machine alone.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        // Readers of messages take this one alone.
        Some(url::Host::Ipv4(address)) => address == Ipv4Addr::LOCALHOST,
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Chains and their numbers, from the registry of EIP-155 (chainid.network), and how many blocks make one of theirs safe from
/// the reorganisations that are usual there: ours, a few seconds of blocks where one sequencer makes them.
const CHAINS: [(&str, u64, u64); 18] = [
    ("ethereum", 1, 3),
    ("optimism", 10, 5),
    ("bnb", 56, 8),
    ("gnosis", 100, 6),
    ("polygon", 137, 32),
    ("zksync", 324, 10),
    ("mantle", 5000, 5),
    ("base", 8453, 5),
    ("arbitrum", 42_161, 20),
    ("celo", 42_220, 5),
    ("avalanche", 43_114, 2),
    ("linea", 59_144, 5),
    ("blast", 81_457, 5),
    ("base-sepolia", 84_532, 5),
    ("scroll", 534_352, 5),
    ("zora", 7_777_777, 5),
    ("sepolia", 11_155_111, 3),
    ("optimism-sepolia", 11_155_420, 5),
];

#[cfg(test)]
mod tests;
