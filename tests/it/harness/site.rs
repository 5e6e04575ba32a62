//! Web servers of all kinds on this machine, which keep what they were asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{people::LOOK, program::DEADLINE};

/// What a site answers.
pub(crate) enum Answer {
    /// A status line, header lines, a body.
    Whole(&'static str, String, Vec<u8>),
    /// A 200 that never ends.
    Endless,
    /// Nothing, for as long as the other side waits.
    Silence,
}

/// A 200 with JSON.
pub(crate) fn ok(body: &Value) -> Answer {
    Answer::Whole("200 OK", String::new(), body.to_string().into_bytes())
}

/// A web server on this machine. It ends when it is dropped.
pub(crate) struct Site {
    address: SocketAddr,
    /// Head and body of every request.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    _serving: JoinSet<()>,
}

impl Site {
    /// A site that answers by path.
    pub(crate) async fn start(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::judging(move |path, _| answer(path)).await
    }

    /// A site that answers by the path and the head of a request.
    pub(crate) async fn judging(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Self {
            address,
            asked,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until it was asked so many times.
    pub(crate) async fn is_asked(&self, times: usize) {
        let waiting = async {
            while self.asked().len() < times {
                tokio::time::sleep(LOOK).await;
            }
        };
        let asked = tokio::time::timeout(DEADLINE, waiting).await;
        assert!(asked.is_ok(), "it was asked {} times", self.asked().len());
    }

    /// Head and body of every request so far.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: Arc<Mutex<Vec<(String, String)>>>,
    answer: Arc<impl Fn(&str, &str) -> Answer>,
) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .to_lowercase()
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    log.lock().unwrap().push((head.clone(), body));
    match answer(&path, &head) {
        Answer::Whole(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
        }
        Answer::Endless => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n[")
                .await;
            let spaces = vec![b' '; 65_536];
            while stream.write_all(&spaces).await.is_ok() {}
        }
        Answer::Silence => {
            let _ = stream.read_to_end(&mut bytes).await;
        }
    }
}
