//! The message API, whatever the transport: requests come in decoded, answers or a refusal go out.
//!
//! [`grpc`] and [`gateway`] translate; [`status`] holds the only map from a refusal to what a caller sees.

use std::sync::Arc;

use futures::future::try_join_all;
use herald_protocol::{
    limits,
    proto::api::{BatchQueryRequest, BatchQueryResponse, PublishRequest, QueryRequest, QueryResponse},
};
use tokio::sync::watch;

use crate::{
    api::{access::Access, status::Error},
    store::{Budget, Store},
    subscription::{Feed, Subscription},
};

pub(crate) mod access;
mod call;
mod deadline;
pub mod decoders;
pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod health;
mod publish;
mod query;
mod status;

#[cfg(test)]
pub(crate) use status::code_name;

/// Everything a call needs.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) access: Access,
    /// True from the moment the node takes no new work.
    pub(crate) draining: watch::Receiver<bool>,
    pub(crate) max_request: usize,
}

impl Api {
    /// Answers after every envelope of the request is on disk.
    pub(crate) async fn publish(
        &self,
        authorization: Option<&[u8]>,
        request: PublishRequest,
    ) -> Result<(), Error> {
        self.open_for_work()?;
        let wallet = self.access.wallet(authorization).await?;
        let accepted = publish::accept(&wallet, &request)?;
        if !accepted.is_empty() {
            self.store.publish(accepted).await?;
        }
        Ok(())
    }

    pub(crate) async fn query(&self, request: QueryRequest) -> Result<QueryResponse, Error> {
        self.open_for_work()?;
        self.page(request, Budget::new(limits::PAGE_BYTES)).await
    }

    /// The queries run side by side; together they answer no more than one page may.
    pub(crate) async fn batch_query(&self, request: BatchQueryRequest) -> Result<BatchQueryResponse, Error> {
        self.open_for_work()?;
        if request.requests.len() > limits::BATCH_QUERIES {
            return Err(query::Refusal::BatchTooLarge.into());
        }
        let budget = Budget::new(limits::PAGE_BYTES);
        let pages = request
            .requests
            .into_iter()
            .map(|request| self.page(request, budget.clone()));
        Ok(BatchQueryResponse {
            responses: try_join_all(pages).await?,
        })
    }

    pub(crate) fn subscribe(&self, topics: Vec<String>) -> Result<Subscription, Error> {
        self.open_for_work()?;
        query::check_topic_count(&topics)?;
        Ok(self.feed.subscribe(topics)?)
    }

    pub(crate) fn subscribe_all(&self) -> Result<Subscription, Error> {
        self.open_for_work()?;
        Ok(self.feed.subscribe_all()?)
    }

    /// Gives an open stream other topics.
    pub(crate) fn resubscribe(stream: &mut Subscription, topics: Vec<String>) -> Result<(), Error> {
        query::check_topic_count(&topics)?;
        stream.replace_topics(topics);
        Ok(())
    }

    async fn page(&self, request: QueryRequest, budget: Budget) -> Result<QueryResponse, Error> {
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
