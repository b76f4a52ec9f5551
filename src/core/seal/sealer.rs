//! Sealing while the plaintext arrives.
//!
//! Owns the order of segments. It retains up to one full segment of plaintext, because only the end
//! of the input determines whether a full segment was the final one; everything else goes straight
//! into the caller's buffer and is encrypted there.
//!
//! INVARIANT: plaintext is copied only into reserved capacity, so that no copy of it is left
//! behind; each position is sealed at most once, and exactly one segment is final.

use bytes::BytesMut;
use fast_floe::low_level::{
    self, EncryptionState, MessageLayout, SEGMENT_PAYLOAD_OFFSET, SegmentLayout,
};
use zeroize::Zeroizing;

use super::{Error, context::Bound, segment::SegmentLength};
use crate::secret::Key;

/// How many segments FLOE allows in one AES-256-GCM message (FLOE.md, "Parameters":
/// `AEAD_MAX_SEGMENTS`).
const MAX_SEGMENTS: u64 = 1 << 40;

/// The lengths of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedLength {
    /// Bytes of plaintext.
    pub plain_len: u64,
    /// Bytes of ciphertext, header included.
    pub sealed_len: u64,
}

/// Seals one object from front to back.
pub struct Sealer {
    state: EncryptionState,
    /// The longest message that FLOE allows: it gives every position but the last its layout before
    /// the real length is known.
    endless: MessageLayout,
    /// Written before the first byte of output.
    header: Option<fast_floe::Header>,
    /// Retained plaintext: at most one full segment, empty only before the first byte.
    held: Zeroizing<Vec<u8>>,
    /// Position of the next segment.
    next: u64,
    plain_len: u64,
    sealed_len: u64,
    /// Set once a segment failed: the contents of the caller's buffer are not an object and must
    /// not be used as one.
    broken: bool,
}

impl Sealer {
    /// Begins an object under `key`, bound to `context`.
    ///
    /// # Errors
    /// [`Error::Library`] when there is no randomness.
    pub fn new(key: &Key, context: &impl Bound, segment: SegmentLength) -> Result<Self, Error> {
        let parameters = segment.parameters()?;
        let key = fast_floe::Key::from_bytes(*key.expose());
        let (state, header) =
            low_level::start_encryption(&key, &context.associated_data(), parameters)?;
        Ok(Self {
            state,
            endless: parameters.plaintext_layout(segment.plain() as u64 * MAX_SEGMENTS)?,
            header: Some(header),
            held: Zeroizing::new(Vec::with_capacity(segment.plain())),
            next: 0,
            plain_len: 0,
            sealed_len: 0,
            broken: false,
        })
    }

    /// Takes `plain` and appends everything that can be sealed already to `out`: first the header,
    /// then whole segments.
    ///
    /// # Errors
    /// [`Error::TooLong`] or [`Error::Library`]; the object is then lost and every later call fails
    /// too.
    pub fn push(&mut self, mut plain: &[u8], out: &mut BytesMut) -> Result<(), Error> {
        self.begin(out);
        let full = self.endless.parameters().plaintext_segment_length();
        let sealed = self.endless.parameters().ciphertext_segment_length();
        out.reserve((self.held.len() + plain.len()) / full * sealed);
        while let Some((fresh, rest)) = plain
            .split_at_checked(full - self.held.len())
            .filter(|(_, rest)| !rest.is_empty())
        {
            let segment = self
                .endless
                .segment_for_position(self.next)
                .filter(|segment| !segment.is_final())
                .ok_or(Error::TooLong)?;
            self.seal(segment, fresh, out)?;
            plain = rest;
        }
        self.held.extend_from_slice(plain);
        Ok(())
    }

    /// Appends the final segment, which may be full, shorter, or empty if nothing was ever pushed.
    ///
    /// # Errors
    /// As [`Self::push`]; nothing that was appended so far is an object then.
    pub fn finish(mut self, out: &mut BytesMut) -> Result<SealedLength, Error> {
        self.begin(out);
        let length = self.plain_len + self.held.len() as u64;
        let last = self
            .endless
            .parameters()
            .plaintext_layout(length)?
            .final_segment();
        self.seal(last, &[], out)?;
        Ok(SealedLength {
            plain_len: self.plain_len,
            sealed_len: self.sealed_len,
        })
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if let Some(header) = self.header.take() {
            out.extend_from_slice(header.as_bytes());
            self.sealed_len = header.as_bytes().len() as u64;
        }
    }

    /// Copies the retained plaintext and `fresh` to their position in `out` and encrypts them
    /// there, while they are in the cache.
    fn seal(
        &mut self,
        segment: SegmentLayout,
        fresh: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), Error> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(Error::Library);
        }
        // Before it contains any plaintext: a growing buffer frees its former memory with its
        // contents.
        out.reserve(segment.ciphertext_length());
        let start = out.len();
        out.extend_from_slice(&[0; SEGMENT_PAYLOAD_OFFSET]);
        out.extend_from_slice(&self.held);
        out.extend_from_slice(fresh);
        out.resize(start + segment.ciphertext_length(), 0);
        let place = out.get_mut(start..).ok_or(Error::Library)?;
        if let Err(error) = self.state.encrypt_segment_in_place_raw(place, segment) {
            place.fill(0);
            out.truncate(start);
            return Err(error.into());
        }
        self.held.clear();
        self.next += 1;
        self.plain_len += segment.plaintext_length() as u64;
        self.sealed_len += segment.ciphertext_length() as u64;
        self.broken = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{
            artefact::{Artefact, Leg},
            id::{RecordingId, VaultId},
        },
        seal::Context,
    };

    /// A growing buffer is moved, and leaves plaintext in its former memory.
    #[test]
    fn what_is_held_back_stays_in_its_place() {
        let rng = &mut rand::rng();
        let context = Context {
            vault: VaultId::random(rng),
            recording: RecordingId::random(rng),
            leg: Leg::All,
            artefact: Artefact::Audio,
        };
        let mut sealer = Sealer::new(&Key::random(rng), &context, SegmentLength::Text).unwrap();
        let place = sealer.held.as_ptr();
        let mut out = BytesMut::new();
        for _ in 0..6_000 {
            sealer.push(b"seven b", &mut out).unwrap();
            assert_eq!(sealer.held.as_ptr(), place);
        }
    }
}
