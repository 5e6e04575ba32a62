//! The shape of a bot's file: every key this release reads, each value still the text that stands there.
//!
//! Unknown keys are refused. The marks `expression`, `template` and `literal` say how a text is read later on.

use serde::Deserialize;

use super::spanned::{Entries, OneOrMany, Raw, Spanned, Text};

/// The whole file.
#[derive(Debug, Deserialize)]
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
    /// Constants by name.
    pub(crate) vars: Option<Entries<Raw>>,
    /// Policy of all rules that do not say otherwise.
    #[serde(default)]
    pub(crate) defaults: DefaultsFile,
    /// Lists of members by name.
    #[serde(default)]
    pub(crate) lists: Entries<ListFile>,
    /// Rules by name.
    #[serde(default)]
    pub(crate) rules: Entries<RuleFile>,
    /// Commands by declaration.
    #[serde(default)]
    pub(crate) commands: Entries<CommandFile>,
}

/// `identity`.
#[derive(Debug, Deserialize)]
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a keystore: a map of keys")]
pub(crate) struct KeystoreFile {
    /// A path. Literal.
    pub(crate) keystore: Text,
    /// A reference to a secret. Literal.
    pub(crate) passphrase: Text,
}

/// `identity: { mnemonic, path }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mnemonic: a map of keys")]
pub(crate) struct MnemonicFile {
    /// A reference to the words. Literal.
    pub(crate) mnemonic: Text,
    /// A derivation path. Literal.
    pub(crate) path: Option<Text>,
}

/// `defaults`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "defaults: a map of policy keys")]
pub(crate) struct DefaultsFile {
    /// Expressions.
    pub(crate) key: Option<OneOrMany<Text>>,
    /// A duration. Literal.
    pub(crate) ttl: Option<Text>,
    /// `N/T`. Literal.
    pub(crate) limit: Option<LimitFile>,
    /// A word of a closed set. Literal.
    pub(crate) consent: Option<Text>,
}

/// `limit`.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a limit like `1/day`")]
pub(crate) enum LimitFile {
    /// Per recipient. Literal.
    #[serde(rename = "$text")]
    Recipient(Text),
}

/// An entry of `lists`.
#[derive(Debug, Deserialize)]
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
    /// Sent to who joins.
    pub(crate) welcome: Option<ContentFile>,
    /// Sent to who leaves.
    pub(crate) goodbye: Option<ContentFile>,
}

/// An entry of `fields`.
#[derive(Debug, Deserialize)]
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
#[derive(Debug, Deserialize)]
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

/// An entry of `rules`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rule: a map of keys")]
pub(crate) struct RuleFile {
    /// What makes it fire.
    pub(crate) when: OneOrMany<TriggerFile>,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
    /// To whom.
    pub(crate) to: AudienceFile,
    /// What is sent.
    pub(crate) send: ContentFile,
    /// What the rule is for. Literal.
    pub(crate) about: Option<Text>,
    /// `true` keeps it from firing. Literal.
    pub(crate) paused: Option<Text>,
    /// Expressions.
    pub(crate) key: Option<OneOrMany<Text>>,
    /// A duration. Literal.
    pub(crate) ttl: Option<Text>,
    /// `N/T`. Literal.
    pub(crate) limit: Option<LimitFile>,
    /// A word of a closed set. Literal.
    pub(crate) consent: Option<Text>,
}

/// A trigger, told by its key.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase", expecting = "a trigger like `{ every: 10m }`")]
pub(crate) enum TriggerFile {
    Cron(CronFile),
    Webhook(WebhookFile),
    Message(MessageFile),
    Joined(JoinedFile),
    Started(StartedFile),
    Manual(ManualFile),
    At(AtFile),
    Every(EveryFile),
}

/// `cron` in a zone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a cron trigger: a map of keys")]
pub(crate) struct CronFile {
    /// Five fields. Literal.
    pub(crate) cron: Text,
    /// A time zone; UTC if left out. Literal.
    pub(crate) tz: Option<Text>,
}

