//! The checks of a body of audio: complete, authentic if it is encrypted, and RIFF/WAVE in
//! plaintext.
//!
//! Owns the three checks and their order: the number of received bytes equals the length that HTTP
//! stated; the decryption, if any, comes next; the RIFF header is checked in its output. If HTTP or
//! the tag shows that the body is whole, it is whole, and a longer length in the header is only
//! recorded. Otherwise the length in the header decides. No I/O.
//!
//! INVARIANT: nothing is passed on before the first 12 bytes of plaintext are known to be
//! RIFF/WAVE.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use crate::twilio::{
    encryption::{DecryptError, Decryptor, TAG},
    fetch_error::{FetchError, FetchRefusal, TransientFailure},
};

/// `RIFF`, a length, `WAVE`.
const MAGIC_LEN: usize = 12;

/// The length of an empty WAV file.
const MIN_WAV_LEN: u64 = 44;

/// The state of all checks.
pub(super) struct MediaValidator {
    content_length: Option<u64>,
    /// Whether HTTP itself states the end of the body, without a length before it.
    is_framed: bool,
    /// The length in the RIFF header of a complete body, if it exceeds the actual length.
    riff_len_excess: Arc<OnceLock<u64>>,
    /// Bytes on the wire so far.
    received: u64,
    decryptor: Option<Decryptor>,
    riff: Riff,
    is_encrypted: bool,
}

impl MediaValidator {
    pub(super) fn new(content_length: Option<u64>) -> Self {
        Self {
            content_length,
            is_framed: false,
            riff_len_excess: Arc::default(),
            received: 0,
            decryptor: None,
            riff: Riff::default(),
            is_encrypted: false,
        }
    }

    /// Records that HTTP states the end of the body: it is chunked.
    pub(super) fn framed(&mut self) {
        self.is_framed = true;
    }

    /// The length in the RIFF header, if it exceeds that of a complete body. Known when the body
    /// has ended.
    pub(super) fn riff_len_excess(&self) -> Arc<OnceLock<u64>> {
        Arc::clone(&self.riff_len_excess)
    }

