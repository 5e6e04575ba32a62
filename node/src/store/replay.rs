//! The arrival order read back, for streams that fell behind.

use crate::envelope::Arrival;

/// A piece of the arrival order.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) arrivals: Vec<Arrival>,
    /// Everything wanted up to here is in `arrivals`.
    pub(crate) scanned_to: i64,
}

/// Arrivals looked at for one piece.
pub(super) const SCANNED_ROWS: i64 = 4_096;
/// Both bound the memory of a stream that is fed from the store.
pub(super) const PIECE_BYTES: usize = 1024 * 1024;
pub(super) const PIECE_ROWS: usize = 256;
