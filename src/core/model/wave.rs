//! The head of a WAV file (RIFF/WAVE, RFC 2361, and Microsoft's "Multiple Channel Audio Data and
//! WAVE Files").
//!
//! Owns the parsing of the head, and the position of each moment in the file. Refuses to touch the
//! audio, and refuses every format in which a moment has no fixed position. Pure; every number in a
//! head is untrusted.
#![deny(clippy::indexing_slicing)]

mod meter;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use meter::{AudioMeasurement, Meter};

/// The maximum length of a head; a file with more data before the audio is not read.
pub const MAX_HEAD: usize = 64 * 1024;

/// The encoding of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Integers of this many bits: 8, 16, 24 or 32.
    Pcm(u16),
    /// µ-law (ITU-T G.711), 8 bits.
    MuLaw,
    /// A-law (ITU-T G.711), 8 bits.
    ALaw,
}

/// The audio format of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// The encoding of samples.
    pub encoding: Encoding,
    /// Channels, 1 to 64.
    pub channels: u16,
    /// Samples of each channel in one second, at least 1.
    pub rate: u32,
    /// Bytes of one frame: a sample of every channel.
    pub block: u32,
    /// The body of the `fmt ` chunk, as it stands in the file.
    format: Vec<u8>,
    /// Where the audio begins.
    start: u64,
    /// Bytes of audio; `None` if the writer did not know: then it extends to the end of the file.
    length: Option<u64>,
}

/// Why a head cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableWave {
    /// It continues after the given bytes.
    #[error("the header of the file is longer than the available bytes")]
    Short,
    /// Not a RIFF/WAVE file, or of a format in which a moment has no fixed position.
    #[error("not a WAV file with PCM, µ-law or A-law audio")]
    Format,
}

impl Wave {
    /// Parses the head of a file from its first bytes. Chunks may come in any order, if `fmt ` and
    /// the beginning of the audio are among them.
    ///
    /// # Errors
    /// [`UnreadableWave::Short`] if more bytes may help.
    pub fn read(head: &[u8]) -> Result<Self, UnreadableWave> {
        let riff =
            tagged(head, b"RIFF").or_else(|error| tagged(head, b"RF64").map_err(|_| error))?;
        let (riff_len, rest) = number(riff)?;
        tagged(rest, b"WAVE")?;
        let mut at = 12usize;
        let mut format = None;
        let mut sound = None;
        // RF64 (EBU Tech 3306): the length of the audio in 64 bits.
        let mut long = None;
        loop {
            let chunk = head.get(at..).ok_or(UnreadableWave::Short)?;
            let (id, rest) = chunk
                .split_first_chunk::<4>()
                .ok_or(UnreadableWave::Short)?;
            let (length, rest) = number(rest)?;
            let body = at.checked_add(8).ok_or(UnreadableWave::Format)?;
            match id {
                b"fmt " if format.is_none() => {
                    let length = usize::try_from(length)
                        .ok()
                        .filter(|length| (16..=64).contains(length))
                        .ok_or(UnreadableWave::Format)?;
                    format = Some(rest.get(..length).ok_or(UnreadableWave::Short)?);
                }
                b"ds64" if head.starts_with(b"RF64") => {
                    let bytes = rest
                        .get(8..)
                        .ok_or(UnreadableWave::Short)?
                        .first_chunk::<8>()
                        .ok_or(UnreadableWave::Short)?;
                    long = Some(u64::from_le_bytes(*bytes));
                }
                b"data" if sound.is_none() => {
                    let length = if length == u32::MAX {
                        long
                    } else {
                        known(length, riff_len, body)
                    };
                    sound = Some((body as u64, length));
                }
                _ => {}
            }
            if let (Some(format), Some((start, length))) = (format, sound) {
                return Self::of_format(format, start, length);
            }
            // Bodies of odd length are padded. Audio that extends to the end of the file has
            // nothing after it.
            let padded = u64::from(length) + u64::from(length % 2);
            if sound.is_some_and(|(_, length)| length.is_none()) {
                return Err(UnreadableWave::Format);
            }
            at = usize::try_from(padded)
                .ok()
                .and_then(|padded| body.checked_add(padded))
                .ok_or(UnreadableWave::Format)?;
        }
    }

