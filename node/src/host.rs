//! What the process that runs a node lends to it.

use metrics_exporter_prometheus::PrometheusHandle;

pub use herald_protocol::time::Clock;

/// Clock and metrics of the process, so that several nodes can live in one.
#[derive(Clone)]
pub struct Host {
    /// The wall clock; tests have others.
    pub clock: Clock,
    /// Renders `/metrics`; see [`crate::metrics::install`].
    pub metrics: PrometheusHandle,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Host").finish_non_exhaustive()
    }
}
