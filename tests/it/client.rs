//! What the client promises, by real clients at a real node, or at one whose answers are written.

mod bad_input;
mod cache;
mod history;
mod lists;
mod pacing;
mod preferences;
mod reactions;
mod stream_cuts;
mod streams;
mod together;
mod v1;
mod v2;
mod vectors;
