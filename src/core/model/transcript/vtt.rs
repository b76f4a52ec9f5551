//! Output of WebVTT (<https://www.w3.org/TR/webvtt1/>).
//!
//! INVARIANT: every text stays inside its cue: an arrow, a tag or an empty line in it would
//! otherwise begin another element (sections 4.1, 6.4).

use std::collections::BTreeSet;

use super::{Said, Transcript};
use crate::{model::numerals::counted, secret::SecretBuffer};

pub(super) fn write(transcript: &Transcript, redacted: &BTreeSet<&'static str>) -> SecretBuffer {
    let mut vtt = Vtt(SecretBuffer::take(b"WEBVTT\n".to_vec()));
    if !redacted.is_empty() {
        let kinds: Vec<&str> = redacted.iter().copied().collect();
        vtt.push_str(&format!(
            "\nNOTE Redacted on this copy: {}.\n",
            kinds.join(", ")
        ));
    }
    if transcript.lost() > 0 {
        vtt.push_str(&format!(
            "\nNOTE Incomplete: {} of the transcript never arrived.\n",
            counted(transcript.lost(), "piece", "pieces")
        ));
    }
    for sentence in transcript.sentences() {
        let said = sentence.text.expose();
        // A cue must have text.
        if said.trim().is_empty() {
            continue;
        }
        // A cue must end after it begins.
        let start = sentence.start_ms;
        let end = sentence.end_ms.max(sentence.start_ms + 1);
        vtt.push_str(&format!("\n{} --> {}\n", time(start), time(end)));
        if let Some(leg) = &sentence.leg {
            // A leg's name has only letters, digits, `-` and `_`; but it may contain two dashes in
            // a row, and `>` ends the tag.
            vtt.push_str(&format!("<v {leg}>"));
        }
        push(&mut vtt, &sentence.text);
        vtt.push('\n');
    }
    vtt.0
}

/// A text buffer that leaves no copies in memory.
struct Vtt(SecretBuffer);

impl Vtt {
    fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn push(&mut self, c: char) {
        self.push_str(c.encode_utf8(&mut [0; 4]));
    }
}

fn push(vtt: &mut Vtt, said: &Said) {
    for c in said.expose().trim().chars() {
        match c {
            '&' => vtt.push_str("&amp;"),
            '<' => vtt.push_str("&lt;"),
            '>' => vtt.push_str("&gt;"),
            '\n' | '\r' => vtt.push(' '),
            c => vtt.push(c),
        }
    }
}

/// `00:00:00.000`; hours have as many digits as they need.
fn time(ms: u64) -> String {
    let s = ms / 1000;
    let ms = ms % 1000;
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
}
