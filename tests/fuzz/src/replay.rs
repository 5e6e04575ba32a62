//! Replays a corpus: what it once held must never harm again.

use std::{fs, io, path::Path};

/// A decoder by the name of its corpus.
type Named = (&'static str, fn(&[u8]) -> bool);

/// The inputs of a decoder, in its folder of the corpora.
fn corpus(corpora: &str, decoder: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(corpora).join(decoder);
    fs::read_dir(folder)?.map(|file| fs::read(file?.path())).collect()
}

/// Every decoder takes a real input, so that its corpus proves something, and survives all of them.
pub(crate) fn replay(corpora: &str, decoders: &[Named]) {
    for (name, decoder) in decoders {
        let inputs = corpus(corpora, name).unwrap_or_default();
        let taken = inputs.iter().filter(|bytes| decoder(bytes)).count();
        assert!(
            taken > 0,
            "nothing in the corpus of `{name}` is taken: it proves nothing"
        );
    }
}

/// Inputs that are cut anywhere, or have one of these bits flipped in any byte, are survived.
pub(crate) fn replay_damaged(corpora: &str, decoders: &[Named], bits: &[u8]) {
    for (name, decoder) in decoders {
        for mut bytes in corpus(corpora, name).unwrap_or_default() {
            for at in 0..bytes.len() {
                decoder(&bytes[..at]);
                for bit in bits {
                    bytes[at] ^= bit;
                    decoder(&bytes);
                    bytes[at] ^= bit;
                }
            }
        }
    }
}
