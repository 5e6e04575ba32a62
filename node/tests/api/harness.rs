//! Starting nodes and speaking to them.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

use herald_node::{Addresses, Config, Host, clock, metrics};
use herald_protocol::{
    bundle::{PrivateKeyBundle, UnsignedIdentity},
    key::PrivateKey,
    proto::api::{Envelope, PublishRequest, QueryRequest, message_api_client::MessageApiClient},
    time::{Clock, TimestampNs},
    token,
    wallet::WalletKey,
};
use herald_test_postgres::Cluster;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status, Streaming,
    transport::{Channel, Endpoint},
};

/// One recorder for the process, as for every process with nodes.
pub(crate) static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| metrics::install().unwrap());

/// No wait in these tests is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct TestNode {
    pub(crate) addresses: Addresses,
    shutdown: CancellationToken,
    running: JoinSet<Result<(), herald_node::Error>>,
    place: Place,
}

/// What a node leaves behind for its next start.
pub(crate) struct Place {
    folder: TempDir,
    /// Of the store, as in a configuration.
    pub(crate) url: String,
}

impl Place {
    /// An empty store of the kind that this program tests.
    pub(crate) fn new() -> Self {
        let mut place = Self::on("");
        place.url = if crate::ON_POSTGRES {
            Cluster::shared().database()
        } else {
            place.path().join("node.db").to_str().unwrap().to_owned()
        };
        place
    }

    /// A store that is somewhere else.
    pub(crate) fn on(url: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            url: url.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A configuration file with this store and these settings.
    pub(crate) fn config(&self, settings: &Value) -> PathBuf {
        let mut settings = settings.clone();
        settings["store"] = json!(self.url);
        let text = settings.to_string();
        let path = self.path().join(format!("{:x}.yaml", text.len()));
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_in(Place::new(), change).await
    }

    pub(crate) async fn start_in(place: Place, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_by(clock::wall, place, change).await
    }

    /// A node with another clock than the wall's.
    pub(crate) async fn start_at(clock: impl Into<Clock>) -> Self {
        Self::start_by(clock, Place::new(), |_| {}).await
    }

    async fn start_by(clock: impl Into<Clock>, place: Place, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            http: "127.0.0.1:0".to_owned(),
            grpc: "localhost:0".to_owned(),
            metrics: "127.0.0.1:0".to_owned(),
            store: place.url.parse().unwrap(),
            ..Config::default()
        };
        change(&mut config);
        let listeners = config.bind().await.unwrap();
        let addresses = listeners.addresses();
        let shutdown = CancellationToken::new();
        let host = Host {
            clock: clock.into(),
            metrics: METRICS.clone(),
        };
        let mut running = JoinSet::new();
        running.spawn(herald_node::run(listeners, config, host, shutdown.clone()));
        Self {
            addresses,
            shutdown,
            running,
            place,
        }
    }

    /// Where its store is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn begin_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Ends the node and leaves its store.
    pub(crate) async fn stop(self) -> Place {
        let (place, ended) = self.end().await;
        ended.unwrap();
        place
    }

    /// The same for a node that may have a reason to end badly.
    pub(crate) async fn end(mut self) -> (Place, Result<(), herald_node::Error>) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(DEADLINE, self.running.join_next()).await;
        let ended = ended.expect("the node ends in time").unwrap().unwrap();
        (self.place, ended)
    }

    pub(crate) async fn grpc(&self) -> MessageApiClient<Channel> {
        MessageApiClient::new(channel(self.addresses.grpc).await)
    }

    pub(crate) async fn publish(&self, wallet: &Wallet, envelopes: Vec<Envelope>) {
        let request = wallet.sign(PublishRequest { envelopes });
        self.grpc().await.publish(request).await.unwrap();
    }

    /// Everything on a topic, oldest first.
    pub(crate) async fn stored(&self, topic: &str) -> Vec<Envelope> {
        let mut client = self.grpc().await;
        let mut query = ascending([topic]);
        let mut stored = Vec::new();
        loop {
            let page = client.query(query.clone()).await.unwrap().into_inner();
            stored.extend(page.envelopes);
            let paging = page.paging_info.unwrap();
            if paging.cursor.is_none() {
                return stored;
            }
            query.paging_info.as_mut().unwrap().cursor = paging.cursor;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addresses.http)
    }

    /// POSTs JSON without a token.
    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        answer(http().post(self.url(path)).body(body)).await
    }

    pub(crate) async fn post_as(&self, wallet: &Wallet, path: &str, body: &Value) -> (u16, Value) {
        let request = http()
            .post(self.url(path))
            .header("authorization", &wallet.bearer);
        answer(request.body(body.to_string())).await
    }
}

