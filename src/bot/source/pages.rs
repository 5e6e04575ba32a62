//! Asks a source page by page, until it names no next one.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::{Answers, Header, Http, question::Question};
use crate::{
    bot::{
        config::diagnostics::quote,
        expression::{EvaluationError, Scope, Type, Value},
    },
    fetch::Fetch,
};

/// What asking needs.
#[derive(Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) fetch: &'a Fetch,
    pub(crate) answers: &'a Answers,
    /// The folder that files of secrets are relative to.
    pub(crate) folder: &'a Path,
    /// How old an answer may be that others asked for, whatever the source says of it.
    pub(crate) fresh: Duration,
}

/// The pages of one answer. Errors are sentences for people; none names a URL's query, a header or a body.
pub(crate) struct Pages<'a> {
    source: &'a Http,
    asker: Asker<'a>,
    scope: Scope,
    next: Option<Next>,
    /// Digests of the URLs so far: paging that comes back to one would never end.
    seen: BTreeSet<[u8; 32]>,
    headers: Vec<(String, String)>,
    post: Option<Bytes>,
}

/// Where the next page is.
enum Next {
    /// At a URL.
    At(Url),
    /// Here: it is given, and the only one.
    Here(Arc<[Value]>),
}

impl<'a> Pages<'a> {
    /// Prepares the request for an occurrence with these names.
    pub(crate) fn of(source: &'a Http, asker: Asker<'a>, scope: &Scope) -> Result<Self, String> {
        let url = source
            .url
            .render(scope)
            .map_err(|error| format!("`http`: {error}"))?;
        let url = Url::parse(url.trim()).map_err(|error| format!("`http`: {error}"))?;
        let post = source.post.as_ref().map(|post| post.render(scope));
        let post = post.transpose().map_err(|error| format!("`post`: {error}"))?;
        let (next, headers) = match asker.answers.given(&source.name) {
            Some(given) => (Next::Here(given?), Vec::new()),
            None => (Next::At(url), headers(source, asker, scope)?),
        };
        Ok(Self {
            source,
            asker,
            scope: scope.clone(),
            next: Some(next),
            seen: BTreeSet::new(),
            headers,
            post: post.map(|json| Bytes::from(json.to_string())),
        })
    }

    /// The answer as one value, as `pick` gives it.
    async fn whole(mut self) -> Result<Value, String> {
        let url = match self.next.take() {
            None => return Ok(Value::None),
            Some(Next::Here(items)) => return Ok(Value::List(items)),
            Some(Next::At(url)) => url,
        };
        self.read(&url).await?;
        match &self.source.pick {
            Some(pick) => pick
                .evaluate(&self.scope)
                .map_err(|error| format!("`pick`: {error}")),
            None => Ok(self.scope.get("body").cloned().unwrap_or(Value::None)),
        }
    }

    /// Asks for a page, whose answer is `body` from then on.
    async fn read(&mut self, url: &Url) -> Result<(), String> {
        let body = self.ask(url).await?;
        let json: serde_json::Value =
            serde_json::from_slice(&body).map_err(|error| format!("the answer is not JSON: {error}"))?;
        // Nothing else is refused of JSON of unknown shape.
        let rounded = "a number in it is one that JSON readers round, wanted a text in its place";
        let value = Type::Any.read_json(&json).map_err(|_| rounded.to_owned())?;
        self.scope.insert("body", value);
        Ok(())
    }

