use std::path::Path;

use herald_node::{Config, Host, clock, config::Tls};
use herald_protocol::proto::api::{SubscribeRequest, message_api_client::MessageApiClient};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::{harness::*, limits::public};

/// A certificate that vouches for itself, and its key; both PEM.
struct Own {
    cert: String,
    key: String,
}

impl Own {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let parameters = rcgen::CertificateParams::new(names).unwrap();
        Self {
            cert: parameters.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn write(&self, folder: &Path) {
        std::fs::write(folder.join("key.pem"), &self.key).unwrap();
        std::fs::write(folder.join("cert.pem"), &self.cert).unwrap();
    }

    fn https(&self) -> reqwest::Client {
        // Some provider has to be installed; another test's is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let root = reqwest::Certificate::from_pem(self.cert.as_bytes()).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "it stands for strangers who ask the node"
        )]
        let client = reqwest::Client::builder()
            .timeout(DEADLINE)
            .tls_certs_only([root])
            .build();
        client.unwrap()
    }

    async fn grpc(&self, node: &TestNode) -> Result<MessageApiClient<Channel>, tonic::transport::Error> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.cert));
        let address = format!("https://{}", node.addresses.grpc);
        let endpoint = Endpoint::from_shared(address).unwrap().tls_config(tls)?;
        Ok(MessageApiClient::new(endpoint.connect().await?))
    }
}

fn files(folder: &Path) -> Tls {
    Tls {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
        reload: std::time::Duration::from_millis(20),
    }
}

async fn with_tls(folder: &Path) -> TestNode {
    public(|config| config.tls = Some(files(folder))).await
}

#[tokio::test]
async fn both_ports_speak_tls_and_the_metrics_port_stays_plain() {
    let folder = tempfile::tempdir().unwrap();
    let own = Own::new();
    own.write(folder.path());
    let node = with_tls(folder.path()).await;
    let alice = Wallet::new(1);
    let body = serde_json::json!({ "envelopes": [envelope_json(&envelope("test-tls", 1, b"m"))] });
    let url = format!("https://{}/message/v1/publish", node.addresses.http);
    let request = own
        .https()
        .post(url)
        .header("authorization", &alice.bearer)
        .body(body.to_string());
    assert_eq!(
        answer(request).await,
        (200, Value::Object(serde_json::Map::new()))
    );
    let mut client = own.grpc(&node).await.unwrap();
    let page = client.query(ascending(["test-tls"])).await.unwrap().into_inner();
    assert_eq!(page.envelopes, [envelope("test-tls", 1, b"m")]);
    assert!(
        Own::new().grpc(&node).await.is_err(),
        "another certificate is not this one"
    );
    assert!(http().post(node.url("/message/v1/query")).send().await.is_err());
    let metrics = http().get(format!("http://{}/readyz", node.addresses.metrics));
    assert_eq!(metrics.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_new_connections_and_breaks_no_stream() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Own::new(), Own::new());
    old.write(folder.path());
    let node = with_tls(folder.path()).await;
    let mut client = old.grpc(&node).await.unwrap();
    let topics = SubscribeRequest {
        content_topics: vec!["test-reload".to_owned()],
    };
    let mut stream = client.subscribe(topics).await.unwrap().into_inner();
    new.write(folder.path());
    until("the new certificate is shown", async || {
        new.grpc(&node).await.is_ok()
    })
    .await;
    assert!(old.grpc(&node).await.is_err());

    let failed = || counter(r#"herald_node_certificate_reloads_total{outcome="failed"}"#);
    let before = failed();
    std::fs::write(folder.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    until("the broken file is seen", async || failed() > before).await;
    let mut client = new.grpc(&node).await.expect("the last good one stays");
    let sent = envelope("test-reload", 1, b"m");
    let request = Wallet::new(1).sign(herald_protocol::proto::api::PublishRequest {
        envelopes: vec![sent.clone()],
    });
    client.publish(request).await.unwrap();
    assert_eq!(take(&mut stream, 1).await, [sent]);
}

#[tokio::test]
async fn a_node_does_not_start_with_a_certificate_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    let start = async || {
        let any = || "127.0.0.1:0".to_owned();
        let config = Config {
            http: any(),
            grpc: any(),
            metrics: any(),
            store: folder.path().join("node.db").to_str().unwrap().parse().unwrap(),
            tls: Some(files(folder.path())),
            ..Config::default()
        };
        let listeners = config.bind().await.unwrap();
        let host = Host {
            clock: clock::wall.into(),
            metrics: METRICS.clone(),
        };
        let error = herald_node::run(listeners, config, host, CancellationToken::new()).await;
        error.unwrap_err().to_string()
    };
    let (one, other) = (Own::new(), Own::new());
    let cert = folder.path().join("cert.pem");
    let key = folder.path().join("key.pem");
    let missing = start().await;
    assert_eq!(
        missing,
        format!("`tls.cert`: `{}` cannot be read", cert.display())
    );
    one.write(folder.path());
    std::fs::remove_file(&key).unwrap();
    assert_eq!(
        start().await,
        format!("`tls.key`: `{}` cannot be read", key.display())
    );
    std::fs::write(&key, &other.key).unwrap();
    let text = format!(
        "`tls`: the key in `{}` cannot serve the certificate in `{}`",
        key.display(),
        cert.display()
    );
    assert_eq!(start().await, text);
    std::fs::write(&key, &one.cert).unwrap();
    assert!(start().await.contains("holds no private key in PEM form"));
    std::fs::write(&cert, "nothing").unwrap();
    assert!(start().await.contains("holds no certificate in PEM form"));
}
