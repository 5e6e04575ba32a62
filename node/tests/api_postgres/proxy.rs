//! Stands between a node and the database and cuts connections where it hurts.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

/// A socket that leads to the database.
pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Connections that were cut.
    pub(crate) cuts: Arc<AtomicU32>,
    _serving: JoinSet<()>,
    _folder: TempDir,
}

impl Proxy {
    /// Leads to the database of `url`. When a client has said `marker`, its next answer is withheld and the connection cut: the
    /// first `times` times.
    pub(crate) fn start(url: &str, marker: &'static str, times: u32) -> Self {
        let (_, rest) = url.split_once('@').unwrap();
        let (socket, name) = rest.split_once('/').unwrap();
        let target = Path::new(&socket.replace("%2F", "/")).join(".s.PGSQL.5432");
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let cuts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&cuts);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&target).await.unwrap();
                connections.spawn(pass(client, server, marker, times, Arc::clone(&counted)));
            }
        });
        Self {
            url: format!(
                "postgres://postgres@{}/{name}",
                folder.path().display().to_string().replace('/', "%2F")
            ),
            cuts,
            _serving: serving,
            _folder: folder,
        }
    }
}

async fn pass(
    mut client: UnixStream,
    mut server: UnixStream,
    marker: &str,
    times: u32,
    cuts: Arc<AtomicU32>,
) {
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut awaited = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read.unwrap_or(0)];
                awaited |= bytes.windows(marker.len()).any(|window| window == marker.as_bytes());
                if bytes.is_empty() || server.write_all(bytes).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let bytes = &answered[..read.unwrap_or(0)];
                // The database has answered, so it has committed.
                if awaited && cuts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |cuts| {
                    (cuts < times).then_some(cuts + 1)
                }).is_ok() {
                    return;
                }
                awaited = false;
                if bytes.is_empty() || client.write_all(bytes).await.is_err() {
                    return;
                }
            }
        }
    }
}
