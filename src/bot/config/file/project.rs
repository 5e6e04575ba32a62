//! The shape of `herald.yaml`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::bot::config::spanned::{Entries, OneOrMany, Text};

/// The whole project file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a project: a map of keys")]
pub(crate) struct ProjectFile {
    /// The version of the language: `1`.
    pub(crate) herald: Text,
    /// The project's name. Literal.
    pub(crate) project: Option<Text>,
    /// The node of bots that name none. Literal.
    pub(crate) node: Option<Text>,
    /// Where bots keep what they must not forget. Literal.
    pub(crate) store: Option<Text>,
    /// Chains by the name that bots call them.
    #[serde(default)]
    pub(crate) chains: Entries<ChainFile>,
    /// Upload targets by the name that bots call them.
    #[serde(default)]
    pub(crate) uploads: Entries<UploadFile>,
    /// herald's own HTTP API.
    #[serde(default)]
    pub(crate) api: ApiFile,
    /// What bots may ask.
    #[serde(default)]
    pub(crate) fetch: FetchFile,
    /// What no bot may exceed.
    #[serde(default)]
    pub(crate) limits: LimitsFile,
}

/// An entry of `chains`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a chain: a map of keys")]
pub(crate) struct ChainFile {
    /// The chain's number (EIP-155). Literal.
    pub(crate) id: Option<Text>,
    /// Its nodes, asked in this order: URLs, or references to URLs. Literals.
    pub(crate) rpc: Option<OneOrMany<Text>>,
    /// How many blocks must stand on a block before its logs count. Literal.
    pub(crate) confirmations: Option<Text>,
}

/// An entry of `uploads`, told by its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "an upload target like `{ s3, public, key, secret }` or `{ folder, public }`")]
pub(crate) enum UploadFile {
    #[serde(rename = "s3")]
    S3(S3File),
    #[serde(rename = "folder")]
    Folder(FolderFile),
}

/// `{ s3, public, key, secret, endpoint, region }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a bucket: a map of keys")]
pub(crate) struct S3File {
    /// `BUCKET` or `BUCKET/PREFIX`. Literal.
    pub(crate) s3: Text,
    /// The address below which anybody can read the files. Literal.
    pub(crate) public: Text,
    /// A reference to the name of the access key. Literal.
    pub(crate) key: Text,
    /// A reference to the secret of the access key. Literal.
    pub(crate) secret: Text,
    /// Where the bucket is, for others than AWS. Literal.
    pub(crate) endpoint: Option<Text>,
    /// The bucket's region. Literal.
    pub(crate) region: Option<Text>,
}

/// `{ folder, public }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a folder: a map of keys")]
pub(crate) struct FolderFile {
    /// A path. Literal.
    pub(crate) folder: Text,
    /// The address below which anybody can read the files. Literal.
    pub(crate) public: Text,
}

/// `api`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "the API: a map of keys")]
pub(crate) struct ApiFile {
    /// `HOST:PORT`. Literal.
    pub(crate) listen: Option<Text>,
    /// A reference to tokens, one a line. Literal.
    pub(crate) tokens: Option<Text>,
}

/// `fetch`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map of keys")]
pub(crate) struct FetchFile {
    /// Networks like `10.0.0.0/8`. Literals.
    pub(crate) allow: Option<OneOrMany<Text>>,
}

/// `limits`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "limits: a map of keys")]
pub(crate) struct LimitsFile {
    /// `N/T`: a bot's rule messages to one wallet. Literal.
    pub(crate) recipient: Option<Text>,
}
