//! The two segment lengths that this vault writes, and the only ones it reads.
//!
//! FLOE would allow any length from 64 bytes to 4 GiB. A closed set keeps what one segment costs in
//! memory known before a byte is read.

use fast_floe::Parameters;

use super::Error;

/// What FLOE adds to a segment: 4 bytes of length, 12 of nonce, 16 of tag.
const FRAMING: usize = 32;

/// Length of an encrypted segment as FLOE counts it, framing included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SegmentLength {
    /// 65,536 bytes, for sound and other media.
    Media,
    /// 16,384 bytes, for transcripts and other small texts.
    Text,
}

impl SegmentLength {
    /// The segment length of this many bytes.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] for any other than the two.
    pub const fn of_sealed(bytes: u32) -> Result<Self, Error> {
        match bytes {
            65_536 => Ok(Self::Media),
            16_384 => Ok(Self::Text),
            _ => Err(Error::UnknownFormat),
        }
    }

    /// Bytes of one full encrypted segment.
    pub const fn sealed(self) -> u32 {
        match self {
            Self::Media => 65_536,
            Self::Text => 16_384,
        }
    }

    /// Bytes of plaintext in one full segment.
    pub const fn plain(self) -> usize {
        self.sealed() as usize - FRAMING
    }

    /// The FLOE parameter set of this length.
    pub(super) fn parameters(self) -> Result<Parameters, Error> {
        Ok(Parameters::with_segment_length(self.sealed())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lengths_are_those_of_the_format() {
        for segment in [SegmentLength::Media, SegmentLength::Text] {
            let parameters = segment.parameters().unwrap();
            assert_eq!(
                parameters.ciphertext_segment_length(),
                segment.sealed() as usize
            );
            assert_eq!(parameters.plaintext_segment_length(), segment.plain());
        }
    }
}