    /// The items of the next page; none after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<[Value]>>, String> {
        let url = match self.next.take() {
            None => return Ok(None),
            Some(Next::Here(items)) => return Ok(Some(items)),
            Some(Next::At(url)) => url,
        };
        if self.seen.len() >= MAX_PAGES {
            return Err(format!("there are more than {MAX_PAGES} pages"));
        }
        if !self.seen.insert(Sha256::digest(url.as_str()).into()) {
            return Err("`next` leads to a page that was read already".to_owned());
        }
        self.read(&url).await?;
        let items = match &self.source.pick {
            Some(pick) => pick
                .evaluate_in_parts(&self.scope)
                .map_err(|error| format!("`pick`: {error}"))?,
            None => self.scope.get("body").cloned().unwrap_or(Value::None),
        };
        let next = match &self.source.next {
            Some(next) => next
                .evaluate(&self.scope)
                .map_err(|error| format!("`next`: {error}"))?,
            None => Value::None,
        };
        self.next = follow(&url, &next)?.map(Next::At);
        match items {
            Value::List(items) => Ok(Some(items)),
            Value::None if self.source.pick.is_some() => {
                Err("`pick` gives nothing, wanted a list".to_owned())
            }
            _ => Err("the answer holds no list of items; `pick` names it".to_owned()),
        }
    }

    async fn ask(&self, url: &Url) -> Result<Bytes, String> {
        let question = Question {
            url,
            headers: &self.headers,
            post: self.post.as_ref(),
            within: self.source.timeout,
            most: self.source.cache.unwrap_or_default().max(self.asker.fresh),
        };
        question.ask(self.asker).await
    }
}

/// The digest of what is asked, but for secrets, which are the same for all who ask.
pub(super) fn digest(source: &Http, scope: &Scope) -> Result<[u8; 32], EvaluationError> {
    let mut digest = Sha256::new().chain_update(&source.name);
    let mut add = |text: &str| {
        digest.update([0]);
        digest.update(text);
    };
    add(&source.url.render(scope)?);
    if let Some(post) = &source.post {
        add(&post.render(scope)?.to_string());
    }
    for (_, header) in &source.headers {
        if let Some(template) = header.template() {
            add(&template.render(scope)?);
        }
    }
    Ok(digest.finalize().into())
}

/// What a source gives as one value: `pick` of its answer, or the items of all its pages.
pub(super) async fn value(source: &Http, asker: Asker<'_>, scope: &Scope) -> Result<Value, String> {
    let mut pages = Pages::of(source, asker, scope)?;
    if source.next.is_none() {
        return pages.whole().await;
    }
    let mut items = Vec::new();
    while let Some(page) = pages.next().await? {
        items.extend(page.iter().cloned());
        if items.len() > MAX_ITEMS {
            return Err(format!("it gives more than {MAX_ITEMS} items"));
        }
    }
    Ok(Value::list(items))
}

/// The most items of a value. Ours: they are held in memory for each who asks.
const MAX_ITEMS: usize = 10_000;

/// The headers of every request, resolved.
fn headers(source: &Http, asker: Asker<'_>, scope: &Scope) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::with_capacity(source.headers.len() + 1);
    for (name, value) in &source.headers {
        let value = match value {
            Header::Text(template) => template
                .render(scope)
                .map_err(|error| format!("`headers.{name}`: {error}"))?,
            Header::Secret(secret) => secret
                .resolve(asker.folder)
                .map_err(|error| format!("`headers.{name}`: {error}"))?
                .expose_secret()
                .to_owned(),
        };
        headers.push((name.clone(), value));
    }
    if let Some(auth) = &source.auth {
        let token = auth
            .resolve(asker.folder)
            .map_err(|error| format!("`auth`: {error}"))?;
        headers.push((
            "authorization".to_owned(),
            format!("Bearer {}", token.expose_secret()),
        ));
    }
    Ok(headers)
}

/// Where `next` leads from a page: nowhere, or to the same scheme, host and port, since that is who gets the headers.
fn follow(from: &Url, next: &Value) -> Result<Option<Url>, String> {
    let text = match next {
        Value::None => return Ok(None),
        Value::Text(text) if text.is_empty() => return Ok(None),
        Value::Text(text) => text,
        other => return Err(format!("`next` gives {}, wanted a URL", quote(&other.to_text()))),
    };
    let url = from.join(text).map_err(|error| format!("`next`: {error}"))?;
    if url.origin() != from.origin() {
        return Err("`next` leads to another host, wanted the same scheme, host and port".to_owned());
    }
    Ok(Some(url))
}

/// The most pages of one answer. Ours.
const MAX_PAGES: usize = 10_000;
