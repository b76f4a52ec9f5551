//! A recorded conversation for demos and tests, and recordings of any length made from it.
//!
//! Owns the one WAV file that is compiled in (see `tests/data/README.md`) and just enough of the
//! WAV format to repeat it and to mix its channels. Refuses to be a WAV library: 16-bit PCM only.
//!
//! INVARIANT: the header of every file made here states the right sizes, up to 4 GiB.

use bytes::Bytes;

/// The conversation: RIFF/WAVE, PCM, [`SAMPLE_RATE`], [`SAMPLE_BITS`], two channels, agent left,
/// customer right.
pub const WAV: &[u8] = include_bytes!("../../tests/data/conversation.wav");

/// Samples per second and channel.
pub const SAMPLE_RATE: u32 = 8000;

/// Bits per sample.
pub const SAMPLE_BITS: u16 = 16;

/// Length in whole seconds, rounded to the nearest, as Twilio reports it.
pub const SECONDS: u32 = 27;

/// Bytes before the samples in every file made here.
pub const HEADER_LEN: usize = 44;

/// The number of separate channels of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channels {
    /// Both mixed into one.
    Mono,
    /// Agent left, customer right.
    Dual,
}

impl Channels {
    /// 1 or 2.
    pub const fn count(self) -> u16 {
        match self {
            Self::Mono => 1,
            Self::Dual => 2,
        }
    }
}

/// Returns the length in bytes of the file that [`repeat_to`] makes.
pub fn length(seconds: u32, channels: Channels) -> u64 {
    HEADER_LEN as u64 + samples_length(seconds, channels)
}

/// Returns a WAV file of exactly `seconds`: the conversation from its start, repeated as often as
/// needed and cut.
pub fn repeat_to(seconds: u32, channels: Channels) -> Vec<u8> {
    chunks(seconds, channels).fold(Vec::new(), |mut file, chunk| {
        file.extend_from_slice(&chunk);
        file
    })
}

/// Returns the same file in pieces that share one copy of the samples: memory does not grow with
/// its length.
///
/// Beyond 4 GiB the header's sizes are all ones, as streaming writers leave them.
pub fn chunks(seconds: u32, channels: Channels) -> impl Iterator<Item = Bytes> + Send {
    let samples = match channels {
        Channels::Dual => Bytes::from_static(WAV.split_at(HEADER_LEN).1),
        Channels::Mono => {
            Bytes::from(mix_to_mono(WAV).expect("the compiled-in file is 16-bit PCM"))
                .slice(HEADER_LEN..)
        }
    };
    let mut left = samples_length(seconds, channels);
    let head = Bytes::from(header(left, channels));
    let body = std::iter::from_fn(move || {
        let take = usize::try_from(left).map_or(samples.len(), |left| left.min(samples.len()));
        left -= take as u64;
        (take > 0).then(|| samples.slice(..take))
    });
    std::iter::once(head).chain(body)
}

/// The metadata of a recording, as Twilio would report it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationFacts {
    /// The number of channels in the file.
    pub channels: u16,
    /// Length at [`SAMPLE_RATE`], rounded to the nearest second.
    pub seconds: u64,
}

/// Returns the metadata of a 16-bit PCM WAV file; `None` if it is not one.
pub fn facts(wav: &[u8]) -> Option<ConversationFacts> {
    let (channels, samples) = parse(wav)?;
    let second = u64::from(SAMPLE_RATE) * u64::from(SAMPLE_BITS / 8) * u64::from(channels);
    let seconds = (samples.len() as u64 + second / 2).checked_div(second)?;
    Some(ConversationFacts { channels, seconds })
}

/// Returns a mono file in which each sample is the mean of the two channels; `None` unless `wav` is
/// 16-bit PCM with two channels.
pub fn mix_to_mono(wav: &[u8]) -> Option<Vec<u8>> {
    let (2, samples) = parse(wav)? else {
        return None;
    };
    let frames = samples.as_chunks::<4>().0;
    let mut mono = header(frames.len() as u64 * 2, Channels::Mono);
    for &[a, b, c, d] in frames {
        let left = i16::from_le_bytes([a, b]);
        let right = i16::from_le_bytes([c, d]);
        mono.extend_from_slice(&left.midpoint(right).to_le_bytes());
    }
    Some(mono)
}

/// Returns channels and samples of a 16-bit PCM file, wherever its `data` chunk is.
fn parse(wav: &[u8]) -> Option<(u16, &[u8])> {
    let mut rest = wav.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut channels = None;
    loop {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (size, after) = after.split_first_chunk::<4>()?;
        let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        let body = after.get(..size)?;
        match name {
            b"fmt " => channels = pcm16_channels(body),
            b"data" => return Some((channels?, body)),
            _ => {}
        }
        // Chunks begin at even offsets.
        rest = after.get(size + size % 2..)?;
    }
}

