//! Places that strangers' URLs may not lead to: as addresses in URLs, and behind names.

use std::sync::Arc;

use super::world::{Names, Server, fetch, ok};
use crate::{
    client::Disposition,
    fetch::{Error, Fetch, Request, address::Allowed, place},
};

/// What a URL is refused for: the kind of its address, or a part of what was found.
enum For {
    Address(&'static str),
    Request(&'static str),
}
use For::{Address, Request as Wrong};

/// `PORT` is where a canary listens that local addresses would reach.
const URLS: &[(&str, For)] = &[
    // this machine
    ("http://127.0.0.1:PORT/", Address("loopback")),
    ("http://127.0.0.2:PORT/", Address("loopback")),
    ("http://127.255.255.254:PORT/", Address("loopback")),
    ("https://127.0.0.1:PORT/", Address("loopback")),
    ("http://0.0.0.0:PORT/", Address("unspecified")),
    ("http://0.1.2.3:PORT/", Address("unspecified")),
    ("http://[::1]:PORT/", Address("loopback")),
    ("http://[::]:PORT/", Address("unspecified")),
    ("http://[0:0:0:0:0:0:0:1]:PORT/", Address("loopback")),
    ("http://[::ffff:127.0.0.1]:PORT/", Address("loopback")),
    ("http://[::ffff:7f00:1]:PORT/", Address("loopback")),
    ("http://[::ffff:0.0.0.0]:PORT/", Address("unspecified")),
    ("http://[::127.0.0.1]:PORT/", Address("IPv4-compatible")),
    ("http://[::ffff:0:127.0.0.1]:PORT/", Address("reserved")),
    // other spellings of it
    ("http://0x7f.1:PORT/", Wrong("another spelling")),
    ("http://0x7f000001:PORT/", Wrong("another spelling")),
    ("http://2130706433:PORT/", Wrong("another spelling")),
    ("http://017700000001:PORT/", Wrong("another spelling")),
    ("http://0177.0.0.1:PORT/", Wrong("another spelling")),
    ("http://127.1:PORT/", Wrong("another spelling")),
    ("http://127.0.1:PORT/", Wrong("another spelling")),
    ("http://127.0.0.1.:PORT/", Wrong("another spelling")),
    ("http://%31%32%37.0.0.1:PORT/", Wrong("another spelling")),
    (
        "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1:PORT/",
        Wrong("another spelling"),
    ),
    ("http://①②⑦.⓪.⓪.①:PORT/", Wrong("another spelling")),
    ("http:\\\\127.0.0.1:PORT/", Wrong("another spelling")),
    ("http:127.0.0.1:PORT/", Wrong("another spelling")),
    ("http:////127.0.0.1:PORT/", Wrong("another spelling")),
    ("ht\ttp://127.0.0.1:PORT/", Wrong("another spelling")),
    ("http://134744072:PORT/", Wrong("another spelling")),
    ("HTTP://127.0.0.1:PORT/", Address("loopback")),
    ("http://256.0.0.1:PORT/", Wrong("no URL")),
    ("http://127.0.0.1.1:PORT/", Wrong("no URL")),
    ("http://[::1%25lo]:PORT/", Wrong("no URL")),
    ("http://localhost.:PORT/", Wrong("dot")),
    ("http://example.com.:PORT/", Wrong("dot")),
    // private networks
    ("http://10.0.0.1:PORT/", Address("private")),
    ("http://10.255.255.255:PORT/", Address("private")),
    ("http://172.16.0.1:PORT/", Address("private")),
    ("http://172.31.255.255:PORT/", Address("private")),
    ("http://192.168.1.1:PORT/", Address("private")),
    ("http://100.64.0.1:PORT/", Address("carrier-grade NAT")),
    ("http://100.127.255.255:PORT/", Address("carrier-grade NAT")),
    ("http://[fc00::1]:PORT/", Address("unique local")),
    ("http://[fd12:3456::1]:PORT/", Address("unique local")),
    ("http://[::ffff:10.0.0.1]:PORT/", Address("private")),
    ("http://[fec0::1]:PORT/", Address("reserved")),
    // metadata services and the link
    ("http://169.254.169.254/latest/meta-data/", Address("link-local")),
    (
        "http://[fd00:ec2::254]/latest/meta-data/",
        Address("unique local"),
    ),
    ("http://[::ffff:a9fe:a9fe]/latest/", Address("link-local")),
    ("http://[fe80::1]:PORT/", Address("link-local")),
    ("http://192.0.0.192/", Address("reserved")),
    // many at once, or nobody
    ("http://224.0.0.1:PORT/", Address("multicast")),
    ("http://239.255.255.250:1900/", Address("multicast")),
    ("http://255.255.255.255:PORT/", Address("reserved or broadcast")),
    ("http://240.0.0.1:PORT/", Address("reserved or broadcast")),
    ("http://[ff02::1]:PORT/", Address("multicast")),
    ("http://192.0.2.1:PORT/", Address("documentation")),
    ("http://198.51.100.1:PORT/", Address("documentation")),
    ("http://203.0.113.1:PORT/", Address("documentation")),
    ("http://198.18.0.1:PORT/", Address("benchmark")),
    ("http://198.19.255.255:PORT/", Address("benchmark")),
    ("http://[2001:db8::1]:PORT/", Address("documentation")),
    ("http://[3fff::1]:PORT/", Address("documentation")),
    ("http://[2001:2::1]:PORT/", Address("reserved")),
    ("http://[100::1]:PORT/", Address("discarded")),
    ("http://[4000::1]:PORT/", Address("reserved")),
    // through a translator or tunnel
    ("http://[64:ff9b::7f00:1]:PORT/", Address("loopback")),
    ("http://[64:ff9b::10.0.0.1]:PORT/", Address("private")),
    ("http://[64:ff9b::a9fe:a9fe]:PORT/", Address("link-local")),
    ("http://[64:ff9b:1::1]:PORT/", Address("local NAT64")),
    ("http://[2002:7f00:1::1]:PORT/", Address("6to4")),
    ("http://[2002:a00:1::1]:PORT/", Address("6to4")),
    ("http://[2001:0:7f00:1::80ff:fffe]:PORT/", Address("Teredo")),
    ("http://192.88.99.1:PORT/", Address("6to4 relay")),
    // not HTTP, not its ports, not without a name
    ("file:///etc/passwd", Wrong("scheme `file`")),
    ("gopher://example.com:PORT/_x", Wrong("scheme `gopher`")),
    ("ftp://example.com/", Wrong("scheme `ftp`")),
    ("unix:/run/docker.sock", Wrong("scheme `unix`")),
    ("http+unix://%2Frun%2Fdocker.sock/", Wrong("scheme `http+unix`")),
    ("data:text/plain,x", Wrong("scheme `data`")),
    ("ws://example.com/", Wrong("scheme `ws`")),
    ("javascript:alert(1)", Wrong("scheme `javascript`")),
    ("http://example.com:22/", Wrong("port 22")),
    ("http://example.com:25/", Wrong("port 25")),
    ("http://example.com:0/", Wrong("port 0")),
    ("https://example.com:1023/", Wrong("port 1023")),
    ("http://user@example.com/", Wrong("user")),
    ("http://user:secret@example.com/", Wrong("user")),
    ("http://example.com:80@127.0.0.1:PORT/", Wrong("user")),
    ("http://:secret@127.0.0.1:PORT/", Wrong("user")),
    ("http://", Wrong("no URL")),
    ("/etc/passwd", Wrong("no URL")),
    ("//127.0.0.1:PORT/", Wrong("no URL")),
    ("http://exa mple.com/", Wrong("no URL")),
    ("", Wrong("no URL")),
];

#[track_caller]
fn assert_refused(url: &str, expected: &For, error: &Error) {
    match (expected, error) {
        (Address(wanted), Error::Refused { kind, .. }) => assert_eq!(kind, wanted, "{url}"),
        (Wrong(part), Error::Request { found, .. }) => assert!(found.contains(part), "{url}: {found}"),
        _ => panic!("{url}: {error}"),
    }
    assert_eq!(error.disposition(), Disposition::Reject, "{url}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn no_hostile_url_reaches_anybody() {
    assert!(URLS.len() >= 60);
    let canary = Server::plain("0.0.0.0:0", |_| ok(b"inside")).await;
    let port = canary.port().to_string();
    let fetch = Fetch::builder().build().unwrap();
    for (url, expected) in URLS {
        let url = url.replace("PORT", &port);
        let error = match Request::read(&url) {
            Ok(request) => fetch.send(request).await.unwrap_err(),
            Err(error) => error,
        };
        assert_refused(&url, expected, &error);
    }
    assert_eq!(canary.connections(), 0);
    // The canary sings when it is reached.
    let allowed = Fetch::builder().allow("127.0.0.0/8".parse().unwrap());
    let request = Request::read(&format!("http://127.0.0.1:{port}/")).unwrap();
    let answer = allowed.build().unwrap().send(request).await.unwrap();
    assert_eq!(answer.body, "inside");
    assert_eq!(canary.connections(), 1);
}

#[tokio::test]
async fn no_name_leads_to_an_address_that_a_url_could_not_name() {
    let canary = Server::plain("0.0.0.0:0", |_| ok(b"inside")).await;
    let mut checked = 0;
    for (url, expected) in URLS {
        let (Address(wanted), Ok(parsed)) = (expected, place::parse(&url.replace("PORT", "80"))) else {
            continue;
        };
        let address = parsed.host_str().unwrap().trim_matches(['[', ']']).to_owned();
        let names = Names::default().with("inside.example", &[&[address.as_str()]]);
        let mut builder = Fetch::builder();
        builder.lookup = Arc::new(names);
        let asked = Request::read(&format!("http://inside.example:{}/?key=secret", canary.port())).unwrap();
        let error = builder.build().unwrap().send(asked).await.unwrap_err();
        assert_refused(&address, &Address(wanted), &error);
        checked += 1;
    }
    assert!(checked >= 40, "{checked}");
    assert_eq!(canary.connections(), 0);
}

#[test]
fn public_places_are_not_refused() {
    for url in [
        "https://example.com/feed.xml",
        "http://example.com",
        "https://example.com:443/",
        "https://example.com:8443/",
        "http://example.com:8080/x?y=z#f",
        "http://example.com:1024/",
        "https://bücher.example/",
        "http://8.8.8.8/",
        "HTTP://8.8.8.8:80/",
        "http://1.1.1.1:8080/",
        "http://9.255.255.255/",
        "http://11.0.0.0/",
        "http://100.63.255.255/",
        "http://100.128.0.0/",
        "http://126.255.255.255/",
        "http://128.0.0.0/",
        "http://169.253.255.255/",
        "http://172.15.255.255/",
        "http://172.32.0.0/",
        "http://192.167.255.255/",
        "http://192.169.0.0/",
        "http://198.17.255.255/",
        "http://198.20.0.0/",
        "http://223.255.255.255/",
        "http://[2606:4700::1111]/",
        "http://[2a00:1450:4001::1]:8080/",
        "http://[2001:4860:4860::8888]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[64:ff9b::808:808]/",
    ] {
        let judged = place::parse(url).and_then(|parsed| place::judge(&parsed, false, &Allowed::default()));
        assert!(judged.is_ok(), "{url}: {judged:?}");
    }
}

#[test]
fn the_operator_allows_networks_and_nothing_beside_them() {
    let mut allowed = Allowed::default();
    allowed.add("10.1.0.0/16".parse().unwrap());
    allowed.add("fd00:1::/32".parse().unwrap());
    for address in [
        "10.1.0.0",
        "10.1.255.255",
        "::ffff:10.1.2.3",
        "64:ff9b::a01:203",
        "fd00:1::9",
    ] {
        assert_eq!(allowed.judge(address.parse().unwrap()), Ok(()), "{address}");
    }
    for address in [
        "10.0.255.255",
        "10.2.0.0",
        "::ffff:10.2.0.0",
        "64:ff9b::a02:0",
        "fd00:2::9",
        "127.0.0.1",
    ] {
        assert!(allowed.judge(address.parse().unwrap()).is_err(), "{address}");
    }
}

#[tokio::test]
async fn an_address_of_a_name_is_left_out_where_another_one_is_fine() {
    let canary = Server::plain("127.0.0.2:0", |_| ok(b"inside")).await;
    let server = Server::plain(("127.0.0.1", canary.port()), |_| ok(b"outside")).await;
    let names = Names::default().with("both.example", &[&["127.0.0.2", "10.0.0.1", "127.0.0.1"]]);
    let asked = Request::read(&format!("http://both.example:{}/", server.port())).unwrap();
    let answer = fetch(&names).build().unwrap().send(asked).await.unwrap();
    assert_eq!(answer.body, "outside");
    assert_eq!((server.connections(), canary.connections()), (1, 0));
}
