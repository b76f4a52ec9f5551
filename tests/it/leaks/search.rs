//! A search for many needles at once, in every form in which they may have been written.

use std::collections::HashSet;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// The size of a searched block of audio: every 64 bytes of a file contain a whole block.
const BLOCK: usize = 32;

/// The needles, and the places where they were found.
#[derive(Default)]
pub(super) struct Search {
    needles: Vec<(&'static str, Vec<u8>)>,
    blocks: HashSet<[u8; BLOCK]>,
    found: Vec<String>,
    places: usize,
}

impl Search {
    /// Adds a text, literally and URL-encoded.
    pub(super) fn text(&mut self, what: &'static str, text: &str) {
        assert!(
            text.len() >= 8,
            "{what} is too short to mean anything where it is found"
        );
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        self.needles
            .extend([text.to_owned(), encoded].map(|form| (what, form.into_bytes())));
    }

    /// Adds a key: raw, in hex, in base64, and as a list of numbers.
    pub(super) fn key(&mut self, what: &'static str, key: &[u8; 32]) {
        let forms = [
            hex::encode(key),
            hex::encode_upper(key),
            STANDARD_NO_PAD.encode(key),
            URL_SAFE_NO_PAD.encode(key),
            format!("{key:?}"),
        ];
        self.needles
            .extend(forms.map(|form| (what, form.into_bytes())));
        self.needles.push((what, key.to_vec()));
    }

    /// Adds any 64 consecutive bytes of a file, except for near silence.
    pub(super) fn sound(&mut self, wav: &[u8]) {
        let blocks = wav.as_chunks::<BLOCK>().0.iter();
        self.blocks
            .extend(blocks.filter(|block| block.iter().collect::<HashSet<_>>().len() > 6));
        assert!(self.blocks.len() > 1000);
    }

    /// Searches one place.
    pub(super) fn through(&mut self, place: &str, hay: &[u8]) {
        self.places += 1;
        for (what, needle) in &self.needles {
            if hay.windows(needle.len()).any(|window| window == needle) {
                self.found.push(format!("{what} in {place}"));
            }
        }
        if hay
            .windows(BLOCK)
            .any(|window| self.blocks.contains(window))
        {
            self.found.push(format!("sound in {place}"));
        }
    }

    pub(super) fn is_clean(&self) {
        assert!(self.places >= 5, "{} places", self.places);
        assert_eq!(self.found, Vec::<String>::new());
    }
}

#[test]
fn what_is_there_is_found() {
    let wav: Vec<u8> = (0..200_000u32)
        .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes())
        .collect();
    let mut search = Search::default();
    search.sound(&wav);
    search.key("key", &[7; 32]);
    search.text("name", "Ophelia Brandywine");
    search.through("nothing", b"nothing");
    assert_eq!(search.found, Vec::<String>::new());
    // Any 64 consecutive bytes, at any offset and in any context.
    for at in [0, 1, 31, 33, 777_777] {
        search.through(
            "sound",
            &[b"before".as_slice(), &wav[at..at + 64], b"after"].concat(),
        );
        assert_eq!(search.found.pop().as_deref(), Some("sound in sound"));
    }
    for hidden in [
        &b"xx\x07\x07"[..],
        b"x=Ophelia+Brandywine&",
        hex::encode([7; 32]).as_bytes(),
    ] {
        search.through("it", &[hidden, &[7; 32]].concat());
        assert!(search.found.drain(..).count() > 0);
    }
}
