//! A written text in the form of a transcript, so that it is classified, redacted, read and exported
//! as what is spoken.

use super::{MAX_CHARS, Said, Sentence, Transcript};
use crate::model::{name::LegName, text::is_prose};

/// The language of a text whose language nobody told (BCP 47).
const UNKNOWN: &str = "und";
/// The name of the system: the text was typed.
const SOURCE: &str = "message";

impl Transcript {
    /// Returns the text of a message by this party, without characters that no transcript may
    /// contain. A text without any is a transcript without sentences.
    pub fn written(text: &str, author: &LegName) -> Self {
        let mut chars = text.chars().filter(|c| is_prose(*c)).peekable();
        let mut sentences = Vec::new();
        while chars.peek().is_some() {
            // As long as it can become, so that no copy is left behind by growth.
            let mut some = String::with_capacity(text.len().min(MAX_CHARS * 4));
            some.extend(chars.by_ref().take(MAX_CHARS));
            sentences.push(Sentence {
                leg: Some(author.clone()),
                start_ms: 0,
                end_ms: 0,
                text: Said::new(some),
                confidence: None,
                words: Vec::new(),
            });
        }
        Self {
            language: UNKNOWN.to_owned(),
            source: SOURCE.to_owned(),
            sentences,
            lost: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn author() -> LegName {
        "contact".parse().unwrap()
    }

    #[test]
    fn a_text_is_one_sentence_of_its_author() {
        let written = Transcript::written("Bis 5\u{0} Uhr?\n👍", &author());
        let [sentence] = written.sentences() else {
            panic!("{} sentences", written.sentences().len())
        };
        assert_eq!(sentence.text.expose(), "Bis 5 Uhr?\n👍");
        assert_eq!(sentence.leg, Some(author()));
        assert!(Transcript::written("", &author()).sentences().is_empty());
    }

    #[test]
    fn a_long_text_is_kept_whole() {
        let text = "ä".repeat(MAX_CHARS + 1);
        let written = Transcript::written(&text, &author());
        let back: String = written
            .sentences()
            .iter()
            .map(|sentence| sentence.text.expose())
            .collect();
        assert_eq!(back, text);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_json(text in ".{0,400}") {
            let written = Transcript::written(&text, &author());
            prop_assert_eq!(Transcript::parse(&written.to_json()), Ok(written));
        }
    }
}