pub(crate) async fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .initial_stream_window_size(65_535)
        .connect()
        .await
        .unwrap()
}

pub(crate) fn http() -> reqwest::Client {
    // Clients with TLS want a provider even where only plain HTTP is spoken; another test's is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(
        clippy::disallowed_methods,
        reason = "it stands for strangers who ask the node"
    )]
    let client = reqwest::Client::builder().timeout(DEADLINE).build();
    client.unwrap()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["content-type"], "application/json");
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap(),
    )
}

/// A wallet with an identity and a token made a moment ago.
pub(crate) struct Wallet {
    pub(crate) keys: PrivateKeyBundle,
    pub(crate) bearer: String,
}

impl Wallet {
    pub(crate) fn new(seed: u8) -> Self {
        let now = clock::wall();
        let key = |salt: u8| PrivateKey::from_bytes(&[seed, salt].repeat(16)).unwrap();
        let wallet = WalletKey::from_bytes(&[seed; 32]).unwrap();
        let identity = UnsignedIdentity::legacy(key(1), now);
        let signature = wallet.sign_text(&identity.text());
        let keys = identity
            .signed(wallet.address(), &signature, key(2), now)
            .unwrap();
        let bearer = token::bearer(&keys, now).unwrap();
        Self { keys, bearer }
    }

    pub(crate) fn address(&self) -> String {
        self.keys.address().to_string()
    }

    pub(crate) fn bearer_dated(&self, created: TimestampNs) -> String {
        token::bearer(&self.keys, created).unwrap()
    }

    pub(crate) fn sign<T>(&self, message: T) -> Request<T> {
        with_header(message, &self.bearer)
    }
}

pub(crate) fn with_header<T>(message: T, authorization: &str) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", authorization.parse().unwrap());
    request
}

pub(crate) fn envelope(topic: &str, timestamp_ns: u64, message: impl AsRef<[u8]>) -> Envelope {
    Envelope {
        content_topic: topic.to_owned(),
        timestamp_ns,
        message: message.as_ref().to_vec().into(),
    }
}

pub(crate) fn envelope_json(envelope: &Envelope) -> Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    json!({
        "contentTopic": envelope.content_topic,
        "timestampNs": envelope.timestamp_ns.to_string(),
        "message": STANDARD.encode(&envelope.message),
    })
}

pub(crate) fn ascending<const N: usize>(topics: [&str; N]) -> QueryRequest {
    query(topics, 1, 0)
}

/// Direction and limit as on the wire.
pub(crate) fn query<const N: usize>(topics: [&str; N], direction: i32, limit: u32) -> QueryRequest {
    use herald_protocol::proto::api::PagingInfo;
    QueryRequest {
        content_topics: topics.map(str::to_owned).to_vec(),
        paging_info: Some(PagingInfo {
            limit,
            cursor: None,
            direction,
        }),
        ..QueryRequest::default()
    }
}

/// The next `count` envelopes of a stream.
pub(crate) async fn take(stream: &mut Streaming<Envelope>, count: usize) -> Vec<Envelope> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(DEADLINE, stream.message()).await;
        taken.push(
            next.expect("an envelope arrives in time")
                .unwrap()
                .expect("the stream goes on"),
        );
    }
    taken
}

pub(crate) async fn end_of(stream: &mut Streaming<Envelope>) -> Status {
    loop {
        match tokio::time::timeout(DEADLINE, stream.message())
            .await
            .expect("the stream ends in time")
        {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a reason"),
            Err(status) => return status,
        }
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The sum of a counter over its labels, in this whole process.
pub(crate) fn counter(name: &str) -> f64 {
    let text = METRICS.render();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
