//! One request on its way to a handler, and its answer on the way back.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tonic::Code;

use super::{Form, Gateway, HTTP, Question, body, json::Answer, lines, refusal, set, with_body};
use crate::api::{call::Call, deadline::Deadline, limits::whole_seconds, status::Error, stream::LiveStream};

pub(super) struct Exchange {
    call: Call,
    asks_in: Form,
    answers_in: Form,
    headers: HeaderMap,
    body: Body,
}

impl Exchange {
    pub(super) fn new(method: &'static str, request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let asks_in = Form::of_request(&parts.headers);
        Self {
            call: Call::begin(method, HTTP, &parts.headers),
            asks_in,
            answers_in: Form::of_answer(asks_in, &parts.headers),
            headers: parts.headers,
            body,
        }
    }

    /// One answer.
    pub(super) async fn unary<Q: Question, A: Answer>(
        mut self,
        gateway: &Gateway,
        handler: impl AsyncFnOnce(Q) -> Result<A, Error>,
    ) -> Response {
        let form = self.answers_in;
        let max = gateway.api.max_request;
        let answer = match Deadline::of(&self.headers) {
            Ok(deadline) => {
                let work = async { form.answer(&handler(self.decode(max).await?).await?) };
                deadline.bound(work).await
            }
            Err(error) => Err(error),
        };
        self.call
            .answered(answer.as_ref().map_or_else(Error::code, |_| Code::Ok));
        answer.unwrap_or_else(|error| {
            error.log();
            let said = refusal(error.code(), &error.to_string());
            self.said(&error, said)
        })
    }

    /// Answers until one side leaves, or time runs out.
    pub(super) async fn stream<Q: Question>(
        mut self,
        gateway: &Gateway,
        open: impl AsyncFnOnce(Q) -> Result<LiveStream, Error>,
    ) -> Response {
        let max = gateway.api.max_request;
        let opened = match Deadline::of(&self.headers) {
            Ok(deadline) => {
                let work = async { Ok((open(self.decode(max).await?).await?, deadline)) };
                deadline.bound(work).await
            }
            Err(error) => Err(error),
        };
        self.call
            .answered(opened.as_ref().map_or_else(Error::code, |_| Code::Ok));
        match opened {
            Ok((stream, deadline)) => {
                let lines = lines::body(stream, gateway.heartbeat, deadline);
                let mut response = with_body(Code::Ok, lines);
                // The gRPC header of the same meaning, under the gateway's name for it.
                set(&mut response, SUBSCRIBED, "true");
                response
            }
            Err(error) => {
                error.log();
                // A refusal has the shape of the line in whose place it stands.
                let line = lines::error(error.code(), &error.to_string());
                let said = with_body(error.code(), Body::from(line));
                self.said(&error, said)
            }
        }
    }

    async fn decode<Q: Question>(&mut self, max: usize) -> Result<Q, Error> {
        let form = self.asks_in;
        let bytes = body::read(&self.headers, &mut self.body, max).await?;
        if bytes.len() < LARGE_BODY {
            return form.decode(bytes);
        }
        tokio::task::spawn_blocking(move || form.decode(bytes))
            .await
            .map_err(|_| Error::Panicked)?
    }

    fn said(self, error: &Error, mut refusal: Response) -> Response {
        if let Some(wait) = error.wait() {
            let seconds = HeaderValue::from(whole_seconds(wait));
            refusal.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if matches!(error, Error::RequestTooLarge { .. } | Error::Unfinished(_)) {
            refusal.map(|said| body::said_while_draining(said, self.body))
        } else {
            refusal
        }
    }
}

const SUBSCRIBED: HeaderName = HeaderName::from_static("grpc-metadata-subscribed");
/// Decoding this much takes about a millisecond; more is done off the async workers.
const LARGE_BODY: usize = 256 * 1024;
