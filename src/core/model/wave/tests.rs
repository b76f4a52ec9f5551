//! Tests of heads of every kind, and of measurements of the audio after them.
#![expect(
    clippy::indexing_slicing,
    reason = "a test that reads beyond the end should fail loudly"
)]

use proptest::prelude::*;

use super::*;

fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    let pad = vec![0; body.len() % 2];
    [id.as_slice(), &length, body, &pad].concat()
}

fn format(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let block = channels * (bits / 8);
    let two = |number: u16| number.to_le_bytes().to_vec();
    [
        two(tag),
        two(channels),
        rate.to_le_bytes().to_vec(),
        (rate * u32::from(block)).to_le_bytes().to_vec(),
        two(block),
        two(bits),
    ]
    .concat()
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WAVE".to_vec(), chunks.concat()].concat();
    [
        b"RIFF".as_slice(),
        &u32::try_from(body.len()).unwrap().to_le_bytes(),
        &body,
    ]
    .concat()
}

fn extensible(tag: u16) -> Vec<u8> {
    let mut body = format(EXTENSIBLE, 2, 8000, 16);
    body.extend_from_slice(&[22, 0, 16, 0, 3, 0, 0, 0]);
    body.extend_from_slice(&tag.to_le_bytes());
    body.extend_from_slice(&OF_TAG);
    body
}

