//! A TCP proxy that loses answers: the node has done what it was asked, and whoever asked does not learn it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::program::DEADLINE;

/// Forwards to a node until it is told to lose answers.
pub(crate) struct Proxy {
    address: String,
    fault: Arc<Fault>,
    answered: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

struct Fault {
    /// From the moment these bytes went to the node, nothing comes back any more.
    needle: watch::Sender<Option<Vec<u8>>>,
    /// Whether they went.
    forwarded: watch::Sender<bool>,
    cut: watch::Sender<CancellationToken>,
}

impl Proxy {
    pub(crate) async fn to(node: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fault = Arc::new(Fault {
            needle: watch::Sender::new(None),
            forwarded: watch::Sender::new(false),
            cut: watch::Sender::new(CancellationToken::new()),
        });
        let answered = Arc::new(AtomicUsize::new(0));
        let (node, shared, counted) = (node.to_owned(), Arc::clone(&fault), Arc::clone(&answered));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (asking, _) = listener.accept().await.unwrap();
                let answering = TcpStream::connect(&node).await.unwrap();
                connections.spawn(connection(
                    asking,
                    answering,
                    Arc::clone(&shared),
                    Arc::clone(&counted),
                ));
            }
        });
        Self {
            address,
            fault,
            answered,
            _tasks: tasks,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The bytes of all answers so far.
    pub(crate) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// From the first request on that holds `needle`, answers are held back. The request itself is forwarded.
    pub(crate) fn hold_answers_after(&self, needle: &str) {
        self.fault.forwarded.send_replace(false);
        self.fault.needle.send_replace(Some(needle.as_bytes().to_vec()));
    }

    /// Waits until the request is forwarded whose answer is held.
    pub(crate) async fn until_held(&self) {
        let mut forwarded = self.fault.forwarded.subscribe();
        let held = tokio::time::timeout(DEADLINE, forwarded.wait_for(|forwarded| *forwarded));
        held.await.expect("the request is forwarded").unwrap();
    }

    /// Lets the answers through that are held.
    pub(crate) fn release(&self) {
        self.fault.needle.send_replace(None);
        self.fault.forwarded.send_replace(false);
    }

    /// Cuts every connection, and forwards new ones as if nothing had been.
    pub(crate) fn cut(&self) {
        self.fault.cut.send_replace(CancellationToken::new()).cancel();
        self.release();
    }
}

async fn connection(asking: TcpStream, answering: TcpStream, fault: Arc<Fault>, answered: Arc<AtomicUsize>) {
    let cut = fault.cut.borrow().clone();
    let (mut from_asking, mut to_asking) = asking.into_split();
    let (mut from_node, mut to_node) = answering.into_split();
    let requests = async {
        let (mut bytes, mut tail) = (vec![0; 65_536], Vec::new());
        while let Ok(read @ 1..) = from_asking.read(&mut bytes).await {
            if let Some(needle) = fault.needle.borrow().as_ref() {
                tail.extend_from_slice(&bytes[..read]);
                if tail.windows(needle.len()).any(|window| window == needle) {
                    fault.forwarded.send_replace(true);
                }
                let keep = tail.len().saturating_sub(needle.len());
                tail.drain(..keep);
            }
            if to_node.write_all(&bytes[..read]).await.is_err() {
                return;
            }
        }
    };
    let answers = async {
        let mut bytes = vec![0; 65_536];
        let mut forwarded = fault.forwarded.subscribe();
        while let Ok(read @ 1..) = from_node.read(&mut bytes).await {
            answered.fetch_add(read, Ordering::Relaxed);
            if forwarded.wait_for(|forwarded| !forwarded).await.is_err()
                || to_asking.write_all(&bytes[..read]).await.is_err()
            {
                return;
            }
        }
    };
    tokio::select! {
        // The answer that is held must not slip out when the connection is cut.
        biased;
        () = cut.cancelled() => {}
        () = requests => {}
        () = answers => {}
    }
}
