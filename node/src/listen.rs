//! Taking the ports of a node, and saying who has them when they are taken.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::SocketAddr,
};

use tokio::net::TcpListener;

use crate::Config;

mod holder;

/// The bound ports of one node, not yet served.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) http: TcpListener,
    pub(crate) grpc: TcpListener,
    pub(crate) metrics: TcpListener,
    addresses: Addresses,
}

/// Where a node really listens: the chosen port where the configuration said 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// HTTP/JSON gateway.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub metrics: SocketAddr,
}

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// HTTP/JSON gateway.
    Http,
    /// gRPC.
    Grpc,
    /// Metrics and health.
    Metrics,
    /// The API of the process that embeds the node.
    Api,
}

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Http => "the HTTP gateway",
            Self::Grpc => "gRPC",
            Self::Metrics => "metrics and health",
            Self::Api => "herald's API",
        })
    }
}

/// Why a port could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Somebody else listens there.
    #[error(
        "`{address}` for {purpose} is in use by {holder}; stop that, or choose another port (0 takes any free one)"
    )]
    InUse {
        /// As configured.
        address: String,
        /// What it was wanted for.
        purpose: Purpose,
        /// Process number and command, as far as they can be seen.
        holder: String,
    },
    /// The address cannot be used at all.
    #[error("cannot listen on `{address}` for {purpose}")]
    Unusable {
        /// As configured.
        address: String,
        /// What it was wanted for.
        purpose: Purpose,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

impl Config {
    /// Takes the three ports.
    ///
    /// # Errors
    /// When one of them cannot be had; the others are given back.
    pub async fn bind(&self) -> Result<Listeners, Error> {
        let (http, http_address) = listen(&self.http, Purpose::Http).await?;
        let (grpc, grpc_address) = listen(&self.grpc, Purpose::Grpc).await?;
        let (metrics, metrics_address) = listen(&self.metrics, Purpose::Metrics).await?;
        let addresses = Addresses {
            http: http_address,
            grpc: grpc_address,
            metrics: metrics_address,
        };
        Ok(Listeners {
            http,
            grpc,
            metrics,
            addresses,
        })
    }
}

impl Listeners {
    /// The ports that were taken.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }
}

/// Takes one address; a busy one says by whom.
pub async fn listen(address: &str, purpose: Purpose) -> Result<(TcpListener, SocketAddr), Error> {
    let unusable = |source| Error::Unusable {
        address: address.to_owned(),
        purpose,
        source,
    };
    let listener = match TcpListener::bind(address).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
            let holder = port.and_then(holder::of_port);
            return Err(Error::InUse {
                address: address.to_owned(),
                purpose,
                holder: holder.unwrap_or_else(|| "another process".to_owned()),
            });
        }
        bound => bound.map_err(unusable)?,
    };
    let bound = listener.local_addr().map_err(unusable)?;
    Ok((listener, bound))
}
