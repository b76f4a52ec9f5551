//! The sealed object: one C2SP FLOE message (AES-256-GCM) that is bound to its artefact.
//!
//! Owns sealing, opening at random access, and the arithmetic between plaintext and ciphertext.
//! Pure: bytes in, bytes out; it refuses to know where keys come from and where objects are stored.
//! Format: <https://github.com/C2SP/C2SP/blob/main/FLOE.md>.
//!
//! INVARIANT: no byte is released before its own segment, the header and the final segment were
//! authenticated, so a wrong key, a foreign context, an altered byte and a missing tail are errors
//! and never a short or a different file.
#![deny(clippy::indexing_slicing)]

mod context;
mod opener;
mod sealer;
mod segment;
mod span;

pub use context::{Bound, Context, RecoveryContext};
pub use opener::Opener;
pub use sealer::{SealedLength, Sealer};
pub use segment::SegmentLength;
pub use span::{Layout, Span, Spans};

/// Why bytes could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong key, wrong context, or an altered object. These cannot be distinguished, by design.
    #[error("the sealed object is not authentic under this key and context")]
    NotAuthentic,
    /// The object, or a passed piece of it, has a length that no whole one can have.
    #[error("the sealed object is truncated or has a wrong length")]
    Truncated,
    /// The header names parameters that this vault never writes.
    #[error(
        "the sealed object has an unknown format; this vault reads FLOE with AES-256-GCM in segments of 16384 or 65536 bytes"
    )]
    UnknownFormat,
    /// More segments than FLOE allows under one message key (2^40).
    #[error("the content is too long for one sealed object")]
    TooLong,
    /// The requested bytes are not in the plaintext.
    #[error("the wanted range ends beyond the content of {}", crate::model::numerals::counted(*plain_len, "byte", "bytes"))]
    OutOfRange {
        /// Length of the plaintext in bytes.
        plain_len: u64,
    },
    /// The cryptographic library failed or had no randomness; nothing suggests a fault of the
    /// object.
    #[error("the cryptographic library failed")]
    Library,
}

impl From<fast_floe::Error> for Error {
    fn from(error: fast_floe::Error) -> Self {
        use fast_floe::Error as Floe;
        match error {
            Floe::InvalidHeaderTag | Floe::AuthenticationFailed | Floe::InvalidSegmentPrefix => {
                Self::NotAuthentic
            }
            Floe::Truncated
            | Floe::InvalidHeaderLength { .. }
            | Floe::InvalidCiphertextLength { .. } => Self::Truncated,
            Floe::InvalidHeaderParameters
            | Floe::InvalidSegmentLength { .. }
            | Floe::InvalidParameters => Self::UnknownFormat,
            Floe::SegmentLimit | Floe::LengthOverflow => Self::TooLong,
            _ => Self::Library,
        }
    }
}

#[cfg(test)]
mod tests;
