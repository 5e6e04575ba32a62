//! Queries that wait while others are asked go together, many in one call: of clients that share a connection, such as a
//! thousand bots that start or whose node is back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use herald_protocol::{
    limits,
    proto::api::{BatchQueryRequest, QueryRequest, QueryResponse},
};
use tokio::{sync::oneshot, task::JoinSet};

use super::{Api, Disposition, Error};

/// Calls of queries under way at once. One that finds fewer goes alone and at once.
const CALLS: usize = 4;

/// Queries of a connection. Calls are tasks of their own: who asked may be slow to look for the answer, which holds up nobody.
#[derive(Default)]
pub(super) struct Queries {
    desk: Arc<Desk>,
    calls: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that are not asked yet, oldest first.
    waiting: VecDeque<Waiting>,
    calls: usize,
}

struct Waiting {
    query: QueryRequest,
    answer: oneshot::Sender<Result<QueryResponse, Error>>,
}

/// One of the calls under way.
struct Turn {
    desk: Arc<Desk>,
    /// Whether it is counted no more.
    is_over: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.desk.state().calls -= 1;
        }
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a query. Gives a turn when another call may be made.
    fn put(self: &Arc<Self>, waiting: Waiting) -> Option<Turn> {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        if state.calls == CALLS {
            return None;
        }
        state.calls += 1;
        Some(Turn {
            desk: Arc::clone(self),
            is_over: false,
        })
    }
}

impl Turn {
    /// As many as one call takes, without those that nobody waits for any more. None ends the turn.
    fn take(&mut self) -> Vec<Waiting> {
        let mut state = self.desk.state();
        let mut taken = Vec::new();
        while taken.len() < limits::BATCH_QUERIES {
            let Some(next) = state.waiting.pop_front() else {
                break;
            };
            if !next.answer.is_closed() {
                taken.push(next);
            }
        }
        if taken.is_empty() {
            // Under the lock: a query that is put from now on finds one call less.
            state.calls -= 1;
            self.is_over = true;
        }
        taken
    }
}

impl Api {
    /// Asks one query, alone or with others that wait.
    ///
    /// Cancel-safe.
    pub(super) async fn ask(&self, query: QueryRequest) -> Result<QueryResponse, Error> {
        loop {
            let (answer, answered) = oneshot::channel();
            let query = query.clone();
            if let Some(turn) = self.queries.desk.put(Waiting { query, answer }) {
                self.call(turn);
            }
            // One that is not answered was cut off with the runtime that asked it.
            if let Ok(answer) = answered.await {
                return answer;
            }
        }
    }

    /// Asks what waits until nothing does. The calls end with the last who can ask.
    fn call(&self, mut turn: Turn) {
        let api = Self {
            queries: Arc::default(),
            ..self.clone()
        };
        let mut calls = self.queries.calls.lock().unwrap_or_else(PoisonError::into_inner);
        while calls.try_join_next().is_some() {}
        calls.spawn(async move {
            loop {
                let asked = turn.take();
                if asked.is_empty() {
                    return;
                }
                api.ask_together(asked).await;
            }
        });
    }

    async fn ask_together(&self, asked: Vec<Waiting>) {
        if asked.len() > 1 {
            let queries = asked.iter().map(|waiting| waiting.query.clone()).collect();
            match self.ask_all(queries).await {
                Ok(answers) => {
                    for (waiting, answer) in asked.into_iter().zip(answers) {
                        // Who has left wants none.
                        let _ = waiting.answer.send(Ok(answer));
                    }
                    return;
                }
                // What is refused of one is no matter of the others.
                Err(error) if error.disposition() == Disposition::Reject => {}
                Err(error) => {
                    for waiting in asked {
                        let _ = waiting.answer.send(Err(error.clone()));
                    }
                    return;
                }
            }
        }
        for Waiting { query, answer } in asked {
            let call = || {
                let (mut grpc, request) = (self.grpc.clone(), Self::unary(query.clone()));
                async move { grpc.query(request).await }
            };
            let _ = answer.send(self.again(call).await);
        }
    }

    /// One call: the answers of all queries, in their order.
    pub(super) async fn ask_all(&self, queries: Vec<QueryRequest>) -> Result<Vec<QueryResponse>, Error> {
        let wanted = queries.len();
        let request = BatchQueryRequest { requests: queries };
        let call = || {
            let (mut grpc, request) = (self.grpc.clone(), Self::unary(request.clone()));
            async move { grpc.batch_query(request).await }
        };
        let answers = self.again(call).await?.responses;
        if answers.len() == wanted {
            return Ok(answers);
        }
        Err(Error::Unreachable {
            node: self.node.clone(),
            reason: format!("{} answers to {wanted} queries", answers.len()),
        })
    }
}
