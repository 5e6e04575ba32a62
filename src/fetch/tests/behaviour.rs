//! The client and servers that answer well, badly, and not at all.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::world::{Asked, Authority, Names, Reply, Server, fetch, moved, ok, reply};
use crate::{
    client::Disposition,
    fetch::{Error, Fetch, Request},
};

/// 127.0.0.1 by the name of a shop.
fn names() -> Names {
    Names::default().with("shop.example", &[&["127.0.0.1"]])
}

fn asking(server: &Server, path: &str) -> Request {
    Request::read(&format!("http://shop.example:{}{path}", server.port())).unwrap()
}

async fn outside(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Server, Fetch) {
    let server = Server::plain("127.0.0.1:0", answer).await;
    (server, fetch(&names()).build().unwrap())
}

#[tokio::test]
async fn an_answer_carries_what_polls_need() {
    let (server, fetch) = outside(|_| {
        let headers = "content-type: text/xml\r\netag: \"e1\"\r\nlast-modified: Mon\r\nretry-after: 90\r\nset-cookie: a=b\r\n";
        reply("200 OK", headers, b"<rss/>")
    })
    .await;
    let request = asking(&server, "/feed?token=t")
        .header("If-None-Match", "\"e0\"")
        .unwrap();
    let answer = fetch.send(request.clone()).await.unwrap().success().unwrap();
    assert_eq!((answer.status, &*answer.body), (200, &b"<rss/>"[..]));
    assert_eq!(answer.content_type.as_deref(), Some("text/xml"));
    assert_eq!(answer.etag.as_deref(), Some("\"e1\""));
    assert_eq!(answer.last_modified.as_deref(), Some("Mon"));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(90)));
    assert!(answer.url().ends_with("/feed?token=t"));
    assert!(!format!("{answer:?}{request:?}").contains("token"));
    fetch.send(request).await.unwrap();
    let [first, second] = &server.asked()[..] else {
        panic!()
    };
    assert!(
        first.head.to_lowercase().contains("if-none-match: \"e0\""),
        "{first:?}"
    );
    assert!(
        first.head.to_lowercase().contains("accept-encoding: identity"),
        "{first:?}"
    );
    assert!(!second.head.to_lowercase().contains("cookie"), "{second:?}");
    assert_eq!(server.connections(), 2, "each answer has a connection of its own");
}

