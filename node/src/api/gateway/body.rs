//! Request bodies: never more in memory than a request may have.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use tonic::Status;

use crate::api::status::Error;

/// Reads a body of at most `max` bytes. A longer one is refused by its announced length, or as soon as it shows.
pub(super) async fn read(headers: &HeaderMap, body: &mut Body, max: usize) -> Result<Bytes, Error> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if let Some(found) = announced.filter(|length| *length > max as u64) {
        return Err(Error::RequestTooLarge { found, limit: max });
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(broken)?;
        let Ok(piece) = frame.into_data() else { continue };
        let found = read.len() + piece.len();
        if found > max {
            return Err(Error::RequestTooLarge {
                found: found as u64,
                limit: max,
            });
        }
        read.extend_from_slice(&piece);
    }
    Ok(read.freeze())
}

/// Either the node did not wait for the rest, or the client broke off.
fn broken(error: axum::Error) -> Error {
    match error.into_inner().downcast::<Status>() {
        Ok(status) => Error::Unfinished(*status),
        Err(error) => Error::Malformed(format!("body: {error}")),
    }
}

/// Answers at once, then takes in what is left of the request for a moment. A connection that is closed on a client in the
/// middle of its request is reset, and the client may lose the answer.
pub(super) fn said_while_draining(said: Body, rest: Body) -> Body {
    let said = said.into_data_stream().map(Result::unwrap_or_default);
    let drain = stream::once(async move {
        // Time out or not, the answer ends here.
        let _ = tokio::time::timeout(DRAIN_TIME, drain(rest)).await;
        Bytes::new()
    });
    Body::from_stream(said.chain(drain).map(Ok::<_, Infallible>))
}

async fn drain(rest: Body) {
    let mut pieces = rest.into_data_stream();
    let mut drained = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        drained += piece.len();
        if drained > DRAIN_BYTES {
            break;
        }
    }
}

const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);