fn pcm16_channels(fmt: &[u8]) -> Option<u16> {
    let word = |at: usize| {
        fmt.get(at..)?
            .first_chunk()
            .map(|two| u16::from_le_bytes(*two))
    };
    (word(0)? == 1 && word(14)? == SAMPLE_BITS).then_some(word(2)?)
}

fn samples_length(seconds: u32, channels: Channels) -> u64 {
    u64::from(seconds)
        * u64::from(SAMPLE_RATE)
        * u64::from(SAMPLE_BITS / 8)
        * u64::from(channels.count())
}

/// Returns the canonical header of 44 bytes: RIFF, `fmt ` with PCM, `data`.
fn header(samples: u64, channels: Channels) -> Vec<u8> {
    let frame = channels.count() * (SAMPLE_BITS / 8);
    let size = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    [
        b"RIFF".as_slice(),
        &size(samples + HEADER_LEN as u64 - 8),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &channels.count().to_le_bytes(),
        &SAMPLE_RATE.to_le_bytes(),
        &(SAMPLE_RATE * u32::from(frame)).to_le_bytes(),
        &frame.to_le_bytes(),
        &SAMPLE_BITS.to_le_bytes(),
        b"data",
        &size(samples),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_its_facts_say() {
        let (channels, samples) = parse(WAV).unwrap();
        assert_eq!(channels, 2);
        assert_eq!(samples.len(), WAV.len() - HEADER_LEN);
        assert_eq!(
            WAV[..HEADER_LEN],
            header(samples.len() as u64, Channels::Dual)
        );
        assert_eq!(
            facts(WAV),
            Some(ConversationFacts {
                channels: 2,
                seconds: u64::from(SECONDS)
            })
        );
    }

    #[test]
    fn both_sides_speak_and_never_at_once() {
        let loud = |sample: [u8; 2]| i16::from_le_bytes(sample).unsigned_abs() > 1000;
        let frames = parse(WAV).unwrap().1.as_chunks::<4>().0;
        let said = |f: &dyn Fn(bool, bool) -> bool| {
            frames
                .iter()
                .filter(|&&[a, b, c, d]| f(loud([a, b]), loud([c, d])))
                .count()
        };
        let second = usize::try_from(SAMPLE_RATE).unwrap();
        assert!(said(&|left, _| left) > second);
        assert!(said(&|_, right| right) > second);
        assert_eq!(said(&|left, right| left && right), 0);
    }

    #[test]
    fn files_of_any_length_are_right() {
        for channels in [Channels::Mono, Channels::Dual] {
            for seconds in [0, 1, SECONDS - 1, SECONDS, SECONDS + 1, 2 * SECONDS + 3] {
                let file = repeat_to(seconds, channels);
                assert_eq!(file.len() as u64, length(seconds, channels));
                let (count, samples) = parse(&file).unwrap();
                assert_eq!(
                    (count, samples.len()),
                    (channels.count(), file.len() - HEADER_LEN)
                );
                let riff = u32::from_le_bytes(file[4..8].try_into().unwrap());
                assert_eq!(u64::from(riff) + 8, file.len() as u64);
            }
        }
        assert!(
            repeat_to(SECONDS - 1, Channels::Dual)[HEADER_LEN..]
                == WAV[HEADER_LEN..][..((SECONDS - 1) * SAMPLE_RATE * 4) as usize]
        );
    }

    #[test]
    fn a_file_beyond_four_gibibytes_says_that_it_does_not_know_its_size() {
        let head = chunks(40 * 3600, Channels::Dual).next().unwrap();
        assert_eq!(head[4..8], [0xff; 4]);
        assert_eq!(head[40..44], [0xff; 4]);
    }

    #[test]
    fn mixing_takes_the_mean_of_both_sides() {
        let mut dual = header(8, Channels::Dual);
        for sample in [100_i16, 300, i16::MAX, i16::MAX] {
            dual.extend_from_slice(&sample.to_le_bytes());
        }
        let mono = mix_to_mono(&dual).unwrap();
        assert_eq!(parse(&mono).unwrap().0, 1);
        assert_eq!(
            mono[HEADER_LEN..],
            [200_i16.to_le_bytes(), i16::MAX.to_le_bytes()].concat()
        );
        assert_eq!(mix_to_mono(&mono), None);
    }

    #[test]
    fn what_is_no_wav_is_not_read() {
        for at in 0..HEADER_LEN {
            assert_eq!(facts(&WAV[..at]), None, "{at}");
        }
        assert_eq!(facts(b"<?xml version='1.0'?>"), None);
        let mut no_channels = WAV.to_vec();
        no_channels[22] = 0;
        assert_eq!(facts(&no_channels), None);
    }
}
