//! Sources by name: places on the web and contracts whose answers bots read.
//!
//! Enters: what a bot's file says of a source, and the names of an occurrence. Leaves: its items, a page of the answer at a time,
//! or as they were given where nothing is to be asked. Promised: an answer is asked through the guarded client, bounded in size and time; paging ends; a part of an answer is never
//! taken for the whole.

use std::{sync::Arc, time::Duration};

use super::{
    config::SecretReference,
    expression::{EvaluationError, Expression, Scope, Template, Value},
};

/// Where answers come from.
mod answers;
/// Answers that stand for a while.
mod cache;
/// Reading contracts.
mod call;
/// RSS, Atom and JSON Feed.
mod feed;
/// Asking, page by page.
mod pages;
/// What is posted.
mod post;
/// Asking once.
mod question;

pub use answers::Answer;
pub(crate) use answers::{Answers, CALLBACK, Given, POST, Posted};
pub use call::ContractCall;
pub(crate) use call::Prepared;
pub(crate) use feed::{Entry, entry_type, read_feed};
pub(crate) use pages::{Asker, Pages};
pub use post::Post;

/// A source that expressions use by its name.
#[derive(Debug, Clone)]
pub enum Source {
    /// JSON over HTTP.
    Http(Arc<Http>),
    /// What a contract tells.
    Call(Arc<ContractCall>),
}

impl Source {
    /// What is given for it; none where answers are asked.
    pub(crate) fn given(
        &self,
        name: &str,
        answers: &Answers,
        scope: &Scope,
    ) -> Option<Result<Value, String>> {
        let given = answers.given_value(name)?;
        Some(given.and_then(|value| {
            let arguments = match self {
                Self::Http(http) => http.arguments(scope),
                Self::Call(call) => call.arguments(scope),
            };
            let arguments = arguments.map_err(|error| error.to_string())?;
            let value = answers::of_argument(&value, &arguments);
            match self {
                Self::Call(call) if !call.is_answer(&value) => {
                    let arguments: Vec<String> = arguments.iter().map(Value::to_text).collect();
                    Err(format!("its mock has no entry for `{}`", arguments.join(", ")))
                }
                _ => Ok(value),
            }
        }))
    }
}

/// A source that answers JSON over HTTP.
#[derive(Debug, Clone)]
pub struct Http {
    /// Its name in the bot's file.
    pub name: String,
    /// The URL.
    pub url: Template,
    /// The body of a POST; a GET without.
    pub post: Option<Post>,
    /// Headers by name.
    pub headers: Vec<(String, Header)>,
    /// A token that is sent as `authorization: Bearer …`.
    pub auth: Option<SecretReference>,
    /// The items in `body`; the body itself unless said otherwise.
    pub pick: Option<Expression>,
    /// The URL of the next page in `body`, relative to the one that was asked; none ends it.
    pub next: Option<Expression>,
    /// How long an answer stands for the same request.
    pub cache: Option<Duration>,
    /// How long an answer may take, the whole of one page.
    pub timeout: Duration,
}

impl Http {
    /// The digest of what is asked where these names have these values.
    pub(crate) fn digest(&self, scope: &Scope) -> Result<[u8; 32], EvaluationError> {
        pages::digest(self, scope)
    }

    /// Asks for one value. Errors are sentences for people.
    pub(crate) async fn value(&self, asker: Asker<'_>, scope: &Scope) -> Result<Value, String> {
        pages::value(self, asker, scope).await
    }

    /// The values that what is asked for depends on.
    fn arguments(&self, scope: &Scope) -> Result<Vec<Value>, EvaluationError> {
        let mut arguments = self.url.outputs(scope)?;
        if let Some(post) = &self.post {
            post.outputs(scope, &mut arguments)?;
        }
        Ok(arguments)
    }
}

/// The value of a header.
#[derive(Debug, Clone)]
pub enum Header {
    /// Told in the file.
    Text(Template),
    /// Kept secret.
    Secret(SecretReference),
}

impl Header {
    /// What is told in the file.
    pub(crate) fn template(&self) -> Option<&Template> {
        match self {
            Self::Text(template) => Some(template),
            Self::Secret(_) => None,
        }
    }
}

/// How long an answer may take unless said otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
