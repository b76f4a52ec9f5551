//! Measurement of audio while it streams.
//!
//! Owns its length and whether it ever exceeded a bound. Stores nothing of it but the head of the
//! file. Formats that it cannot parse are not measured.

use super::{Encoding, MAX_HEAD, UnreadableWave, Wave};

/// A running measurement.
#[derive(Debug)]
pub struct Meter {
    bound: u16,
    head: Vec<u8>,
    state: State,
    /// Bytes of the file so far.
    passed: u64,
    /// The largest absolute sample so far; chunks after one over the bound are not examined.
    peak: u16,
    /// The first byte of a sample whose second byte has not arrived.
    half: Option<u8>,
}

#[derive(Debug)]
enum State {
    /// The head is incomplete.
    Begun,
    /// The audio is streaming.
    Known(Wave),
    /// The format cannot be measured.
    Unknown,
}

/// The result of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioMeasurement {
    /// The length in whole milliseconds, rounded down: audio that is one sample shorter than a
    /// bound is below it.
    pub length_ms: u64,
    /// The largest absolute sample, 0 to 32768, if samples have 16 bits; above the bound, only the
    /// fact that it exceeds it is meaningful.
    pub peak: Option<u16>,
}

impl Meter {
    /// Begins a measurement. Samples are examined until a chunk has one larger than `bound`.
    pub fn new(bound: u16) -> Self {
        Self {
            bound,
            head: Vec::new(),
            state: State::Begun,
            passed: 0,
            peak: 0,
            half: None,
        }
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, chunk: &[u8]) {
        let before = self.passed;
        self.passed += chunk.len() as u64;
        match &self.state {
            State::Unknown => {}
            State::Known(_) => self.listen(before, chunk),
            State::Begun => {
                let room = MAX_HEAD.saturating_sub(self.head.len());
                self.head
                    .extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
                match Wave::read(&self.head) {
                    Ok(wave) => {
                        let seen = std::mem::take(&mut self.head);
                        let more = chunk.get(room.min(chunk.len())..).unwrap_or_default();
                        self.state = State::Known(wave);
                        self.listen(0, &seen);
                        self.listen(seen.len() as u64, more);
                    }
                    Err(UnreadableWave::Short) if self.head.len() < MAX_HEAD => {}
                    Err(_) => {
                        self.head = Vec::new();
                        self.state = State::Unknown;
                    }
                }
            }
        }
    }

    /// Returns the result; `None` if the file's format cannot be measured.
    pub fn finish(&self) -> Option<AudioMeasurement> {
        let State::Known(wave) = &self.state else {
            return None;
        };
        let sound = wave.sound(self.passed);
        let length_ms = (sound.end - sound.start).saturating_mul(1000) / wave.per_second();
        Some(AudioMeasurement {
            length_ms,
            peak: (wave.encoding == Encoding::Pcm(16)).then_some(self.peak),
        })
    }

    fn listen(&mut self, at: u64, bytes: &[u8]) {
        let State::Known(wave) = &self.state else {
            return;
        };
        if self.peak > self.bound || wave.encoding != Encoding::Pcm(16) {
            return;
        }
        // The largest possible range: bytes after the audio are excluded.
        let sound = wave.sound(u64::MAX);
        let offset = |position: u64| {
            usize::try_from(position.saturating_sub(at))
                .unwrap_or(usize::MAX)
                .min(bytes.len())
        };
        let mut samples = bytes
            .get(offset(sound.start)..offset(sound.end))
            .unwrap_or_default();
        if let Some(low) = self.half
            && let Some((high, rest)) = samples.split_first()
        {
            self.peak = self
                .peak
                .max(i16::from_le_bytes([low, *high]).unsigned_abs());
            (self.half, samples) = (None, rest);
        }
        let (pairs, rest) = samples.as_chunks::<2>();
        // In chunks, so that a loud recording costs little and a quiet one is compared many samples
        // at a time.
        for piece in pairs.chunks(1024) {
            let loudest = piece
                .iter()
                .map(|pair| i16::from_le_bytes(*pair).unsigned_abs())
                .max();
            self.peak = self.peak.max(loudest.unwrap_or_default());
            if self.peak > self.bound {
                return;
            }
        }
        self.half = self.half.or(rest.first().copied());
    }
}
