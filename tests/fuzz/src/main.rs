//! Fuzzes one decoder, the one named in `HERALD_DECODER`; `tests/fuzz/run` does it for each.
#![no_main]

mod content;
mod decoders;
mod node;

use std::sync::LazyLock;

use decoders::{DECODERS, Decoder};
use libfuzzer_sys::fuzz_target;

static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
    let name = std::env::var("HERALD_DECODER").unwrap_or_default();
    let mut all = DECODERS.iter().chain(&content::DECODERS).chain(&node::DECODERS);
    let named = all.find(|(one, _)| *one == name);
    named
        .unwrap_or_else(|| panic!("HERALD_DECODER names no decoder: `{name}`"))
        .1
});

fuzz_target!(|bytes: &[u8]| {
    DECODER(bytes);
});