#[tokio::test]
async fn what_the_operator_names_keeps_its_connection_and_a_server_that_hangs_up_unannounced_loses_nothing() {
    let (server, fetch) = outside(|asked| {
        let Reply::Whole(bytes) = ok(b"") else { panic!() };
        if asked.head.starts_with("PUT /last ") {
            Reply::Bytes(bytes)
        } else {
            Reply::Whole(bytes)
        }
    })
    .await;
    let put = async |path: &str| {
        let url = format!("http://127.0.0.1:{}{path}", server.port());
        let body = Bytes::from_static(b"file");
        fetch
            .put(url.parse().unwrap(), "text/plain", body, Duration::from_secs(10))
            .await
    };
    for _ in 0..3 {
        put("/file").await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    for _ in 0..20 {
        put("/last").await.unwrap();
    }
    assert_eq!((server.connections(), server.asked().len()), (20, 23));
}

#[tokio::test]
async fn a_post_sends_its_body_once_and_follows_nothing() {
    let (server, fetch) = outside(|_| moved("/elsewhere")).await;
    let url = format!("http://shop.example:{}/hook", server.port());
    let request = Request::post(&url, "application/json", Bytes::from_static(b"{}")).unwrap();
    let answer = fetch.send(request).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(matches!(answer.success(), Err(Error::Status { status: 302, .. })));
    let [asked] = &server.asked()[..] else { panic!() };
    assert!(asked.head.starts_with("POST /hook "), "{asked:?}");
    assert_eq!(asked.body, "{}");
}

#[tokio::test]
async fn three_redirects_are_followed_and_a_fourth_is_not() {
    let (server, fetch) = outside(|asked| match asked.path() {
        "/1" => ok(b"there"),
        path => {
            let left: u32 = path.trim_start_matches('/').parse().unwrap();
            moved(&format!("/{}", left - 1))
        }
    })
    .await;
    let answer = fetch.send(asking(&server, "/4")).await.unwrap();
    assert_eq!(answer.body, "there");
    assert!(answer.url().ends_with("/1"));
    let error = fetch.send(asking(&server, "/5")).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert_eq!(server.connections(), 8);
}

#[tokio::test]
async fn headers_of_the_caller_stay_with_the_place_they_were_meant_for() {
    let other = Server::plain("127.0.0.1:0", |_| ok(b"other")).await;
    let to = format!("http://shop.example:{}/", other.port());
    let (server, fetch) = outside(move |asked| match asked.path() {
        "/away" => moved(&to),
        "/near" => moved("/"),
        _ => ok(b"near"),
    })
    .await;
    for path in ["/away", "/near"] {
        let request = asking(&server, path).header("authorization", "Bearer t").unwrap();
        fetch.send(request).await.unwrap();
    }
    assert!(server.asked().iter().all(|asked| asked.head.contains("Bearer t")));
    assert!(!other.asked()[0].head.contains("Bearer"));
}

#[tokio::test]
async fn a_redirect_inward_is_refused_before_a_connection() {
    let canary = Server::plain("127.0.0.2:0", |_| ok(b"inside")).await;
    let inside = canary.port();
    let names = names().with("inside.example", &[&["127.0.0.2"]]);
    let server = Server::plain("127.0.0.1:0", move |asked| match asked.path() {
        "/address" => moved(&format!("http://127.0.0.2:{inside}/")),
        "/spelling" => moved(&format!("http://0x7f.2:{inside}/")),
        "/name" => moved(&format!("http://inside.example:{inside}/")),
        "/relative" => moved(&format!("//inside.example:{inside}/")),
        "/user" => moved(&format!("http://a@inside.example:{inside}/")),
        "/file" => moved("file:///etc/passwd"),
        _ => moved("http://shop.example:22/"),
    })
    .await;
    let fetch = fetch(&names).build().unwrap();
    for path in ["/address", "/spelling", "/name", "/relative"] {
        let error = fetch.send(asking(&server, path)).await.unwrap_err();
        assert!(
            matches!(error, Error::Refused { kind: "loopback", .. }),
            "{path}: {error}"
        );
    }
    for path in ["/user", "/file", "/port"] {
        let error = fetch.send(asking(&server, path)).await.unwrap_err();
        assert!(matches!(error, Error::Request { .. }), "{path}: {error}");
    }
    assert_eq!((server.connections(), canary.connections()), (7, 0));
}

#[tokio::test]
async fn a_name_that_moves_inward_is_judged_at_each_connection() {
    let canary = Server::plain("127.0.0.2:0", |_| ok(b"inside")).await;
    let server = Server::plain(("127.0.0.1", canary.port()), |asked| match asked.path() {
        "/again" => moved("/"),
        _ => ok(b"outside"),
    })
    .await;
    let names = Names::default().with("rebinds.example", &[&["127.0.0.1"], &["127.0.0.2"]]);
    let fetch = fetch(&names).build().unwrap();
    let url = format!("http://rebinds.example:{}/again", server.port());
    let error = fetch.send(Request::read(&url).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(names.lookups("rebinds.example"), 2, "one lookup a connection");
    assert_eq!((server.connections(), canary.connections()), (1, 0));
}

#[tokio::test]
async fn a_body_ends_at_its_bound_whatever_its_length_was_said_to_be() {
    const LIMIT: usize = 100_000;
    let endless = |head: &str| Reply::Endless {
        head: format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes(),
        slow: false,
    };
    let (server, fetch) = outside(move |asked| match asked.path() {
        "/announced" => endless("content-length: 100001\r\n"),
        "/vast" => endless("content-length: 9223372036854775807\r\n"),
        "/silent" => endless(""),
        "/fits" => ok(&vec![b'x'; LIMIT]),
        _ => ok(&vec![b'x'; LIMIT + 1]),
    })
    .await;
    for path in ["/announced", "/vast", "/silent", "/over"] {
        let error = fetch
            .send(asking(&server, path).max_bytes(LIMIT))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { limit: LIMIT, .. }),
            "{path}: {error}"
        );
        assert_eq!(error.disposition(), Disposition::Reject);
    }
    let answer = fetch
        .send(asking(&server, "/fits").max_bytes(LIMIT))
        .await
        .unwrap();
    assert_eq!(answer.body.len(), LIMIT);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none_and_its_error_hides_the_query() {
    let (server, fetch) = outside(|asked| match asked.path() {
        "/half?q=secret" => Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
        _ => Reply::Bytes(Vec::new()),
    })
    .await;
    for path in ["/half?q=secret", "/none?q=secret"] {
        let error = fetch.send(asking(&server, path)).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error}");
        assert_eq!(error.disposition(), Disposition::Retry(None));
        let mut texts = vec![format!("{error:?} {error}")];
        let mut cause = std::error::Error::source(&error);
        while let Some(found) = cause {
            texts.push(format!("{found:?} {found}"));
            cause = found.source();
        }
        assert!(!texts.concat().contains("secret"), "{texts:?}");
    }
}

