//! HTTP as the world outside does it.

use std::sync::LazyLock;

/// A client that any test may ask herald with.
pub(crate) fn http() -> reqwest::Client {
    CLIENT.clone()
}

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // Clients with TLS want a provider even where only plain HTTP is spoken; another test's is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    #[expect(clippy::disallowed_methods, reason = "it stands for strangers who ask herald")]
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build();
    client.unwrap()
});
