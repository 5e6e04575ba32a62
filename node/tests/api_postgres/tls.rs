//! The way to the database over TLS. What ends it here is the test's own, as a connection pooler in front of a database would be.

use std::{path::Path, sync::Arc};

use herald_node::config::Location;
use herald_test_postgres::Cluster;
use rcgen::CertifiedKey;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{harness::*, process::Process};

struct Front {
    port: u16,
    database: String,
    _serving: JoinSet<()>,
}

/// Listens on a port with this certificate, and leads to a new database.
async fn front(certified: &CertifiedKey<rcgen::KeyPair>) -> Front {
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let url = Cluster::shared().database();
    let (_, rest) = url.split_once('@').unwrap();
    let (socket, database) = rest.split_once('/').unwrap();
    let socket = Path::new(&socket.replace("%2F", "/")).join(".s.PGSQL.5432");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            connections.spawn(async move { pass(client, acceptor, &socket).await });
        }
    });
    Front {
        port,
        database: database.to_owned(),
        _serving: serving,
    }
}

async fn pass(mut client: TcpStream, acceptor: TlsAcceptor, socket: &Path) -> Option<()> {
    // SSLRequest: its length and its number.
    let mut request = [0; 8];
    client.read_exact(&mut request).await.ok()?;
    assert_eq!(
        request,
        [0, 0, 0, 8, 4, 210, 22, 47],
        "nothing is said before TLS"
    );
    client.write_all(b"S").await.ok()?;
    let mut client = acceptor.accept(client).await.ok()?;
    let mut server = UnixStream::connect(socket).await.ok()?;
    copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}

fn certified() -> CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

#[tokio::test]
async fn a_database_is_reached_over_tls_when_its_certificate_is_vouched_for() {
    let certified = certified();
    let front = front(&certified).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, certified.cert.pem()).unwrap();
    let url = format!(
        "postgres://postgres@localhost:{}/{}?sslrootcert={}",
        front.port,
        front.database,
        authority.display()
    );
    let store: Location = url.parse().unwrap();
    let node = TestNode::start_with(|config| config.store = store).await;
    let alice = Wallet::new(1);
    let sent = envelope("test-tls", 1, b"m");
    node.publish(&alice, vec![sent.clone()]).await;
    assert_eq!(node.stored("test-tls").await, [sent]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_a_certificate_of_a_stranger_is_refused() {
    let front = front(&certified()).await;
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, certified().cert.pem()).unwrap();
    let address = format!(
        "postgres://postgres:secret@localhost:{}/{}",
        front.port, front.database
    );
    for (url, problem, exit) in [
        (
            format!("{address}?sslmode=require"),
            "error performing TLS handshake",
            3,
        ),
        (
            format!("{address}?sslrootcert={}", other.display()),
            "error performing TLS handshake",
            3,
        ),
        (
            format!("{address}?sslrootcert={}/none", folder.path().display()),
            "certificates of the database in",
            2,
        ),
    ] {
        let place = Place::on(&url);
        let (code, _, why) = Process::run(&place, &["export", "-"]);
        assert_eq!(code, Some(exit), "{why}");
        assert!(why.contains(problem) && !why.contains("secret"), "{why}");
    }
}
