//! Laws of the wire that no vector states: whatever is sealed opens to itself, whatever is touched does not, and no
//! bytes from outside make a reader panic.
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it did not expect, its fixtures too"
)]

mod decoders;
mod envelope;
mod invitation;
mod message;
mod people;
mod secrets;
mod token;
