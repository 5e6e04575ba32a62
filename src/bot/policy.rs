//! What the policy of a rule asks of a row that is due. Pure: times, zones and what a file says enter; an instant to wait for
//! leaves, or nothing when there is no reason to wait.

/// Hours of a day, of some days of the week, in somebody's zone.
pub mod window;
