//! The beginnings of files of Video.
//!
//! Owns two of them: EBML (RFC 8794), with which Matroska and WebM begin, and the file type box of
//! ISO/IEC 14496-12. An encrypted file has no authentication, so its beginning is a part of the
//! check that it was decrypted with the right key.

/// What a file must begin as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContainer {
    /// Anything.
    Any,
    /// Matroska: `mkv`, `mka`, and WebM.
    Matroska,
    /// MPEG-4.
    Mp4,
}

const EBML: &[u8] = &[0x1a, 0x45, 0xdf, 0xa3];
const FTYP: &[u8] = b"ftyp";

impl FileContainer {
    /// Whether a file with this beginning is one; `None` if the beginning is too short.
    pub(super) fn begins(self, head: &[u8]) -> Option<bool> {
        let (at, magic) = match self {
            Self::Any => return Some(true),
            Self::Matroska => (0, EBML),
            // The size of the box comes first.
            Self::Mp4 => (4, FTYP),
        };
        let found = head.get(at..at + magic.len())?;
        Some(found == magic)
    }

    /// Returns its name, for an error.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any file",
            Self::Matroska => "Matroska or WebM",
            Self::Mp4 => "MPEG-4",
        }
    }
}
