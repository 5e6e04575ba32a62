//! What the process that runs a node lends to it.

use herald_protocol::time::TimestampNs;
use metrics_exporter_prometheus::PrometheusHandle;

/// Reads the wall clock.
pub type Clock = fn() -> TimestampNs;

/// Clock and metrics of the process, so that several nodes can live in one.
#[derive(Clone)]
pub struct Host {
    /// The wall clock.
    pub clock: Clock,
    /// Renders `/metrics`; see [`crate::metrics::install`].
    pub metrics: PrometheusHandle,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Host").finish_non_exhaustive()
    }
}