    /// Decrypts the bytes that follow.
    pub(super) fn decrypt(&mut self, decryptor: Decryptor) {
        (self.decryptor, self.is_encrypted) = (Some(decryptor), true);
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Takes a chunk; returns the bytes that may be passed on.
    pub(super) fn push(&mut self, chunk: Bytes) -> Result<Option<Bytes>, FetchError> {
        self.received += chunk.len() as u64;
        if let Some(expected) = self
            .content_length
            .filter(|&expected| self.received > expected)
        {
            return Err(TransientFailure::Length {
                received: self.received,
                expected,
            }
            .into());
        }
        let plain = match &mut self.decryptor {
            Some(decryptor) => decryptor.push(&chunk).map_err(|_| FetchRefusal::TooLong)?,
            None => chunk,
        };
        self.inspect(plain)
    }

    /// Checks the end of the body; returns the last bytes that may be passed on.
    pub(super) fn finish(&mut self) -> Result<Option<Bytes>, FetchError> {
        let received = self.received;
        if let Some(expected) = self.content_length.filter(|&expected| received != expected) {
            return Err(TransientFailure::Length { received, expected }.into());
        }
        let last = match self.decryptor.take() {
            Some(decryptor) => {
                let last = decryptor
                    .finish()
                    .map_err(|wrong| self.not_authentic(wrong))?;
                self.inspect(last)?
            }
            None => None,
        };
        let sound = self.riff.seen;
        match self.riff.length {
            Some(expected) if sound < expected => {
                // At this point the tag of an encrypted file was correct.
                if self.content_length.is_none() && !self.is_framed && !self.is_encrypted {
                    return Err(self.short(sound, expected));
                }
                // Some writers state a wrong length: 44 bytes instead of 36, all ones but one, or a
                // counted pad byte that is missing.
                let _ = self.riff_len_excess.set(expected);
                Ok(last)
            }
            Some(_) => Ok(last),
            None if sound == 0 => Err(self.short(0, MAGIC_LEN as u64)),
            None => Err(self.not_riff()),
        }
    }

    fn inspect(&mut self, plain: Bytes) -> Result<Option<Bytes>, FetchError> {
        self.riff.push(plain).ok_or_else(|| self.not_riff())
    }

    fn not_riff(&self) -> FetchError {
        if self.is_encrypted {
            FetchRefusal::Garbled.into()
        } else {
            FetchRefusal::NotRiff.into()
        }
    }

    /// Returns the error of an encrypted file whose tag is wrong. If its own header states a
    /// greater length, it was truncated.
    fn not_authentic(&self, wrong: DecryptError) -> FetchError {
        // The decryptor has held back the last bytes.
        let sound = self.received.saturating_sub(TAG as u64);
        match (wrong, self.riff.length) {
            (DecryptError::TooLong, _) => FetchRefusal::TooLong.into(),
            (DecryptError::Tag, Some(expected)) if sound < expected => self.short(sound, expected),
            (DecryptError::Tag, None) => self.short(sound, MIN_WAV_LEN),
            (DecryptError::Tag, _) => FetchRefusal::Tag.into(),
        }
    }

    /// Returns the error of a body that is shorter than its header states. If an encrypted file has
    /// the length that HTTP stated, the file itself is too short, and a retry does not help.
    /// Otherwise the connection may have broken without an HTTP error.
    fn short(&self, received: u64, expected: u64) -> FetchError {
        if self.is_encrypted && self.content_length.is_some() {
            FetchRefusal::Cut { received, expected }.into()
        } else {
            TransientFailure::Length { received, expected }.into()
        }
    }
}

/// The check of the beginning of the plaintext.
#[derive(Default)]
struct Riff {
    /// The first bytes, held back until there are enough of them.
    head: BytesMut,
    /// The least length that the header states. Known once the header is checked.
    length: Option<u64>,
    /// Bytes of plaintext so far.
    seen: u64,
}

impl Riff {
    /// Returns the bytes that may be passed on. The outer `None` means that it is not RIFF/WAVE.
    #[expect(clippy::option_option, reason = "nothing to pass on yet is no fault")]
    fn push(&mut self, chunk: Bytes) -> Option<Option<Bytes>> {
        self.seen += chunk.len() as u64;
        if self.length.is_some() {
            return Some((!chunk.is_empty()).then_some(chunk));
        }
        // Almost always the first chunk is long enough and passes without a copy.
        let start = if self.head.is_empty() {
            chunk
        } else {
            self.head.extend_from_slice(&chunk);
            self.head.split().freeze()
        };
        if start.len() < MAGIC_LEN {
            self.head.extend_from_slice(&start);
            return Some(None);
        }
        self.length = Some(riff_length(&start)?);
        Some(Some(start))
    }
}

/// Returns the least length of the file in bytes, or `None` if it is not RIFF/WAVE.
///
/// The header counts the bytes after its first eight. A writer that could not seek back leaves 0 or
/// all ones; then only the header itself is certain.
fn riff_length(start: &[u8]) -> Option<u64> {
    // RF64 (EBU Tech 3306) has its lengths elsewhere, and all ones here.
    let rest = start
        .strip_prefix(b"RIFF")
        .or_else(|| start.strip_prefix(b"RF64"))?;
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
    use crate::{secret::Key, twilio::encryption::encrypted};

    /// Returns a file of `len` bytes whose header states `size`.
    fn wav(len: usize, size: u32) -> Vec<u8> {
        let mut bytes = [b"RIFF".as_slice(), &size.to_le_bytes(), b"WAVE"].concat();
        bytes.resize(len, 7);
        bytes
    }

    /// Checks a file that arrives in chunks of these lengths (repeated), and returns the output.
    fn run(
        file: &[u8],
        lengths: &[usize],
        content_length: Option<u64>,
    ) -> Result<Vec<u8>, FetchError> {
        let mut check = MediaValidator::new(content_length);
        let mut passed = Vec::new();
        let mut rest = file;
        for &length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at(length.min(rest.len()));
            passed.extend(
                check
                    .push(Bytes::copy_from_slice(chunk))?
                    .unwrap_or_default(),
            );
            assert!(passed.is_empty() || passed.len() >= MAGIC_LEN);
            rest = later;
        }
        passed.extend(check.finish()?.unwrap_or_default());
        Ok(passed)
    }

    fn length(received: u64, expected: u64) -> FetchError {
        TransientFailure::Length { received, expected }.into()
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
            assert_eq!(
                run(&file[..at], &[16], Some(at as u64)).is_ok(),
                at >= MAGIC_LEN,
                "what HTTP says is whole is whole: {at}"
            );
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
        for file in [
            b"<?xml version='1.0'?><TwilioResponse/>".as_slice(),
            &avi,
            b"RIFX\x5c\0\0\0WAVE",
            b"RIFF",
            b"x",
            &[0; 100],
        ] {
            for at in [1, 5, 200] {
                assert_eq!(
                    run(file, &[at], None),
                    Err(FetchRefusal::NotRiff.into()),
                    "{at} {file:?}"
                );
            }
        }
    }

    const KEY: [u8; 32] = [1; 32];
    const NONCE: [u8; 12] = [2; 12];

