//! Who may connect: so many in all, and so many of one address.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    caller::{Callers, Peer},
    config, metrics,
    places::{Place, Places},
};

/// The bounds of one set of ports, and what is in use of them.
#[derive(Debug)]
pub(crate) struct Gate {
    /// As metrics name it.
    name: &'static str,
    callers: Arc<Callers>,
    open: AtomicUsize,
    by_address: Arc<Places>,
    pub(super) limits: config::Limits,
    /// Bytes of requests that have not arrived in full.
    pub(super) unfinished: AtomicUsize,
}

impl Gate {
    pub(crate) fn new(name: &'static str, limits: config::Limits, callers: Arc<Callers>) -> Arc<Self> {
        metrics::connections(name, 0);
        Arc::new(Self {
            name,
            callers,
            open: AtomicUsize::new(0),
            by_address: Arc::new(Places::new(limits.connections_per_address)),
            limits,
            unfinished: AtomicUsize::new(0),
        })
    }

    /// Lets a connection in, unless there are too many.
    pub(super) fn admit(self: &Arc<Self>, address: SocketAddr) -> Option<Admitted> {
        let peer = self.callers.peer(address);
        let place = peer.counted().map(|source| self.by_address.take(source));
        if let Some(None) = place {
            metrics::connection_refused(self.name, "address");
            return None;
        }
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        // From here on dropping it counts it out again.
        let admitted = Admitted {
            peer,
            gate: Arc::clone(self),
            _place: place.flatten(),
        };
        if open > self.limits.connections.get() {
            metrics::connection_refused(self.name, "total");
            return None;
        }
        metrics::connections(self.name, open);
        Some(admitted)
    }
}

/// One connection's place.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) peer: Peer,
    pub(super) gate: Arc<Gate>,
    _place: Option<Place>,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let open = self.gate.open.fetch_sub(1, Ordering::Relaxed) - 1;
        metrics::connections(self.gate.name, open);
    }
}
