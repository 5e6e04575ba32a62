//! Asks one URL: an answer that is fresh enough is taken again, one that is not is asked for with its validators (RFC 9110,
//! section 13), and who wants the same meanwhile waits for it.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use url::Url;

use super::{Asker, cache::Cached};
use crate::fetch::{self, Answer, Request};

/// A request, complete.
pub(super) struct Question<'q> {
    pub(super) url: &'q Url,
    pub(super) headers: &'q [(String, String)],
    /// JSON; a GET without.
    pub(super) post: Option<&'q Bytes>,
    /// How long the answer may take.
    pub(super) within: Duration,
    /// How old an answer may be that is taken again; zero for none, and then none is kept.
    pub(super) most: Duration,
}

impl Question<'_> {
    /// The body of the answer. Errors are sentences for people; none names a URL's query, a header or a body.
    pub(super) async fn ask(&self, asker: Asker<'_>) -> Result<Bytes, String> {
        let Some(cache) = asker.answers.cache().filter(|_| !self.most.is_zero()) else {
            return Ok(self.send(asker, None).await?.body);
        };
        let digest = self.digest();
        let turn = cache.turn(digest);
        let _turn = turn.lock().await;
        if let Some(body) = cache.get(&digest, self.most) {
            return Ok(body);
        }
        let known = cache.find(&digest);
        let begun = Instant::now();
        let answer = self.send(asker, known.as_ref()).await?;
        let kept = match known {
            Some(known) if answer.status == UNCHANGED => Cached {
                asked: begun,
                ..known
            },
            _ => Cached {
                request: digest,
                asked: begun,
                etag: answer.etag,
                last_modified: answer.last_modified,
                body: answer.body,
            },
        };
        let body = kept.body.clone();
        cache.put(kept);
        Ok(body)
    }

    /// Asks, with the validators of an answer that is known.
    async fn send(&self, asker: Asker<'_>, known: Option<&Cached>) -> Result<Answer, String> {
        let text = |error: fetch::Error| with_cause(&error);
        let mut request = match self.post {
            Some(post) => Request::post(self.url.as_str(), "application/json", post.clone()),
            None => Request::read(self.url.as_str()),
        }
        .map_err(text)?
        .within(self.within);
        for (name, value) in self.headers {
            request = request.header(name, value).map_err(text)?;
        }
        let validators = known
            .filter(|_| self.post.is_none())
            .into_iter()
            .flat_map(|known| {
                let etag = known.etag.as_ref().map(|etag| ("if-none-match", etag));
                let date = known
                    .last_modified
                    .as_ref()
                    .map(|date| ("if-modified-since", date));
                etag.into_iter().chain(date)
            });
        let mut is_conditional = false;
        for (name, value) in validators {
            request = request.header(name, value).map_err(text)?;
            is_conditional = true;
        }
        let answer = asker.fetch.send(request).await.map_err(text)?;
        if is_conditional && answer.status == UNCHANGED {
            return Ok(answer);
        }
        answer.success().map_err(text)
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new().chain_update(self.url.as_str());
        for (name, value) in self.headers {
            for part in [name, value] {
                digest.update([0]);
                digest.update(part);
            }
        }
        digest.update([0]);
        digest.update(self.post.map(Bytes::as_ref).unwrap_or_default());
        digest.finalize().into()
    }
}

/// An error and what is behind it.
fn with_cause(error: &fetch::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What is known stands still.
const UNCHANGED: u16 = 304;
