//! Streams over HTTP: one JSON object a line, and spaces while there is nothing to say.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::Value;
use tonic::Code;

use super::json::{StreamedEnvelope, encode};
use crate::{
    api::{deadline::Deadline, status::Error, stream::LiveStream},
    envelope::Arrival,
};

/// The lines of a stream. It never ends by itself without a line that says why.
pub(super) fn body(stream: LiveStream, heartbeat: Duration, deadline: Deadline) -> Body {
    Body::from_stream(stream::unfold(Some(stream), move |open| async move {
        let mut stream = open?;
        let next = async { Ok(stream.next().await?) };
        let piece = match tokio::time::timeout(heartbeat, deadline.bound(next)).await {
            Ok(Ok(arrival)) => line(&arrival),
            Ok(Err(end)) => return Some((Ok(last_line(&end)), None)),
            // Leading white space before an object harms no client, an empty line does.
            Err(_silence) => Bytes::from_static(b" "),
        };
        Some((Ok::<_, Infallible>(piece), Some(stream)))
    }))
}

/// The body of a refusal.
pub(super) fn status(code: Code, text: &str) -> String {
    format!(
        r#"{{"code":{},"message":{},"details":[]}}"#,
        i32::from(code),
        Value::from(text)
    )
}

/// The line that ends a stream, or stands in its place.
pub(super) fn error(code: Code, text: &str) -> String {
    format!("{{\"error\":{}}}\n", status(code, text))
}

fn line(arrival: &Arc<Arrival>) -> Bytes {
    match encode(&StreamedEnvelope::new(&arrival.to_envelope())) {
        Ok(mut line) => {
            line.push(b'\n');
            line.into()
        }
        Err(failure) => error(failure.code(), &failure.to_string()).into(),
    }
}

fn last_line(end: &Error) -> Bytes {
    end.log();
    error(end.code(), &end.to_string()).into()
}