    /// The same of an encrypted file.
    fn run_encrypted(
        file: &[u8],
        lengths: &[usize],
        content_length: Option<u64>,
    ) -> Result<Vec<u8>, FetchError> {
        let mut check = MediaValidator::new(content_length);
        check.decrypt(Decryptor::new(&Key::from_slice(&KEY).unwrap(), &NONCE));
        let mut passed = Vec::new();
        let mut rest = file;
        for &length in lengths.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, later) = rest.split_at(length.min(rest.len()));
            passed.extend(
                check
                    .push(Bytes::copy_from_slice(chunk))?
                    .unwrap_or_default(),
            );
            assert!(passed.is_empty() || passed.len() >= MAGIC_LEN);
            rest = later;
        }
        passed.extend(check.finish()?.unwrap_or_default());
        Ok(passed)
    }

    #[test]
    fn an_encrypted_file_is_judged_by_what_comes_out_of_it() {
        let plain = wav(100, 92);
        let file = encrypted(&KEY, &NONCE, &plain);
        for at in [1, 3, 12, 16, 28, 29, 40, 116] {
            assert_eq!(
                run_encrypted(&file, &[at], Some(116)).unwrap(),
                plain,
                "{at}"
            );
            assert_eq!(run_encrypted(&file, &[at], None).unwrap(), plain, "{at}");
        }
        // Plain audio is garbled by decryption, and encrypted audio is not RIFF/WAVE without it.
        assert_eq!(
            run_encrypted(&plain, &[16], None),
            Err(FetchRefusal::Garbled.into())
        );
        assert_eq!(run(&file, &[16], None), Err(FetchRefusal::NotRiff.into()));
        assert_eq!(
            run_encrypted(
                &encrypted(&KEY, &NONCE, b"<?xml version='1.0'?>"),
                &[16],
                None
            ),
            Err(FetchRefusal::Garbled.into())
        );
    }

    #[test]
    fn an_encrypted_file_that_was_altered_or_cut_says_which() {
        let file = encrypted(&KEY, &NONCE, &wav(100, 92));
        let mut altered = file.clone();
        altered[60] ^= 1;
        assert_eq!(
            run_encrypted(&altered, &[16], Some(116)),
            Err(FetchRefusal::Tag.into())
        );
        let cut = |received, expected| Err(FetchRefusal::Cut { received, expected }.into());
        for at in 0..116_usize {
            // Too short for the header, of which no byte was released yet, or for the length that
            // it states.
            let (received, expected) = (
                at.saturating_sub(16) as u64,
                if at < 32 { MIN_WAV_LEN } else { 100 },
            );
            assert_eq!(
                run_encrypted(&file[..at], &[16], Some(at as u64)),
                cut(received, expected),
                "{at}"
            );
            // A connection that breaks is a different, transient failure.
            assert_eq!(
                run_encrypted(&file[..at], &[16], None),
                Err(length(received, expected)),
                "{at}"
            );
            assert_eq!(
                run_encrypted(&file[..at], &[16], Some(116)),
                Err(length(at as u64, 116)),
                "{at}"
            );
        }
        let cut_before = wav(99, 92);
        assert_eq!(
            run_encrypted(&encrypted(&KEY, &NONCE, &cut_before), &[16], Some(115)).unwrap(),
            cut_before,
            "authentic, so whole"
        );
    }

    #[test]
    fn a_header_that_promises_more_than_a_whole_body_is_a_remark() {
        for (len, size, promised) in [
            (100, 44 + 56, Some(108)),
            (100, 93, Some(101)),
            (100, 0x7fff_ffff, Some(0x8000_0007)),
            (100, 0x8000_0024, Some(0x8000_002c)),
            (100, u32::MAX, None),
            (100, 92, None),
            (101, 92, None),
        ] {
            let file = wav(len, size);
            for is_framed in [false, true] {
                let mut check = MediaValidator::new((!is_framed).then_some(len as u64));
                if is_framed {
                    check.framed();
                }
                let promise = check.riff_len_excess();
                assert_eq!(
                    check.push(Bytes::from(file.clone())).unwrap().unwrap(),
                    file
                );
                assert_eq!(check.finish().unwrap(), None);
                assert_eq!(promise.get().copied(), promised, "{size:x}");
            }
            assert_eq!(
                run(&file, &[50], None).is_ok(),
                promised.is_none(),
                "without a word of HTTP, the header decides"
            );
        }
        let mut rf64 = wav(100, u32::MAX);
        rf64[..4].copy_from_slice(b"RF64");
        assert!(run(&rf64, &[7], Some(100)).is_ok());
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
