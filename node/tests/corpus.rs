//! The fuzzing corpus of the node, replayed.

#[path = "../../tests/fuzz/src/node.rs"]
mod node;
#[path = "../../tests/fuzz/src/replay.rs"]
mod replay;

use node::DECODERS;

const CORPORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/corpus");

#[test]
fn every_decoder_of_the_node_takes_a_real_input_and_survives_every_one() {
    replay::replay(CORPORA, &DECODERS);
}

#[test]
fn requests_that_are_cut_or_have_a_bit_flipped_are_survived() {
    replay::replay_damaged(CORPORA, &DECODERS, &[1, 2, 4, 8, 16, 32, 64, 128]);
}
