//! Browsers on any origin may call the gateway: it knows no cookies, so there is nothing an origin could borrow.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::{HeaderValue, Method, header};

/// Answers preflights and marks every other answer.
pub(super) async fn allow_every_origin(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if preflight {
        Response::new(Body::empty())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if preflight {
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(HEADERS),
        );
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
    }
    response
}

/// The V2 network's list: what XMTP clients and the monitoring of common apps send.
const HEADERS: &str = "Content-Type,Accept,Authorization,X-App-Version,X-Client-Version,X-Libxmtp-Version,Baggage,DNT,\
    Sec-CH-UA,Sec-CH-UA-Mobile,Sec-CH-UA-Platform,Sentry-Trace,User-Agent,x-libxmtp-version,x-app-version";
const METHODS: &str = "GET,HEAD,POST,PUT,PATCH,DELETE";