#[test]
fn a_file_with_long_lengths_is_read() {
    let lengths = [
        1000u64.to_le_bytes(),
        100u64.to_le_bytes(),
        25u64.to_le_bytes(),
    ]
    .concat();
    let mut wav = file(&[
        chunk(b"ds64", &lengths),
        chunk(b"fmt ", &format(1, 2, 8000, 16)),
        chunk(b"data", &[7; 100]),
        chunk(b"LIST", &[1; 8]),
    ]);
    wav[..4].copy_from_slice(b"RF64");
    wav[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let data = wav.windows(4).position(|id| id == b"data").unwrap();
    wav[data + 4..data + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    let start = data as u64 + 8;
    assert_eq!(
        Wave::read(&wav).unwrap().sound(wav.len() as u64),
        start..start + 100
    );
}

#[test]
fn a_plain_file_is_read() {
    let wav = file(&[
        chunk(b"fmt ", &format(1, 2, 8000, 16)),
        chunk(b"data", &[7; 100]),
    ]);
    let wave = Wave::read(&wav).unwrap();
    assert_eq!(
        (wave.encoding, wave.channels, wave.rate, wave.block),
        (Encoding::Pcm(16), 2, 8000, 4)
    );
    assert_eq!(wave.sound(wav.len() as u64), 44..144);
    assert_eq!(wave.sound(143), 44..140, "whole moments only");
    assert_eq!(wave.sound(10), 44..44);
    assert_eq!(
        Wave::read(&[wave.head(100), vec![7; 100]].concat()),
        Ok(wave.clone())
    );
    assert_eq!([wave.head(100), vec![7; 100]].concat(), wav);
}

#[test]
fn chunks_come_in_any_order_and_of_odd_sizes() {
    let list = chunk(b"LIST", &[1; 7]);
    let orders = [
        file(&[
            list.clone(),
            chunk(b"fmt ", &format(7, 1, 8000, 8)),
            chunk(b"fact", &[0; 4]),
            chunk(b"data", &[7; 9]),
        ]),
        file(&[
            chunk(b"data", &[7; 9]),
            list.clone(),
            chunk(b"fmt ", &format(7, 1, 8000, 8)),
        ]),
        file(&[
            chunk(b"JUNK", &[]),
            chunk(b"fmt ", &[format(7, 1, 8000, 8), vec![0; 2]].concat()),
            list,
            chunk(b"data", &[7; 9]),
        ]),
    ];
    for wav in orders {
        let wave = Wave::read(&wav).unwrap();
        let sound = wave.sound(wav.len() as u64);
        assert_eq!(
            (wave.encoding, sound.end - sound.start),
            (Encoding::MuLaw, 9)
        );
        let at = usize::try_from(sound.start).unwrap();
        assert_eq!(wav[at..at + 9], [7; 9]);
    }
}

#[test]
fn a_writer_that_could_not_go_back_is_understood() {
    let whole = file(&[
        chunk(b"fmt ", &format(1, 1, 8000, 16)),
        chunk(b"data", &[7; 20]),
    ]);
    for (riff, data) in [
        (u32::MAX, u32::MAX),
        (0, 0),
        (u32::MAX, 0),
        (36, 0),
        (56, u32::MAX),
    ] {
        let mut wav = whole.clone();
        wav[4..8].copy_from_slice(&riff.to_le_bytes());
        wav[40..44].copy_from_slice(&data.to_le_bytes());
        assert_eq!(
            Wave::read(&wav).unwrap().sound(wav.len() as u64),
            44..64,
            "{riff} {data}"
        );
    }
    // This writer knew the length, which is 0.
    let silent = file(&[
        chunk(b"fmt ", &format(1, 1, 8000, 16)),
        chunk(b"data", &[]),
        chunk(b"LIST", &[1; 8]),
    ]);
    assert_eq!(
        Wave::read(&silent).unwrap().sound(silent.len() as u64),
        44..44
    );
}

#[test]
fn extensible_formats_are_those_they_extend() {
    let wav = |tag| file(&[chunk(b"fmt ", &extensible(tag)), chunk(b"data", &[0; 4])]);
    let wave = Wave::read(&wav(1)).unwrap();
    assert_eq!(wave.encoding, Encoding::Pcm(16));
    assert_eq!(Wave::read(&wave.head(4)).unwrap().head(4), wave.head(4));
    assert_eq!(Wave::read(&wav(3)), Err(UnreadableWave::Format));
    let mut foreign = wav(1);
    foreign[20 + 30] ^= 1;
    assert_eq!(Wave::read(&foreign), Err(UnreadableWave::Format));
}

#[test]
fn formats_without_a_place_for_each_moment_are_refused() {
    let with =
        |format: Vec<u8>| Wave::read(&file(&[chunk(b"fmt ", &format), chunk(b"data", &[0; 64])]));
    let mut wide = format(1, 1, 8000, 16);
    wide[12] = 3;
    for bad in [
        format(2, 1, 8000, 8),
        format(17, 1, 8000, 8),
        format(85, 2, 44_100, 16),
        format(3, 1, 8000, 32),
        format(1, 0, 8000, 16),
        format(1, 65, 8000, 16),
        format(1, 1, 0, 16),
        format(1, 1, 8000, 12),
        format(7, 1, 8000, 16),
        wide,
        vec![1; 15],
        vec![1; 65],
    ] {
        assert_eq!(with(bad.clone()), Err(UnreadableWave::Format), "{bad:?}");
    }
    assert!(with(format(6, 2, 8000, 8)).is_ok() && with(format(1, 64, 8000, 24)).is_ok());
    for no_wav in [&b"RIFX\0\0\0\0WAVE"[..], b"RIFF\0\0\0\0AVI "] {
        assert_eq!(Wave::read(no_wav), Err(UnreadableWave::Format));
    }
}

#[test]
fn half_a_head_asks_for_more() {
    let wav = file(&[
        chunk(b"LIST", &[0; 9]),
        chunk(b"fmt ", &format(1, 1, 8000, 16)),
        chunk(b"data", &[7; 20]),
    ]);
    let sound = usize::try_from(Wave::read(&wav).unwrap().start).unwrap();
    for at in 0..sound {
        assert_eq!(Wave::read(&wav[..at]), Err(UnreadableWave::Short), "{at}");
    }
    assert!(Wave::read(&wav[..sound]).is_ok());
}

#[test]
fn seconds_have_their_place() {
    let wav = file(&[
        chunk(b"fmt ", &format(1, 2, 10, 16)),
        chunk(b"data", &[7; 402]),
    ]);
    let wave = Wave::read(&wav).unwrap();
    let len = wav.len() as u64;
    assert_eq!(wave.between(0, 1, len), 44..84);
    assert_eq!(wave.between(2, 5, len), 124..244);
    assert_eq!(
        wave.between(9, 100, len),
        404..444,
        "ten seconds and half a moment"
    );
    assert_eq!(wave.between(10, 11, len), 444..444);
    assert_eq!(wave.between(u32::MAX - 1, u32::MAX, len), 444..444);
}

fn measured(wav: &[u8], bound: u16, step: usize) -> Option<AudioMeasurement> {
    let mut meter = Meter::new(bound);
    wav.chunks(step).for_each(|chunk| meter.push(chunk));
    meter.finish()
}

#[test]
fn length_and_loudness_do_not_depend_on_the_pieces() {
    let mut samples = vec![0; 32_000];
    samples[31_998..].copy_from_slice(&(-300i16).to_le_bytes());
    let wav = file(&[
        chunk(b"fmt ", &format(1, 2, 8000, 16)),
        chunk(b"data", &samples),
        chunk(b"LIST", &[99; 10]),
    ]);
    for step in [1, 2, 3, 7, 43, 45, 1000, 100_000] {
        assert_eq!(
            measured(&wav, 300, step),
            Some(AudioMeasurement {
                length_ms: 1000,
                peak: Some(300)
            }),
            "{step}"
        );
        assert!(
            measured(&wav, 299, step).unwrap().peak.unwrap() > 299,
            "{step}"
        );
    }
    let loud = file(&[
        chunk(b"fmt ", &format(1, 1, 8000, 16)),
        chunk(b"data", &i16::MIN.to_le_bytes()),
    ]);
    assert_eq!(
        measured(&loud, u16::MAX, 5),
        Some(AudioMeasurement {
            length_ms: 0,
            peak: Some(32_768)
        })
    );
}

#[test]
fn what_cannot_be_read_is_not_measured() {
    assert_eq!(measured(b"", 16, 1), None);
    assert_eq!(measured(b"RIFF\0\0\0\0WAVE", 16, 1), None);
    assert_eq!(
        measured(
            &file(&[
                chunk(b"fmt ", &format(85, 1, 8000, 16)),
                chunk(b"data", &[1; 9])
            ]),
            16,
            4
        ),
        None
    );
    assert_eq!(
        measured(
            &file(&[
                chunk(b"LIST", &vec![0; MAX_HEAD]),
                chunk(b"fmt ", &format(1, 1, 8000, 16))
            ]),
            16,
            4
        ),
        None
    );
    let law = file(&[
        chunk(b"fmt ", &format(7, 1, 8000, 8)),
        chunk(b"data", &[0xff; 8000]),
    ]);
    assert_eq!(
        measured(&law, 16, 9),
        Some(AudioMeasurement {
            length_ms: 1000,
            peak: None
        })
    );
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), step in 1..50usize) {
        let _ = Wave::read(&bytes);
        let _ = measured(&bytes, 16, step);
    }

    #[test]
    fn any_damaged_head_gives_places_within_the_file(at in 0..80usize, byte in any::<u8>(), from in any::<u32>(), to in any::<u32>(), step in 1..50usize) {
        let mut wav = file(&[chunk(b"LIST", &[1; 7]), chunk(b"fmt ", &extensible(1)), chunk(b"data", &[7; 100])]);
        wav[at] = byte;
        let len = wav.len() as u64;
        let _ = measured(&wav, 16, step);
        if let Ok(wave) = Wave::read(&wav) {
            let sound = wave.sound(len);
            let part = wave.between(from, to, len);
            prop_assert!(part.start <= part.end && part.start >= sound.start && part.end <= sound.end.max(sound.start));
            prop_assert!(sound.start == sound.end || sound.end <= len);
            prop_assert_eq!((part.end - part.start) % u64::from(wave.block), 0);
        }
    }
}
