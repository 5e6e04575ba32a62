//! Connections to the database, and the settings every one of them needs.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{sync::OnceCell, task::JoinSet, time::timeout};
use tokio_postgres::{AsyncMessage, Client, Config, Notification, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{super::OpenError, tail::PIECE};
use crate::config::Database;

/// How to reach the database.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    /// Whether a commit is on disk before it is answered.
    synced: bool,
}

/// One open connection. Dropping it ends it.
pub(super) struct Session {
    pub(super) client: Client,
    /// Moves bytes between client and socket.
    _driver: JoinSet<()>,
    head: OnceCell<Statement>,
    piece: OnceCell<Statement>,
}

impl Connector {
    pub(super) fn new(database: &Database, synced: bool) -> Result<Self, OpenError> {
        let mut config = database.config.clone();
        config.application_name("herald-node");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIME);
        }
        // A server that vanished must not hold a publish for the quarter of an hour that TCP takes.
        config
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3)
            .tcp_user_timeout(SILENCE);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::database(database, error))?
            .with_root_certificates(authorities(database)?)
            .with_no_client_auth();
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(tls),
            synced,
        })
    }

    /// Opens a connection; `told` is called for every notification.
    pub(super) async fn connect(
        &self,
        mut told: impl FnMut(Notification) + Send + 'static,
    ) -> Result<Session, Failed> {
        let connecting = self.config.connect(self.tls.clone());
        let (client, mut connection) = timeout(HANDSHAKE_TIME, connecting)
            .await
            .map_err(|_| Failed::Silent)??;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(message) = messages.next().await {
                match message {
                    Ok(AsyncMessage::Notification(notification)) => told(notification),
                    Ok(_) => {}
                    // Whoever uses the client learns of it by an error of his own.
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the database broke");
                        break;
                    }
                }
            }
        });
        client.batch_execute(SETTINGS).await?;
        if !self.synced {
            client.batch_execute("SET synchronous_commit = off").await?;
        }
        Ok(Session {
            client,
            _driver: driver,
            head: OnceCell::new(),
            piece: OnceCell::new(),
        })
    }
}

impl Session {
    /// The newest committed arrival of all nodes.
    pub(super) async fn head(&self) -> Result<i64, tokio_postgres::Error> {
        let head = || self.client.prepare("SELECT head FROM arrival");
        let head = self.head.get_or_try_init(head).await?;
        self.client.query_one(head, &[]).await?.try_get(0)
    }

    /// What reads a piece of the arrivals.
    pub(super) async fn piece(&self) -> Result<&Statement, tokio_postgres::Error> {
        self.piece.get_or_try_init(|| self.client.prepare(PIECE)).await
    }

    /// The process that serves this session.
    pub(super) async fn process(&self) -> Result<i32, tokio_postgres::Error> {
        let row = self.client.query_one("SELECT pg_backend_pid()", &[]).await?;
        row.try_get(0)
    }

    /// Warns when the server itself breaks the promise of an acknowledgement.
    pub(super) async fn check_durability(&self) -> Result<(), tokio_postgres::Error> {
        for setting in ["fsync", "full_page_writes"] {
            let row = self.client.query_one(&format!("SHOW {setting}"), &[]).await?;
            if row.try_get::<_, &str>(0)? == "off" {
                tracing::warn!(
                    "the database runs with `{setting} = off`: acknowledged envelopes may not survive a power cut"
                );
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    /// It takes connections and says nothing.
    #[error("the database does not answer")]
    Silent,
}

/// Whether another try may succeed, by the class of the SQLSTATE: lost connections, resources, an operator's intervention,
/// serialisation, a read-only server during a failover.
pub(super) fn is_passing(error: &tokio_postgres::Error) -> bool {
    error.code().is_none_or(|state| {
        ["08", "25", "40", "53", "55", "57", "58"]
            .iter()
            .any(|class| state.code().starts_with(class))
    })
}

/// Certificates that may vouch for the server: the operator's file, or the web's authorities.
fn authorities(database: &Database) -> Result<RootCertStore, OpenError> {
    let mut store = RootCertStore::empty();
    let Some(path) = &database.authority else {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(store);
    };
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| OpenError::Authority {
        path: path.clone(),
        source,
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.into()))? {
        let certificate = certificate.map_err(|error| unusable(error.into()))?;
        store.add(certificate).map_err(|error| unusable(error.into()))?;
    }
    if store.is_empty() {
        return Err(unusable(
            "found no certificate, wanted at least one in PEM".into(),
        ));
    }
    Ok(store)
}

/// A commit is answered when it is on disk, whatever the server's default. Every query of a node goes by an index, also before
/// the first ANALYZE; compiling one takes longer than running it.
pub(super) const SETTINGS: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SET enable_seqscan = off;
    SET jit = off;
    SET statement_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s'";
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// With TLS and authentication.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(20);
