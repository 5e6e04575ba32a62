//! How calls and answers are encoded: as `tonic-prost` does it, with buffers that begin small.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::BufferSettings;
use tonic_prost::ProstCodec;

/// Both sides of a call keep a buffer as long as the call lasts, a live stream for days. The library's begin with 8 KiB, which
/// was most of what an idle stream cost a node; these grow to what a message needs.
#[derive(Debug)]
pub(crate) struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> tonic::codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as tonic::codec::Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as tonic::codec::Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(FIRST_BYTES, YIELD_BYTES)
}

/// A refusal, a cursor, a subscription to a few topics.
const FIRST_BYTES: usize = 256;
/// The library's own: so much of a stream is gathered before it is sent, when more is there at once.
const YIELD_BYTES: usize = 32 * 1024;
