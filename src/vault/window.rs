//! A part of a sound as a file of its own: a fresh head, and behind it some bytes of the file that
//! is sealed.
//!
//! Owns the arithmetic between the two. INVARIANT: no byte outside the part is ever asked for.

use std::ops::Range;

use bytes::Bytes;

use crate::model::wave::Wave;

/// A file that holds a part of another's sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AudioWindow {
    head: Bytes,
    /// In the file that is sealed.
    sound: Range<u64>,
    /// What a sound of odd length is padded with.
    tail: Bytes,
}

/// What a range of the smaller file is made of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Made here.
    pub(super) before: Bytes,
    /// In the file that is sealed.
    pub(super) sound: Range<u64>,
    /// Made here.
    pub(super) after: Bytes,
}

impl AudioWindow {
    /// The seconds from `from_s` to `to_s` of a file of `file_len` bytes.
    pub(super) fn of(wave: &Wave, from_s: u32, to_s: u32, file_len: u64) -> Self {
        let sound = wave.between(from_s, to_s, file_len);
        let length = sound.end - sound.start;
        let tail = if length.is_multiple_of(2) {
            Bytes::new()
        } else {
            Bytes::from_static(&[0])
        };
        Self {
            head: wave.head(length).into(),
            sound,
            tail,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.head.len() as u64 + (self.sound.end - self.sound.start) + self.tail.len() as u64
    }

    /// What the range is made of; what is behind the end is left away.
    pub(super) fn cut(&self, range: Range<u64>) -> Cut {
        let head = self.head.len() as u64;
        let sound = self.sound.end - self.sound.start;
        // Each part has its own beginning: how far the range reaches into it.
        let within = |begin: u64, length: u64| {
            let at = |place: u64| place.saturating_sub(begin).min(length);
            at(range.start)..at(range.end).max(at(range.start))
        };
        let made = |bytes: &Bytes, begin: u64| {
            let part = within(begin, bytes.len() as u64);
            let at = |place: u64| usize::try_from(place).unwrap_or(bytes.len());
            bytes.slice(at(part.start)..at(part.end))
        };
        let part = within(head, sound);
        Cut {
            before: made(&self.head, 0),
            sound: self.sound.start + part.start..self.sound.start + part.end,
            after: made(&self.tail, head + sound),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A file with mono µ-law at 5 samples a second, and a list before and behind the sound.
    fn file(samples: u8) -> Vec<u8> {
        let sound: Vec<u8> = (0..samples).map(|sample| 100 + sample).collect();
        let mut body =
            b"WAVELIST\x02\0\0\0xxfmt \x10\0\0\0\x07\0\x01\0\x05\0\0\0\x05\0\0\0\x01\0\x08\0data"
                .to_vec();
        body.extend_from_slice(&u32::from(samples).to_le_bytes());
        body.extend_from_slice(&sound);
        body.extend_from_slice(&[0; 1][..usize::from(samples % 2)]);
        body.extend_from_slice(b"LIST\x02\0\0\0yy");
        [
            b"RIFF".as_slice(),
            &u32::try_from(body.len()).unwrap().to_le_bytes(),
            &body,
        ]
        .concat()
    }

    fn window(file: &[u8], from_s: u32, to_s: u32) -> AudioWindow {
        AudioWindow::of(&Wave::read(file).unwrap(), from_s, to_s, file.len() as u64)
    }

    fn served(window: &AudioWindow, file: &[u8], range: Range<u64>) -> Vec<u8> {
        let Cut {
            before,
            sound,
            after,
        } = window.cut(range);
        let sound =
            &file[usize::try_from(sound.start).unwrap()..usize::try_from(sound.end).unwrap()];
        [before.as_ref(), sound, after.as_ref()].concat()
    }

    #[test]
    fn a_part_is_a_file_with_these_seconds_and_no_more() {
        let file = file(23);
        for (from, to, samples) in [
            (0, 1, 0..5),
            (1, 3, 5..15),
            (4, 9, 20..23),
            (5, 9, 23..23),
            (0, 100, 0..23),
        ] {
            let window = window(&file, from, to);
            let part = served(&window, &file, 0..window.len());
            let wave = Wave::read(&part).unwrap();
            let sound = wave.sound(part.len() as u64);
            let expected: Vec<u8> = samples.map(|sample| 100 + sample).collect();
            assert_eq!(
                part[usize::try_from(sound.start).unwrap()..usize::try_from(sound.end).unwrap()],
                expected,
                "{from} {to}"
            );
            assert!(part.len().is_multiple_of(2));
            assert_eq!(
                part[4..8],
                u32::try_from(part.len() - 8).unwrap().to_le_bytes()
            );
        }
    }

    proptest! {
        #[test]
        fn any_range_is_that_of_the_whole_part(samples in 0..30u8, from in 0..8u32, length in 1..8u32, a in 0..90u64, b in 0..90u64) {
            let file = file(samples);
            let window = window(&file, from, from + length);
            let whole = served(&window, &file, 0..window.len());
            prop_assert_eq!(whole.len() as u64, window.len());
            let range = a.min(b).min(window.len())..a.max(b).min(window.len());
            let expected = &whole[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            prop_assert_eq!(&served(&window, &file, range.clone()), expected);
            let sound = window.cut(range).sound;
            prop_assert!(sound.start >= window.sound.start && sound.end <= window.sound.end && sound.start <= sound.end);
        }
    }
}
