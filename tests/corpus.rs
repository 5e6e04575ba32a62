//! The fuzzing corpus of the contents, replayed. That of the protocol is replayed by the tests of `herald-protocol`.

#[path = "fuzz/src/content.rs"]
mod content;
#[path = "fuzz/src/replay.rs"]
mod replay;

use content::DECODERS;

const CORPORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");

#[test]
fn every_content_decoder_takes_a_real_input_and_survives_every_one() {
    replay::replay(CORPORA, &DECODERS);
}

#[test]
fn contents_that_are_cut_or_have_a_bit_flipped_are_survived() {
    replay::replay_damaged(CORPORA, &DECODERS, &[1, 2, 4, 8, 16, 32, 64, 128]);
}