#[tokio::test]
async fn the_time_covers_silence_a_slow_body_and_redirects_together() {
    let (server, fetch) = outside(|asked| match asked.path() {
        "/silent" => Reply::Hang(Vec::new()),
        "/half" => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
        "/hop" => moved("/silent"),
        _ => Reply::Endless {
            head: b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            slow: true,
        },
    })
    .await;
    for path in ["/silent", "/half", "/hop", "/drops"] {
        let began = Instant::now();
        let request = asking(&server, path).within(Duration::from_millis(200));
        let error = fetch.send(request).await.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{path}: {error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{path}");
        assert_eq!(error.disposition(), Disposition::Retry(None));
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_because_nothing_would_bound_it() {
    let (server, fetch) = outside(|_| reply("200 OK", "content-encoding: gzip\r\n", b"\x1f\x8b")).await;
    let error = fetch.send(asking(&server, "/")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Encoded { found, .. } if found == "gzip"),
        "{error}"
    );
}

#[tokio::test]
async fn a_status_says_whether_another_try_can_help() {
    let (server, fetch) = outside(|asked| {
        let status = format!("{} Said", asked.path().trim_start_matches('/'));
        reply(&status, "retry-after: 7200\r\n", b"")
    })
    .await;
    let hour = Some(Duration::from_hours(1));
    for (status, expected) in [
        ("429", Disposition::Retry(hour)),
        ("503", Disposition::Retry(hour)),
        ("500", Disposition::Retry(hour)),
        ("404", Disposition::Reject),
        ("403", Disposition::Reject),
        ("501", Disposition::Reject),
    ] {
        let answer = fetch.send(asking(&server, &format!("/{status}"))).await.unwrap();
        let error = answer.success().unwrap_err();
        assert_eq!(error.disposition(), expected, "{status}");
    }
}

#[tokio::test]
async fn tls_is_checked_and_never_left() {
    let authority = Authority::new();
    let plain = Server::plain("127.0.0.1:0", |_| ok(b"plain")).await;
    let down = format!("http://shop.example:{}/", plain.port());
    let server = Server::tls(&authority, &["shop.example"], move |asked| match asked.path() {
        "/down" => moved(&down),
        _ => ok(b"sealed"),
    })
    .await;
    let at =
        |host: &str, path: &str| Request::read(&format!("https://{host}:{}{path}", server.port())).unwrap();
    let names = names().with("other.example", &[&["127.0.0.1"]]);
    let trusting = fetch(&names)
        .root_certificate(authority.pem())
        .unwrap()
        .build()
        .unwrap();

    let answer = trusting.send(at("shop.example", "/").https_only()).await.unwrap();
    assert_eq!(answer.body, "sealed");
    let error = trusting.send(at("shop.example", "/down")).await.unwrap_err();
    assert!(
        matches!(error, Error::Redirect { found: "to http", .. }),
        "{error}"
    );
    let error = trusting.send(asking(&plain, "/").https_only()).await.unwrap_err();
    assert!(matches!(error, Error::Request { .. }), "{error}");
    assert_eq!(plain.connections(), 0);
    let error = trusting.send(at("other.example", "/")).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }),
        "a certificate of another name: {error}"
    );
    let doubting = fetch(&names).build().unwrap();
    let error = doubting.send(at("shop.example", "/")).await.unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }),
        "an authority nobody knows: {error}"
    );
}

#[test]
fn headers_of_the_connection_are_not_the_callers() {
    let request = || Request::read("https://shop.example/").unwrap();
    for (name, value) in [
        ("Host", "inside"),
        ("content-length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("connection", "upgrade"),
        ("Accept-Encoding", "gzip"),
        ("proxy-authorization", "x"),
        ("x y", "z"),
        ("x-a", "b\r\nhost: inside"),
    ] {
        assert!(
            matches!(request().header(name, value), Err(Error::Request { .. })),
            "{name}"
        );
    }
    let long = format!("https://shop.example/{}", "x".repeat(4096));
    assert!(matches!(Request::read(&long), Err(Error::Request { .. })));
}

#[test]
fn a_root_that_is_no_certificate_is_told() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(
            Fetch::builder().root_certificate(pem.as_bytes()),
            Err(Error::Setup(_))
        ));
    }
}

#[tokio::test]
async fn a_closed_client_asks_nobody() {
    let server = Server::plain("127.0.0.1:0", |_| ok(b"x")).await;
    let closed = fetch(&names()).closed().build().unwrap();
    let refused = closed.send(asking(&server, "/")).await.unwrap_err();
    assert!(matches!(refused, Error::Closed { .. }), "{refused}");
    let url = asking(&server, "/").url;
    let put = closed.put(url, "text/plain", Bytes::new(), Duration::from_secs(5));
    let refused = put.await.unwrap_err();
    assert!(matches!(refused, Error::Closed { .. }), "{refused}");
    assert!(server.asked().is_empty());
}
