//! The fuzzing corpus, replayed.

#[path = "../../tests/fuzz/src/decoders.rs"]
mod decoders;
#[path = "../../tests/fuzz/src/replay.rs"]
mod replay;

use decoders::DECODERS;

const CORPORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");

#[test]
fn every_decoder_takes_a_real_input_and_survives_every_one() {
    replay::replay(CORPORA, &DECODERS);
}

#[test]
fn inputs_that_are_cut_or_have_a_bit_flipped_are_survived() {
    replay::replay_damaged(CORPORA, &DECODERS, &[0x80]);
}
