//! A backend that is called back: keeps what it was told, and answers as a test says.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{people::now, program::DEADLINE, shop::SECRET};

/// What a receiver does with what it is told.
#[derive(Clone)]
pub(crate) enum Answers {
    /// This status, and a body.
    With(u16, &'static str),
    /// A redirect to this URL.
    To(String),
    /// Nothing, for as long as the other side waits.
    Silence,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// A web server of the shop. It ends when it is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    told: watch::Receiver<Vec<Told>>,
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        Self::start_at([127, 0, 0, 1].into()).await
    }

    pub(crate) async fn start_at(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(Answers::With(200, "")));
        let (sender, told) = watch::channel(Vec::new());
        let routes = Router::new()
            .fallback(take)
            .with_state((Arc::new(sender), Arc::clone(&answers)));
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self {
            address,
            answers,
            told,
            _serving: serving,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers like this, but for paths that begin with `/ok`.
    pub(crate) fn answers(&self, answers: Answers) {
        *self.answers.lock().unwrap() = answers;
    }

    /// Everything it was told so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.borrow().clone()
    }

    /// Waits until `enough` is true of what it was told, and gives that.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let mut told = self.told.clone();
        let waited = tokio::time::timeout(DEADLINE, told.wait_for(|told| enough(told))).await;
        assert!(waited.is_ok(), "not told: {what}; it was told {:#?}", self.told());
        self.told()
    }

    /// Waits until it was told so often.
    pub(crate) async fn count(&self, count: usize) -> Vec<Told> {
        self.until(&format!("{count} times"), |told| told.len() >= count)
            .await
    }
}

type Shared = (Arc<watch::Sender<Vec<Told>>>, Arc<Mutex<Answers>>);

/// Takes a request, which must be signed with the shop's secret as the Standard Webhooks specification says.
async fn take(State((told, answers)): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(format!("{id}.{timestamp}.{text}").as_bytes());
    let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), wanted);
    let age = now().as_seconds().abs_diff(timestamp.parse().unwrap());
    assert!(age < 60, "the try is dated {age} s away");
    assert_eq!(header("content-type"), "application/json");
    let path = uri.path().to_owned();
    let answers = if path.starts_with("/ok") {
        Answers::With(204, "")
    } else {
        answers.lock().unwrap().clone()
    };
    let body = serde_json::from_str(&text).unwrap();
    told.send_modify(|told| told.push(Told { path, id, text, body }));
    match answers {
        Answers::With(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Answers::To(url) => (StatusCode::FOUND, [("location", url)]).into_response(),
        Answers::Silence => std::future::pending().await,
    }
}