/// `every`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an interval: a map of keys")]
pub(crate) struct EveryFile {
    /// A duration. Literal.
    pub(crate) every: Text,
}

/// `at`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an instant: a map of keys")]
pub(crate) struct AtFile {
    /// An instant, or with `tz` a local time. Literal.
    pub(crate) at: Text,
    /// A time zone. Literal.
    pub(crate) tz: Option<Text>,
}

/// `webhook`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a webhook: a map of keys")]
pub(crate) struct WebhookFile {
    /// A path. Literal.
    pub(crate) webhook: Text,
    /// How requests are checked.
    pub(crate) verify: Spanned<VerifyFile>,
    /// Types of the body's fields.
    pub(crate) body: Option<Entries<BodyFile>>,
}

/// `verify`.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`{ scheme: standard-webhooks, secret: env:NAME }`"
)]
pub(crate) struct VerifyFile {
    /// A word of a closed set. Literal.
    pub(crate) scheme: Text,
    /// A reference to a secret. Literal.
    pub(crate) secret: Option<Text>,
    /// A duration. Literal.
    pub(crate) tolerance: Option<Text>,
}

/// A field of a webhook's body.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a type, or a map of fields and their types")]
pub(crate) enum BodyFile {
    /// A type. Literal.
    #[serde(rename = "$text")]
    Type(Text),
    /// A record.
    #[serde(rename = "$map")]
    Record(Entries<BodyFile>),
}

/// `message`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a message trigger: a map of keys")]
pub(crate) struct MessageFile {
    /// `any`, or words separated by `|`. Literal.
    pub(crate) message: Text,
}

/// `joined`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a joined trigger: a map of keys")]
pub(crate) struct JoinedFile {
    /// A list's name. Literal.
    pub(crate) joined: Text,
}

/// `started`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a started trigger: a map of keys")]
pub(crate) struct StartedFile {
    /// `true`. Literal.
    pub(crate) started: Text,
}

/// `manual`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a manual trigger: a map of keys")]
pub(crate) struct ManualFile {
    /// `true`. Literal.
    pub(crate) manual: Text,
}

/// `to`, told by its key.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a list's name, or one of `{ list }`, `{ wallet }`, `{ wallets }`")]
pub(crate) enum AudienceFile {
    /// A list's name. Literal.
    #[serde(rename = "$text")]
    Name(Text),
    #[serde(rename = "list")]
    List(ToListFile),
    #[serde(rename = "wallet")]
    Wallet(ToWalletFile),
    #[serde(rename = "wallets")]
    Wallets(ToWalletsFile),
}

/// `{ list }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToListFile {
    /// A list's name. Literal.
    pub(crate) list: Text,
}

/// `{ wallet }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToWalletFile {
    /// Expression.
    pub(crate) wallet: Text,
}

/// `{ wallets }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an audience: a map of keys")]
pub(crate) struct ToWalletsFile {
    /// Expressions.
    pub(crate) wallets: OneOrMany<Text>,
}

/// `send`, `reply`, `welcome`, `goodbye`.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a text, a part like `{ text }`, or a list of parts")]
pub(crate) enum ContentFile {
    /// Template.
    #[serde(rename = "$text")]
    Template(Text),
    #[serde(rename = "$many")]
    Parts(Vec<PartFile>),
    #[serde(rename = "text")]
    Text(TextFile),
}

/// An item of a list of parts.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a part like `{ text }`")]
pub(crate) enum PartFile {
    #[serde(rename = "text")]
    Text(TextFile),
}

/// `{ text, if }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a part: a map of keys")]
pub(crate) struct TextFile {
    /// Template.
    pub(crate) text: Text,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
}

/// An entry of `commands`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a command: a map of keys")]
pub(crate) struct CommandFile {
    /// What `/help` says of it. Literal.
    pub(crate) about: Option<Text>,
    /// Expression.
    #[serde(rename = "if")]
    pub(crate) condition: Option<Text>,
    /// What is answered.
    pub(crate) reply: ContentFile,
}
