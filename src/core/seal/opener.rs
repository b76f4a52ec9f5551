//! Opening at random access, from pieces that the caller fetched.
//!
//! Owns the order of trust: header, then final segment, then the requested bytes. It refuses to
//! fetch. The sequential way to read FLOE is deliberately absent, because it releases the front of
//! an object before it can detect that the tail is missing.
//!
//! INVARIANT: plaintext is in one buffer, which is zeroed when no slice of it is held any more. An
//! `Opener` exists only for an object whose header and final segment were authentic, so its length
//! is true.

use bytes::{Bytes, BytesMut};
use fast_floe::{
    Header,
    low_level::{self, DecryptionState, SEGMENT_PAYLOAD_OFFSET},
};

use zeroize::Zeroize as _;

use super::{
    Error,
    context::Bound,
    span::{Layout, Span},
};
use crate::secret::Key;

/// One sealed object, ready to be opened in any order.
pub struct Opener {
    state: DecryptionState,
    layout: Layout,
    /// Plaintext of the final segment, kept so that a range which ends there does not fetch it
    /// twice.
    tail: Bytes,
}

impl Opener {
    /// Takes the bytes at [`Layout::header`] and [`Layout::final_segment`] and authenticates both.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] before any key is used if the header names anything but the segment
    /// length of `layout`; [`Error::Truncated`] or [`Error::NotAuthentic`] otherwise.
    pub fn new(
        key: &Key,
        context: &impl Bound,
        layout: Layout,
        header: &[u8],
        final_segment: Bytes,
    ) -> Result<Self, Error> {
        let header = Header::try_from(header)?;
        if header.unverified_parameters()? != layout.parameters() {
            return Err(Error::UnknownFormat);
        }
        let key = fast_floe::Key::from_bytes(*key.expose());
        let mut state = low_level::start_decryption(
            &key,
            &context.associated_data(),
            layout.parameters(),
            &header,
        )?;
        let mut tail = Opened(writable(final_segment));
        if tail.0.len() != layout.last().ciphertext_length() {
            return Err(Error::Truncated);
        }
        state.decrypt_segment_in_place_raw(&mut tail.0, layout.last())?;
        let payload =
            SEGMENT_PAYLOAD_OFFSET..SEGMENT_PAYLOAD_OFFSET + layout.last().plaintext_length();
        Ok(Self {
            state,
            layout,
            tail: Bytes::from_owner(tail).slice(payload),
        })
    }

    /// The shape of the object, authenticated.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Opens the ciphertext at [`Span::sealed`] and returns the plaintext of the span in order, as
    /// slices of one buffer. Works in place if `sealed` is not shared, and in a copy otherwise.
    ///
    /// # Errors
    /// If one segment is not authentic, nothing of the span is released.
    pub fn open(&mut self, span: &Span, sealed: Bytes) -> Result<Vec<Bytes>, Error> {
        if span.layout != self.layout {
            return Err(Error::OutOfRange {
                plain_len: self.layout.plain_len(),
            });
        }
        if sealed.len() as u64 != span.sealed().end - span.sealed().start {
            return Err(Error::Truncated);
        }
        let mut opened = Opened(writable(sealed));
        let mut rest: &mut [u8] = &mut opened.0;
        for position in span.positions.clone() {
            let segment = self.layout.segment(position).ok_or(Error::OutOfRange {
                plain_len: self.layout.plain_len(),
            })?;
            let (this, behind) = rest
                .split_at_mut_checked(segment.ciphertext_length())
                .ok_or(Error::Truncated)?;
            self.state.decrypt_segment_in_place_raw(this, segment)?;
            rest = behind;
        }
        Ok(self.slices(span, &Bytes::from_owner(opened)))
    }

    /// Removes framing and the bytes outside the span.
    fn slices(&self, span: &Span, opened: &Bytes) -> Vec<Bytes> {
        let full = self.layout.parameters().plaintext_segment_length();
        let step = self.layout.parameters().ciphertext_segment_length();
        let inner = (0..opened.len() / step)
            .map(|index| index * step + SEGMENT_PAYLOAD_OFFSET)
            .map(|at| opened.slice(at..at + full));
        let mut skip = span.skip;
        let mut take = span.take;
        let mut slices = Vec::with_capacity(opened.len() / step + 1);
        for segment in inner.chain(span.final_too.then(|| self.tail.clone())) {
            let from = skip.min(segment.len());
            let to = (from + take).min(segment.len());
            skip -= from;
            take -= to - from;
            slices.push(segment.slice(from..to));
        }
        slices
    }
}

/// A buffer in which segments are opened. Zeroed when the last slice of it is dropped, wherever
/// that is held.
struct Opened(BytesMut);

impl AsRef<[u8]> for Opened {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.as_mut().zeroize();
    }
}

fn writable(bytes: Bytes) -> BytesMut {
    bytes
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(shared.as_ref()))
}
