//! Laws of the wire that no vector states: whatever is sealed opens to itself, whatever is touched does not, and no
//! bytes from outside make a reader panic.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what it did not expect, its fixtures too"
)]

mod consent;
mod contact;
mod decoders;
mod edges;
mod envelope;
mod invitation;
mod message;
mod message_v1;
mod people;
mod rotation;
mod secrets;
mod token;
