//! The certificate of the node, which is exchanged while it runs.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{config, metrics};

/// Why the files of `tls` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("`tls.{key}`: `{}` cannot be read", path.display())]
    Unreadable {
        /// `cert` or `key`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in the file.
    #[error("`tls.cert`: `{}` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error("`tls.key`: `{}` holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`, not encrypted)", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The two do not go together, or are of a kind that is not supported.
    #[error("`tls`: the key in `{}` cannot serve the certificate in `{}`", key.display(), cert.display())]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        #[source]
        source: rustls::Error,
    },
    /// The protocol cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// What connections are shown: always the newest files that could be used.
pub(crate) struct Certificate {
    files: config::Tls,
    protocol: ServerConfig,
    current: Arc<Current>,
    /// What was loaded first: what has changed since then is taken over by the first look.
    loaded: Seen,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Certificate");
        shown.field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificate {
    pub(crate) fn load(files: config::Tls) -> Result<Arc<Self>, Error> {
        let provider = Arc::new(ring::default_provider());
        let pem = Pem::read(&files)?;
        let loaded = pem.digest();
        let certified = pem.certified(&files, &provider)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(certified))));
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let protocol = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(Arc::new(Self {
            files,
            protocol,
            current,
            loaded,
        }))
    }

    /// Accepts connections that will speak one of these protocols.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = self.protocol.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Looks at the files now and then, until `shutdown`.
    pub(crate) async fn keep_current(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(self.files.reload);
        let mut seen = self.loaded;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let certificate = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || {
                certificate.look(&mut seen);
                seen
            });
            // It can only fail by a panic; then the next look is for the same change.
            seen = looked.await.unwrap_or(seen);
        }
    }

    /// Takes the files over if they are others than those that were `seen` last. What cannot be used is told once.
    fn look(&self, seen: &mut Seen) {
        let read = Pem::read(&self.files);
        let found = read.as_ref().map_or(Seen::Unreadable, Pem::digest);
        if std::mem::replace(seen, found) == found {
            return;
        }
        match read.and_then(|pem| pem.certified(&self.files, self.protocol.crypto_provider())) {
            Ok(certified) => {
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certified);
                metrics::certificate_reloaded("ok");
                tracing::info!(cert = %self.files.cert.display(), "the certificate was exchanged");
            }
            Err(error) => {
                metrics::certificate_reloaded("failed");
                let cause = std::error::Error::source(&error);
                tracing::error!(%error, cause, "the new certificate is not used; the old one stays");
            }
        }
    }
}

/// What a look at the files found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Unreadable,
    Files([u8; 32]),
}

/// The texts of both files.
struct Pem {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Pem {
    fn read(files: &config::Tls) -> Result<Self, Error> {
        let read = |key, path: &Path| {
            std::fs::read(path).map_err(|source| Error::Unreadable {
                key,
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            cert: read("cert", &files.cert)?,
            key: read("key", &files.key)?,
        })
    }

    fn digest(&self) -> Seen {
        let digest = Sha256::new()
            .chain_update(self.cert.len().to_be_bytes())
            .chain_update(&self.cert)
            .chain_update(&self.key);
        Seen::Files(digest.finalize().into())
    }

    fn certified(&self, files: &config::Tls, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
        let no_certificate = || Error::NoCertificate {
            path: files.cert.clone(),
        };
        let chain = CertificateDer::pem_slice_iter(&self.cert).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| Error::NoKey {
            path: files.key.clone(),
        })?;
        CertifiedKey::from_der(chain, key, provider).map_err(|source| Error::Mismatch {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        })
    }
}

/// HTTP/2, as TLS names it.
pub(crate) const HTTP2: &[u8] = b"h2";
/// HTTP/1.1, as TLS names it.
pub(crate) const HTTP1: &[u8] = b"http/1.1";

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a certificate that vouches for itself, and gives its bytes.
    fn write(files: &config::Tls) -> CertificateDer<'static> {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.cert, certificate.pem()).unwrap();
        certificate.der().clone()
    }

    #[test]
    fn a_certificate_that_was_renewed_before_the_first_look_is_taken_over_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = config::Tls {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
            reload: std::time::Duration::from_mins(1),
        };
        write(&files);
        let certificate = Certificate::load(files.clone()).unwrap();
        let renewed = write(&files);
        let mut seen = certificate.loaded;
        certificate.look(&mut seen);
        let shown = certificate.current.0.read().unwrap();
        assert_eq!(shown.cert, [renewed]);
    }
}
