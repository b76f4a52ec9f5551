//! Content for measurements: periodic random bytes, so that their generation is not measured.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use bytes::Bytes;
use futures_util::{Stream, stream};

/// The period in bytes: larger than every cache of the processor.
const PERIOD: usize = 64 << 20;
/// The size of a chunk, as from a network.
const CHUNK: usize = 64 << 10;

/// Content of any length.
pub(crate) struct Noise(Bytes);

impl Noise {
    pub(crate) fn new() -> Self {
        let mut bytes = vec![0; PERIOD];
        rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
        Self(bytes.into())
    }

    /// Returns `length` bytes, in pieces of at most `size` that share its memory. `size` must
    /// divide the period.
    pub(crate) fn pieces(
        &self,
        length: u64,
        size: usize,
    ) -> impl Iterator<Item = Bytes> + Send + use<> {
        let noise = self.0.clone();
        let mut left = length;
        let mut at = 0;
        std::iter::from_fn(move || {
            let take = usize::try_from(left).map_or(size, |left| left.min(size));
            let piece = noise.slice(at..at + take);
            left -= take as u64;
            at = (at + take) % PERIOD;
            (take > 0).then_some(piece)
        })
    }

    /// Returns it as a stream, as from a network.
    pub(crate) fn stream(
        &self,
        length: u64,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Unpin + use<> {
        stream::iter(self.pieces(length, CHUNK).map(Ok))
    }

    /// Writes the same bytes to a file, durably.
    pub(crate) fn write(&self, length: u64, path: &Path) -> io::Result<()> {
        let mut file = File::create_new(path)?;
        for piece in self.pieces(length, CHUNK) {
            file.write_all(&piece)?;
        }
        file.sync_all()
    }
}
