//! The shape of `flows`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::ContentFile;
use crate::bot::config::spanned::{Entries, OneOrMany, Spanned, Text};

/// An entry of `flows`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a flow: `{ when, start, states }`")]
pub(crate) struct FlowFile {
    /// What starts it.
    pub(crate) when: FlowWhenFile,
    /// The state it starts in. Literal.
    pub(crate) start: Text,
    /// How long it waits for the next message: a duration. Literal.
    pub(crate) idle: Option<Text>,
    /// States by name.
    pub(crate) states: Entries<StateFile>,
}

/// `when` of a flow.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "what starts it: `{ message: any }`")]
pub(crate) struct FlowWhenFile {
    /// `any`, or words like `help | question`. Literal.
    pub(crate) message: Text,
}

/// An entry of `states`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a state: a map of keys")]
pub(crate) struct StateFile {
    /// Names for values that the rest of the state uses. Expressions.
    #[serde(default, rename = "let")]
    pub(crate) lets: Entries<String>,
    /// What is said on the way in.
    pub(crate) say: Option<ContentFile>,
    /// The name and type of the answer it waits for. Literal.
    pub(crate) ask: Option<Spanned<Entries<String>>>,
    /// Where it goes.
    pub(crate) go: Option<GoFile>,
    /// What becomes of a message that does not fit.
    #[serde(rename = "else")]
    pub(crate) otherwise: Option<ElseFile>,
    /// When people are there: `mon-fri 09:00-18:00 Europe/Lisbon`. Literal.
    pub(crate) hours: Option<Text>,
    /// What is said outside of these hours.
    pub(crate) closed: Option<ContentFile>,
    /// Who takes over.
    pub(crate) forward: Option<ForwardFile>,
    /// Who does when nobody answered.
    pub(crate) escalate: Option<EscalateFile>,
    /// `true`: the flow ends here. Literal.
    pub(crate) end: Option<Text>,
}

/// `go`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(expecting = "a state, or a map from words to states")]
pub(crate) enum GoFile {
    /// A state's name. Literal.
    #[serde(rename = "$text")]
    To(Text),
    /// States by the words that lead there. Literals.
    #[serde(rename = "$map")]
    By(Entries<String>),
}

/// `else`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ say, tries, go }`")]
pub(crate) struct ElseFile {
    /// What is said.
    pub(crate) say: Option<ContentFile>,
    /// The number of the miss that goes on. Literal.
    pub(crate) tries: Option<Text>,
    /// The state it goes to. Literal.
    pub(crate) go: Option<Text>,
}

/// `forward`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ wallets, claim, transcript }`")]
pub(crate) struct ForwardFile {
    /// Wallets, or lists of them. Expressions.
    pub(crate) wallets: OneOrMany<Text>,
    /// `true`: the first to answer owns it. Literal.
    pub(crate) claim: Option<Text>,
    /// How many messages before it are shown. Literal.
    pub(crate) transcript: Option<Text>,
}

/// `escalate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "`{ after, wallets, post }`")]
pub(crate) struct EscalateFile {
    /// How long nobody answered: a duration. Literal.
    pub(crate) after: Text,
    /// Wallets, or lists of them. Expressions.
    pub(crate) wallets: Option<OneOrMany<Text>>,
    /// Where it is told. Literal.
    pub(crate) post: Option<Text>,
}
