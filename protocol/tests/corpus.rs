//! The fuzzing corpus, replayed: what it once held must never harm again.

#[path = "../../tests/fuzz/src/decoders.rs"]
mod decoders;

use std::{fs, io, path::Path};

use decoders::DECODERS;

/// The inputs of a decoder.
fn corpus(decoder: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/fuzz/corpus")
        .join(decoder);
    fs::read_dir(folder)?.map(|file| fs::read(file?.path())).collect()
}

#[test]
fn every_decoder_takes_a_real_input_and_survives_every_one() {
    for (name, decoder) in DECODERS {
        let taken = corpus(name)
            .unwrap()
            .iter()
            .filter(|bytes| decoder(bytes))
            .count();
        assert!(
            taken > 0,
            "nothing in the corpus of `{name}` is taken: it proves nothing"
        );
    }
}

#[test]
fn inputs_that_are_cut_or_have_a_bit_flipped_are_survived() {
    for (name, decoder) in DECODERS {
        for mut bytes in corpus(name).unwrap() {
            for at in 0..bytes.len() {
                decoder(&bytes[..at]);
                bytes[at] ^= 0x80;
                decoder(&bytes);
                bytes[at] ^= 0x80;
            }
        }
    }
}