    fn of_format(format: &[u8], start: u64, length: Option<u64>) -> Result<Self, UnreadableWave> {
        let short = |at: usize| {
            format
                .get(at..)
                .and_then(|rest| rest.first_chunk::<2>())
                .map(|two| u16::from_le_bytes(*two))
        };
        let read = |at| short(at).ok_or(UnreadableWave::Format);
        let mut tag = read(0)?;
        let channels = read(2)?;
        let block = u32::from(read(12)?);
        let bits = read(14)?;
        let rate = format
            .get(4..)
            .ok_or(UnreadableWave::Format)
            .and_then(number)?
            .0;
        if tag == EXTENSIBLE {
            // The id begins with the real tag; the rest identifies it as such an id.
            if format.get(26..40) != Some(&OF_TAG) {
                return Err(UnreadableWave::Format);
            }
            tag = read(24)?;
        }
        let encoding = match (tag, bits) {
            (1, 8 | 16 | 24 | 32) => Encoding::Pcm(bits),
            (7, 8) => Encoding::MuLaw,
            (6, 8) => Encoding::ALaw,
            _ => return Err(UnreadableWave::Format),
        };
        // If a block were larger than its samples, frames would not be where they are computed to
        // be.
        if !(1..=64).contains(&channels)
            || rate == 0
            || block != u32::from(channels) * u32::from(bits / 8)
        {
            return Err(UnreadableWave::Format);
        }
        Ok(Self {
            encoding,
            channels,
            rate,
            block,
            format: format.to_vec(),
            start,
            length,
        })
    }

    /// Bytes of one second.
    pub fn per_second(&self) -> u64 {
        u64::from(self.rate) * u64::from(self.block)
    }

    /// Returns the range of the audio in a file of this many bytes: whole frames only.
    pub fn sound(&self, file_len: u64) -> Range<u64> {
        let there = file_len.saturating_sub(self.start);
        let length = self.length.map_or(there, |length| length.min(there));
        self.start..self.start + length / u64::from(self.block) * u64::from(self.block)
    }

    /// Returns the range of the audio between two seconds in a file of this many bytes; empty if
    /// the audio ends before it.
    pub fn between(&self, from_s: u32, to_s: u32, file_len: u64) -> Range<u64> {
        let sound = self.sound(file_len);
        let at = |second: u32| {
            sound
                .start
                .saturating_add(self.per_second().saturating_mul(second.into()))
                .min(sound.end)
        };
        at(from_s)..at(to_s).max(at(from_s))
    }

    /// Returns the head of a file that holds `length` bytes of this audio and nothing else.
    pub fn head(&self, length: u64) -> Vec<u8> {
        let format_len = u32::try_from(self.format.len()).unwrap_or(u32::MAX);
        let before = 4 + 8 + u64::from(format_len) + u64::from(format_len % 2) + 8;
        let padded = length.saturating_add(length % 2);
        let mut head = Vec::with_capacity(64);
        head.extend_from_slice(b"RIFF");
        // Longer than the format can express: all ones, as from a writer that did not know the
        // length.
        head.extend_from_slice(
            &u32::try_from(before.saturating_add(padded))
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        head.extend_from_slice(b"WAVEfmt ");
        head.extend_from_slice(&format_len.to_le_bytes());
        head.extend_from_slice(&self.format);
        head.extend(std::iter::repeat_n(0, self.format.len() % 2));
        head.extend_from_slice(b"data");
        head.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        head
    }
}

/// `WAVE_FORMAT_EXTENSIBLE`.
const EXTENSIBLE: u16 = 0xFFFE;
/// The rest of a format id that begins with a tag.
const OF_TAG: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

/// Returns the length of the audio, if the header states it. A writer that could not seek back
/// leaves all ones, or 0 although the file does not end there.
fn known(length: u32, riff_len: u32, body: usize) -> Option<u64> {
    let ends_here = u64::from(riff_len) + 8 == body as u64;
    match length {
        u32::MAX => None,
        0 if matches!(riff_len, 0 | u32::MAX) || ends_here => None,
        known => Some(known.into()),
    }
}

fn tagged<'a>(bytes: &'a [u8], tag: &[u8; 4]) -> Result<&'a [u8], UnreadableWave> {
    let (found, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or(UnreadableWave::Short)?;
    if found == tag {
        Ok(rest)
    } else {
        Err(UnreadableWave::Format)
    }
}

fn number(bytes: &[u8]) -> Result<(u32, &[u8]), UnreadableWave> {
    let (number, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or(UnreadableWave::Short)?;
    Ok((u32::from_le_bytes(*number), rest))
}
