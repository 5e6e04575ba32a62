//! The message API, whatever the transport: requests come in decoded, answers or a refusal go out.
//!
//! [`grpc`] and [`gateway`] translate; [`status`] holds the only map from a refusal to what a caller sees.

use std::{net::IpAddr, sync::Arc};

use futures::future::try_join_all;
use herald_protocol::{
    limits as bounds,
    proto::api::{BatchQueryRequest, BatchQueryResponse, PublishRequest, QueryRequest, QueryResponse},
    token,
};
use tokio::sync::watch;

use crate::{
    api::{
        access::{Access, Reader, Wallet},
        limits::Limits,
        status::Error,
        stream::LiveStream,
    },
    caller::Caller,
    store::{Budget, Store},
    subscription::Feed,
};

pub(crate) mod access;
mod call;
mod deadline;
pub mod decoders;
pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod health;
pub(crate) mod limits;
mod publish;
mod query;
mod status;
mod stream;

#[cfg(test)]
pub(crate) use status::code_name;

/// Everything a call needs.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) access: Access,
    pub(crate) limits: Arc<Limits>,
    /// True from the moment the node takes no new work.
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) max_request: usize,
}

/// Who calls, as far as the request says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) caller: Caller,
    /// Where the call comes from.
    pub(crate) address: Option<IpAddr>,
    /// The value of the `authorization` header.
    pub(crate) authorization: Option<&'a [u8]>,
}

impl Api {
    /// Answers after every envelope of the request is on disk.
    pub(crate) async fn publish(
        &self,
        credentials: Credentials<'_>,
        request: PublishRequest,
    ) -> Result<(), Error> {
        self.open_for_work()?;
        self.access.check_address(credentials.address)?;
        let wallet = self.wallet(credentials).await?;
        let cost = publish::cost(&request)?;
        let allow_listed = self.access.is_allow_listed(&wallet);
        self.limits
            .publish(credentials.caller, &wallet.account(), allow_listed, cost)?;
        let publisher = self.access.publisher(wallet, credentials.address)?;
        let accepted = publish::accept(&publisher, request)?;
        if !accepted.is_empty() {
            self.store.publish(accepted).await?;
        }
        Ok(())
    }

    pub(crate) async fn query(
        &self,
        credentials: Credentials<'_>,
        request: QueryRequest,
    ) -> Result<QueryResponse, Error> {
        self.open_for_work()?;
        let (allow_listed, reader) = self.reader(credentials).await?;
        self.limits.other(credentials.caller, allow_listed, 1)?;
        self.page(&reader, request, Budget::new(bounds::PAGE_BYTES)).await
    }

    /// The queries run side by side; together they answer no more than one page may.
    pub(crate) async fn batch_query(
        &self,
        credentials: Credentials<'_>,
        request: BatchQueryRequest,
    ) -> Result<BatchQueryResponse, Error> {
        self.open_for_work()?;
        if request.requests.len() > bounds::BATCH_QUERIES {
            return Err(query::Refusal::BatchTooLarge.into());
        }
        let cost = u32::try_from(request.requests.len()).unwrap_or(u32::MAX);
        let (allow_listed, reader) = self.reader(credentials).await?;
        self.limits.other(credentials.caller, allow_listed, cost.max(1))?;
        let budget = Budget::new(bounds::PAGE_BYTES);
        let pages = request
            .requests
            .into_iter()
            .map(|request| self.page(&reader, request, budget.clone()));
        Ok(BatchQueryResponse {
            responses: try_join_all(pages).await?,
        })
    }

    pub(crate) async fn subscribe(
        &self,
        credentials: Credentials<'_>,
        topics: Vec<String>,
    ) -> Result<LiveStream, Error> {
        self.open_for_work()?;
        query::check_topic_count(&topics)?;
        let reader = self.reader(credentials).await?;
        reader.1.check_may_read(&topics)?;
        let subscribe = || self.feed.subscribe(topics);
        LiveStream::open(&self.limits, credentials.caller, reader, subscribe)
    }

    pub(crate) async fn subscribe_all(&self, credentials: Credentials<'_>) -> Result<LiveStream, Error> {
        self.open_for_work()?;
        let reader = self.reader(credentials).await?;
        reader.1.check_may_read_all()?;
        let subscribe = || self.feed.subscribe_all();
        LiveStream::open(&self.limits, credentials.caller, reader, subscribe)
    }

    /// The wallet that the token names. One that was not seen before costs its caller until it has proven good.
    async fn wallet(&self, credentials: Credentials<'_>) -> Result<Wallet, Error> {
        if let Some(known) = self.access.known(credentials.authorization) {
            return Ok(known);
        }
        self.limits.stake(credentials.caller)?;
        let wallet = self.access.wallet(credentials.authorization).await?;
        self.limits.return_stake(credentials.caller);
        Ok(wallet)
    }

    /// Whether the call counts on the larger buckets. No token, or a bad one, is as good as any other where none is needed.
    async fn is_allow_listed(&self, credentials: Credentials<'_>) -> bool {
        if credentials.caller == Caller::Exempt || credentials.authorization.is_none() {
            return false;
        }
        let wallet = self.wallet(credentials).await;
        wallet.is_ok_and(|wallet| self.access.is_allow_listed(&wallet))
    }

    /// Whether a call that may go without a token counts on the larger buckets, and what it may read.
    async fn reader(&self, credentials: Credentials<'_>) -> Result<(bool, Reader), Error> {
        if !self.access.restricts_reading() {
            return Ok((self.is_allow_listed(credentials).await, Reader::Anyone));
        }
        if credentials.authorization.is_none() {
            let refusal = access::Refusal::Token(token::Error::NotProvided);
            return Ok((false, Reader::Unproven(refusal)));
        }
        match self.wallet(credentials).await {
            Ok(wallet) => Ok((self.access.is_allow_listed(&wallet), Reader::Proven(wallet))),
            Err(Error::Access(refusal)) => Ok((false, Reader::Unproven(refusal))),
            Err(error) => Err(error),
        }
    }

    async fn page(
        &self,
        reader: &Reader,
        request: QueryRequest,
        budget: Budget,
    ) -> Result<QueryResponse, Error> {
        reader.check_may_read(&request.content_topics)?;
        let question = query::Question::check(request)?;
        let page = self.store.page(question.request, budget).await?;
        Ok(query::answer(page, question.paging))
    }

    fn open_for_work(&self) -> Result<(), Error> {
        if *self.draining.borrow() {
            Err(Error::Draining)
        } else {
            Ok(())
        }
    }
}
