//! The sound itself: a stream that is sure of what it yields.
//!
//! Owns the check that a body is a whole RIFF/WAVE file: a connection that breaks is not always an error to HTTP, and an error document with
//! the wrong type is not sound.
//!
//! INVARIANT: nothing is yielded before the first 12 bytes are known to be RIFF/WAVE; after an error nothing more is yielded.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream::BoxStream};

use super::{FetchError, Hiccup, Refusal, hiccup};

/// `RIFF`, a length, `WAVE`.
const MAGIC_LEN: usize = 12;

/// The bytes of a WAV file in order; memory is bounded by one network read.
pub struct Body {
    /// `None` once it has ended, well or badly.
    chunks: Option<BoxStream<'static, reqwest::Result<Bytes>>>,
    check: Check,
}

impl Body {
    pub(super) fn new(chunks: impl Stream<Item = reqwest::Result<Bytes>> + Send + 'static, content_length: Option<u64>) -> Self {
        Self { chunks: Some(chunks.boxed()), check: Check::new(content_length) }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Some(chunks) = &mut this.chunks {
            let checked = match ready!(chunks.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => this.check.push(chunk),
                Some(Err(error)) => Err(hiccup(&error, this.check.received).into()),
                None => {
                    this.chunks = None;
                    return Poll::Ready(this.check.finish().err().map(Err));
                }
            };
            match checked {
                Ok(None) => {}
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => {
                    this.chunks = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

/// The state of the check; no I/O.
struct Check {
    content_length: Option<u64>,
    /// The first bytes, held back until there are enough to judge.
    head: BytesMut,
    /// The least length that the header promises; known once the head is judged.
    riff_length: Option<u64>,
    received: u64,
}

impl Check {
    fn new(content_length: Option<u64>) -> Self {
        Self { content_length, head: BytesMut::new(), riff_length: None, received: 0 }
    }

    /// Takes a chunk; gives what may be passed on.
    fn push(&mut self, chunk: Bytes) -> Result<Option<Bytes>, FetchError> {
        self.received += chunk.len() as u64;
        if let Some(expected) = self.content_length.filter(|&expected| self.received > expected) {
            return Err(Hiccup::Length { received: self.received, expected }.into());
        }
        if self.riff_length.is_some() {
            return Ok((!chunk.is_empty()).then_some(chunk));
        }
        // Almost always the first chunk is long enough and goes through without a copy.
        let start = if self.head.is_empty() {
            chunk
        } else {
            self.head.extend_from_slice(&chunk);
            self.head.split().freeze()
        };
        if start.len() < MAGIC_LEN {
            self.head.extend_from_slice(&start);
            return Ok(None);
        }
        self.riff_length = Some(riff_length(&start).ok_or(Refusal::NotRiff)?);
        Ok(Some(start))
    }

    fn finish(&self) -> Result<(), FetchError> {
        let received = self.received;
        if let Some(expected) = self.content_length.filter(|&expected| received != expected) {
            return Err(Hiccup::Length { received, expected }.into());
        }
        match self.riff_length {
            Some(expected) if received < expected => Err(Hiccup::Length { received, expected }.into()),
            Some(_) => Ok(()),
            None if received == 0 => Err(Hiccup::Length { received, expected: MAGIC_LEN as u64 }.into()),
            None => Err(Refusal::NotRiff.into()),
        }
    }
}

/// The least length of the file in bytes, or `None` if it is not RIFF/WAVE.
///
/// The header counts the bytes after its first eight. A writer that could not go back leaves 0 or all ones; then the header promises nothing
/// but itself.
fn riff_length(start: &[u8]) -> Option<u64> {
    let rest = start.strip_prefix(b"RIFF")?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    if !rest.starts_with(b"WAVE") {
        return None;
    }
    Some(match u32::from_le_bytes(*size) {
        0 | u32::MAX => MAGIC_LEN as u64,
        size => u64::from(size) + 8,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file of `len` bytes whose header says `size`.
    fn wav(len: usize, size: u32) -> Vec<u8> {
        let mut bytes = [b"RIFF".as_slice(), &size.to_le_bytes(), b"WAVE"].concat();
        bytes.resize(len, 7);
        bytes
    }

    /// What comes through if the file arrives in chunks of these lengths (repeated).
    fn run(file: &[u8], lengths: &[usize], content_length: Option<u64>) -> Result<Vec<u8>, FetchError> {
        let mut check = Check::new(content_length);
        let mut passed = Vec::new();
        let mut rest = file;
        for &length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at(length.min(rest.len()));
            passed.extend(check.push(Bytes::copy_from_slice(chunk))?.unwrap_or_default());
            assert!(passed.is_empty() || passed.len() >= MAGIC_LEN);
            rest = later;
        }
        check.finish()?;
        Ok(passed)
    }

    fn length(received: u64, expected: u64) -> FetchError {
        Hiccup::Length { received, expected }.into()
    }

    #[test]
    fn a_whole_file_passes_however_it_is_cut() {
        let file = wav(100, 92);
        for at in [1, 3, 4, 8, 11, 12, 13, 99, 100] {
            assert_eq!(run(&file, &[at], Some(100)).unwrap(), file, "{at}");
            assert_eq!(run(&file, &[at], None).unwrap(), file, "{at}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let file = wav(100, 92);
        for at in 0..100 {
            assert!(run(&file[..at], &[16], Some(100)).is_err(), "{at}");
            assert!(run(&file[..at], &[16], None).is_err(), "{at}");
        }
        assert_eq!(run(&file[..99], &[16], None), Err(length(99, 100)));
        assert_eq!(run(&[], &[1], None), Err(length(0, 12)));
        assert_eq!(run(&[], &[1], Some(100)), Err(length(0, 100)));
    }

    #[test]
    fn more_than_promised_by_the_length_is_an_error_and_more_than_promised_by_the_header_is_not() {
        let file = wav(101, 92);
        assert_eq!(run(&file, &[50], Some(100)), Err(length(101, 100)));
        assert_eq!(run(&file, &[50], Some(101)).unwrap(), file);
        assert_eq!(run(&file, &[50], None).unwrap(), file);
    }

    #[test]
    fn a_header_without_a_size_promises_nothing() {
        for size in [0, u32::MAX] {
            for len in [12, 13, 100] {
                assert!(run(&wav(len, size), &[5], None).is_ok());
            }
            assert_eq!(run(&wav(12, size), &[5], Some(13)), Err(length(12, 13)));
        }
        assert!(run(&wav(100, u32::MAX - 1), &[5], None).is_err());
    }

    #[test]
    fn anything_but_riff_wave_is_refused_before_a_byte_comes_through() {
        let mut avi = wav(100, 92);
        avi[8..12].copy_from_slice(b"AVI ");
        for file in [b"<?xml version='1.0'?><TwilioResponse/>".as_slice(), &avi, b"RIFX\x5c\0\0\0WAVE", b"RIFF", b"x", &[0; 100]] {
            for at in [1, 5, 200] {
                assert_eq!(run(file, &[at], None), Err(Refusal::NotRiff.into()), "{at} {file:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn chunking_changes_nothing(
            file in prop::collection::vec(any::<u8>(), 0..64),
            real in any::<bool>(),
            lengths in prop::collection::vec(1_usize..20, 1..8),
            claimed in proptest::option::of(0_u64..80),
        ) {
            let file = if real { [wav(12, 20), file].concat() } else { file };
            match (run(&file, &[1000], claimed), run(&file, &lengths, claimed)) {
                (Ok(whole), Ok(parts)) => prop_assert_eq!(whole, parts),
                (whole, parts) => prop_assert_eq!(whole.is_err(), parts.is_err()),
            }
        }
    }
}
