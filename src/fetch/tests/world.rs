//! Servers that do what they are told, a certificate authority, and names that mean what the test says.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, ToSocketAddrs},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::fetch::{Builder, Fetch};

/// What a server got.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The request line and headers.
    pub(crate) head: String,
    /// The body, as long as `content-length` says.
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

/// What a server says back.
pub(crate) enum Reply {
    /// A whole answer; the connection stays open for the next request.
    Whole(Vec<u8>),
    /// These bytes, and the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, and then silence until the other side is gone.
    Hang(Vec<u8>),
    /// These bytes, and then `x` without end, one by one where `slow`.
    Endless { head: Vec<u8>, slow: bool },
}

/// A 200 with a body.
pub(crate) fn ok(body: &[u8]) -> Reply {
    reply("200 OK", "", body)
}

/// A status, further header lines (each with its line end), and a body.
pub(crate) fn reply(status: &str, headers: &str, body: &[u8]) -> Reply {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    Reply::Whole(bytes)
}

/// A redirect.
pub(crate) fn moved(to: &str) -> Reply {
    reply("302 Found", &format!("location: {to}\r\n"), b"")
}

/// A listening server. It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
    _task: JoinSet<()>,
}

type Answering = dyn Fn(&Asked) -> Reply + Send + Sync;

impl Server {
    pub(crate) async fn plain(
        at: impl ToSocketAddrs,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(at, None, Arc::new(answer)).await
    }

    /// Speaks TLS with a certificate for these names.
    pub(crate) async fn tls(
        authority: &Authority,
        names: &[&str],
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start("127.0.0.1:0", Some(authority.acceptor(names)), Arc::new(answer)).await
    }

    async fn start(at: impl ToSocketAddrs, tls: Option<TlsAcceptor>, answer: Arc<Answering>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, asked) = (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (counter, log) = (Arc::clone(&connections), Arc::clone(&asked));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let (tls, answer, log) = (tls.clone(), Arc::clone(&answer), Arc::clone(&log));
                // Whoever asks may hang up at any time, so what goes wrong here is no failure of the test.
                open.spawn(async move {
                    let _ = match tls {
                        None => serve(stream, &*answer, &log).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &*answer, &log).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self {
            address,
            connections,
            asked,
            _task: task,
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Answering,
    log: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    let mut asked = read(&mut stream).await?;
    let mut reply = answer(&asked);
    while let Reply::Whole(bytes) = reply {
        log.lock().unwrap().push(asked);
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        asked = read(&mut stream).await?;
        reply = answer(&asked);
    }
    log.lock().unwrap().push(asked);
    match reply {
        Reply::Whole(bytes) | Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Hang(bytes) => {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            stream.read(&mut [0; 1]).await.map(drop)
        }
        Reply::Endless { head, slow } => {
            stream.write_all(&head).await?;
            let some = if slow { vec![b'x'] } else { vec![b'x'; 65536] };
            loop {
                stream.write_all(&some).await?;
                stream.flush().await?;
                if slow {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec())
        .unwrap()
        .to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(Asked {
        head: String::from_utf8(bytes[..head].to_vec()).unwrap(),
        body: bytes.split_off(head).into(),
    })
}

/// A certificate authority that nobody knows but who is told.
pub(crate) struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self {
            issuer: rcgen::Issuer::new(parameters, key),
            pem,
        }
    }

    pub(crate) fn pem(&self) -> &[u8] {
        self.pem.as_bytes()
    }

    fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(names).unwrap();
        let certificate = certificate.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Names and what each lookup of them finds, the last answer for ever.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<HashMap<String, Lookups>>>);

#[derive(Default)]
struct Lookups {
    made: usize,
    found: Vec<Vec<IpAddr>>,
}

impl Names {
    /// `name` is found at these addresses, by the first lookup, the second, and so on.
    pub(crate) fn with(self, name: &str, lookups: &[&[&str]]) -> Self {
        let parsed = |addresses: &&[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        let lookups = Lookups {
            made: 0,
            found: lookups.iter().map(parsed).collect(),
        };
        self.0.lock().unwrap().insert(name.to_owned(), lookups);
        self
    }

    pub(crate) fn lookups(&self, name: &str) -> usize {
        self.0.lock().unwrap()[name].made
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let mut names = self.0.lock().unwrap();
        let found = names.get_mut(name.as_str()).map(|lookups| {
            lookups.made += 1;
            lookups.found[lookups.made.min(lookups.found.len()) - 1].clone()
        });
        Box::pin(async move {
            let found = found.ok_or_else(|| io::Error::other("no such name"))?;
            let found: Vec<_> = found
                .into_iter()
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A client to which names mean what `names` says, and that may reach 127.0.0.1, where the servers of the tests are; not
/// 127.0.0.2, where the canaries are.
pub(crate) fn fetch(names: &Names) -> Builder {
    let mut builder = Fetch::builder().allow("127.0.0.1/32".parse().unwrap());
    builder.lookup = Arc::new(names.clone());
    builder
}
