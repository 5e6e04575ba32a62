//! The shape of a bot's file, and of the project's: every key this release reads, each value still the text that stands there.
//!
//! Unknown keys are refused. The marks `expression`, `template` and `literal` say how a text is read later on.

use schemars::JsonSchema;
use serde::Deserialize;

use super::spanned::{Entries, OneOrMany, Raw, Spanned, Text};

pub(crate) use audience::{AudienceFile, Part, ToCsvFile, ToHoldersFile, ToSourceFile, ToSqlFile};
pub(crate) use content::{
    AttachFile, AttachedFile, ContentFile, CustomDetails, PartFile, RemoteDetails, TxDetails,
};
pub(crate) use dialog::{CommandFile, TableFile};
pub(crate) use flow::{ElseFile, FlowFile, GoFile, StateFile};
pub(crate) use policy::{
    AfterFile, CallbackFile, CanaryFile, DefaultsFile, DigestFile, FollowUpFile, LimitFile, PolicyKeys,
    RetryFile, with_policy,
};
pub(crate) use project::{ChainFile, FetchFile, FolderFile, ProjectFile, S3File, UploadFile};
pub(crate) use source::{CallFile, HttpFile, SourceFile};
pub(crate) use testing::{ExpectFile, SaidFile, StepFile, TestFile};
pub(crate) use trigger::{
    AnswerFieldFile, BodyFile, ClearedFile, EveryFile, FeedFile, LogFile, PollFile, SilentFile, TriggerFile,
    VerifyFile, WatchFile, WebhookAnswerFile, WebhookFile,
};

/// `to`.
mod audience;
/// `send`, `reply`, `welcome`, `goodbye`.
mod content;
/// `tables` and `commands`.
mod dialog;
/// `flows`.
mod flow;
/// `defaults`, and the policy of rules.
mod policy;
/// `herald.yaml`.
mod project;
/// `sources`.
mod source;
/// `tests`.
mod testing;
/// `when`.
mod trigger;

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a bot: a map of keys")]
pub(crate) struct BotFile {
    /// The version of the language: `1`.
    pub(crate) herald: Text,
    /// The bot's name. Literal.
    pub(crate) bot: Text,
    /// What the bot is for. Literal.
    pub(crate) about: Option<Text>,
    /// Where the wallet key is.
    pub(crate) identity: Spanned<IdentityFile>,
    /// The node to publish to. Literal.
    pub(crate) node: Option<Text>,
    /// What the bot's conversations say of it.
    pub(crate) profile: Option<ProfileFile>,
    /// Constants by name.
    pub(crate) vars: Option<Entries<Raw>>,
    /// Policy of all rules that do not say otherwise.
    #[serde(default)]
    pub(crate) defaults: DefaultsFile,
    /// Places on the web and contracts that are read, by name.
    #[serde(default)]
    pub(crate) sources: Entries<SourceFile>,
    /// Lists of members by name.
    #[serde(default)]
    pub(crate) lists: Entries<ListFile>,
    /// Rows that people own, by the name of their table.
    #[serde(default)]
    pub(crate) tables: Entries<TableFile>,
    /// Rules by name.
    #[serde(default)]
    pub(crate) rules: Entries<RuleFile>,
    /// Commands by declaration.
    #[serde(default)]
    pub(crate) commands: Entries<CommandFile>,
    /// Conversations with states, by name.
    #[serde(default)]
    pub(crate) flows: Entries<FlowFile>,
    /// What is answered to a text that nothing else takes.
    pub(crate) fallback: Option<ContentFile>,
    /// What the bot does, shown on a clock of its own.
    #[serde(default)]
    pub(crate) tests: Vec<Spanned<TestFile>>,
}

/// `identity`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a reference like `env:NAME`, `{ keystore, passphrase }` or `{ mnemonic, path }`")]
pub(crate) enum IdentityFile {
    /// A reference to a key. Literal.
    #[serde(rename = "$text")]
    Reference(Text),
    /// A keystore and where its passphrase is.
    #[serde(rename = "keystore")]
    Keystore(KeystoreFile),
    /// A mnemonic and which of its keys.
    #[serde(rename = "mnemonic")]
    Mnemonic(MnemonicFile),
}

/// `identity: { keystore, passphrase }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a keystore: a map of keys")]
pub(crate) struct KeystoreFile {
    /// A path. Literal.
    pub(crate) keystore: Text,
    /// A reference to a secret. Literal.
    pub(crate) passphrase: Text,
}

/// `identity: { mnemonic, path }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mnemonic: a map of keys")]
pub(crate) struct MnemonicFile {
    /// A reference to the words. Literal.
    pub(crate) mnemonic: Text,
    /// A derivation path. Literal.
    pub(crate) path: Option<Text>,
}

/// `profile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a profile: a map of keys")]
pub(crate) struct ProfileFile {
    /// The bot's name for people. Literal.
    pub(crate) name: Option<Text>,
    /// The https address of a picture. Literal.
    pub(crate) image: Option<Text>,
    /// `#rrggbb`. Literal.
    pub(crate) color: Option<Text>,
}

/// An entry of `lists`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a list: a map of keys")]
pub(crate) struct ListFile {
    /// Declarations of the commands that join. Literals.
    pub(crate) join: Option<OneOrMany<Text>>,
    /// Words that leave, beside the standard ones. Literals.
    #[serde(default)]
    pub(crate) leave: Vec<Text>,
    /// What is kept of a member, by name.
    #[serde(default)]
    pub(crate) fields: Entries<FieldFile>,
    /// What a join by web, command line or import needs: `none` or `signature`. Literal.
    pub(crate) confirm: Option<Text>,
    /// Sent to who joins.
    pub(crate) welcome: Option<ContentFile>,
    /// Sent to who leaves.
    pub(crate) goodbye: Option<ContentFile>,
}

/// An entry of `fields`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a type, or `{ type, default, min, max }`")]
pub(crate) enum FieldFile {
    /// A type. Literal.
    #[serde(rename = "$text")]
    Type(Text),
    /// A type and more.
    #[serde(rename = "$map")]
    Details(FieldDetails),
}

/// `{ type, default, min, max }`; what a join command says already may be left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a field: a map of keys")]
pub(crate) struct FieldDetails {
    /// A type. Literal.
    #[serde(rename = "type")]
    pub(crate) ty: Option<Text>,
    /// A value of the type. Literal.
    pub(crate) default: Option<Raw>,
    /// The least value. Literal.
    pub(crate) min: Option<Text>,
    /// The greatest value. Literal.
    pub(crate) max: Option<Text>,
}

with_policy! {
    /// An entry of `rules`.
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, expecting = "a rule: a map of keys")]
    pub(crate) struct RuleFile {
        /// What makes it fire.
        pub(crate) when: OneOrMany<TriggerFile>,
        /// Whether an occurrence counts. Expression.
        #[serde(rename = "if")]
        pub(crate) condition: Option<Text>,
        /// Names for values that the rest of the rule uses; a later one may use those before it. Expressions.
        #[serde(default, rename = "let")]
        pub(crate) lets: Entries<String>,
        /// To whom.
        pub(crate) to: Spanned<AudienceFile>,
        /// What is sent.
        pub(crate) send: ContentFile,
        /// What the rule is for. Literal.
        pub(crate) about: Option<Text>,
        /// `true` keeps it from firing. Literal.
        pub(crate) paused: Option<Text>,
    }
}
