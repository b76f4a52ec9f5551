//! The meaning of an answer: a key, an utterance, a message.
//!
//! Owns the classification as yes or no, by the lists in the file. Refuses to guess: an unlisted
//! answer is not understood. INVARIANT: an answer is compared as a whole. "Yes, but not now" is not
//! a yes because it begins with one.

use super::document::{ConsentRules, Cue, MessageRule, Spoken, VoiceConsent};
use crate::model::{
    consent::{Answer, Keyword},
    folding::folded,
};

/// The classification of an answer in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Understood {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Neither, or no answer.
    Unclear,
}

impl VoiceConsent {
    /// Returns the texts for this language; the first language if the file lacks it or none is
    /// requested.
    pub fn spoken(&self, language: Option<&str>) -> Option<&Spoken> {
        let wanted = |spoken: &&Spoken| {
            language.is_some_and(|language| spoken.language.eq_ignore_ascii_case(language))
        };
        self.languages
            .iter()
            .find(wanted)
            .or_else(|| self.languages.first())
    }

    /// Classifies an utterance; `confidence` is from 0 to 1, as reported by speech recognition. A
    /// missing value counts as no confidence.
    pub fn hears(&self, spoken: &Spoken, utterance: &str, confidence: Option<f64>) -> Understood {
        let sure = confidence
            .filter(|confidence| confidence.is_finite())
            .unwrap_or(0.0)
            * 100.0;
        if sure < f64::from(self.min_confidence_percent) {
            return Understood::Unclear;
        }
        let utterance = plain(utterance);
        spoken.answer(|cue| cue.words.contains(&utterance))
    }
}

impl Spoken {
    /// Classifies keys: exactly one key counts.
    pub fn reads(&self, digits: &str) -> Understood {
        self.answer(|cue| digits.chars().eq([cue.digit]))
    }

    /// Returns every listed utterance, as hints for speech recognition.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        self.yes
            .words
            .iter()
            .chain(&self.no.words)
            .map(String::as_str)
    }

    fn answer(&self, is: impl Fn(&Cue) -> bool) -> Understood {
        if is(&self.no) {
            Understood::No
        } else if is(&self.yes) {
            Understood::Yes
        } else {
            Understood::Unclear
        }
    }
}

impl ConsentRules {
    /// Returns the rule for a message. `keyword` is the one that Twilio recognised, if any.
    ///
    /// Twilio's keyword takes precedence over the text. A text that Twilio classified as an answer
    /// about messages is never a yes to anything else: `START` and `YES` mean that the sender wants
    /// messages again. It may be a no.
    pub fn rule_for(&self, keyword: Option<Keyword>, text: &str) -> Option<&MessageRule> {
        let by_keyword = match keyword {
            Some(Keyword::Known(opt_out)) => self
                .messages
                .iter()
                .find(|rule| rule.opt_out == Some(opt_out)),
            Some(Keyword::Unknown) | None => None,
        };
        let text = plain(text);
        let by_words = || self.messages.iter().find(|rule| rule.words.contains(&text));
        by_keyword.or_else(|| {
            by_words().filter(|rule| keyword.is_none() || rule.answer != Some(Answer::Given))
        })
    }
}

/// Normalises a text for comparison: folded (see `model::folding`), without punctuation, with one
/// space between words. Speech recognition writes "I agree." for a spoken "i agree", and people
/// write messages in any form.
pub(super) fn plain(text: &str) -> String {
    // Other signs stay: in many scripts vowels are not letters.
    const PUNCTUATION: &str = "…‘’‚‛“”„‟«»‹›¿¡·–—、。，．！？；：「」『』（）؟،؛।॥۔";
    let gone = |c: char| {
        (c.is_ascii_punctuation() && c != '\'')
            || PUNCTUATION.contains(c)
            || c.is_whitespace()
            || c.is_control()
    };
    // An apostrophe is part of a word in many languages; which character is used depends on the
    // writer. Replaced before folding, because NFKC turns a standalone acute accent into a space
    // and a mark.
    let text = folded(&text.replace(['’', '‘', 'ʼ', '´'], "'"));
    let words = text
        .split(gone)
        .map(|word| word.trim_matches('\''))
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::consent::OptOut;

    fn cue(digit: char, words: &[&str]) -> Cue {
        Cue {
            digit,
            words: words.iter().map(|word| plain(word)).collect(),
        }
    }

    fn asked(min_confidence_percent: u8) -> VoiceConsent {
        let spoken = |language: &str, yes: &[&str], no: &[&str]| Spoken {
            language: language.into(),
            voice: None,
            text: String::new(),
            agreed: String::new(),
            declined: String::new(),
            yes: cue('1', yes),
            no: cue('2', no),
        };
        let languages = vec![
            spoken("en-US", &["yes", "i agree"], &["no", "I don't"]),
            spoken("de-DE", &["ja", "Groß und ganz"], &["nein"]),
        ];
        VoiceConsent {
            purposes: Vec::new(),
            attempts: 2,
            patience_s: 5,
            min_confidence_percent,
            languages,
        }
    }

    #[test]
    fn a_whole_answer_is_understood_and_a_part_of_one_is_not() {
        let voice = asked(50);
        let english = voice.spoken(None).unwrap();
        let hears = |text: &str| voice.hears(english, text, Some(0.5));
        for text in ["yes", "Yes.", "YES!", " yes ", "I agree.", "I, agree"] {
            assert_eq!(hears(text), Understood::Yes, "{text}");
        }
        for text in [
            "no",
            "No.",
            "I don’t",
            "i don't.",
            "I don´t",
            "ｎｏ",
            "\u{feff}no\u{200e}",
            "n\u{200c}o",
            "no\u{200b}.",
        ] {
            assert_eq!(hears(text), Understood::No, "{text}");
        }
        for text in [
            "",
            ".",
            "yes but not now",
            "no yes",
            "yesterday",
            "ja",
            "yes yes",
            "i dont",
        ] {
            assert_eq!(hears(text), Understood::Unclear, "{text}");
        }
        let spanish = cue('1', &["sí"]);
        assert!(
            spanish.words.contains(&plain("Si\u{301}")) && !spanish.words.contains(&plain("si"))
        );
        let german = voice.spoken(Some("DE-de")).unwrap();
        assert_eq!(
            voice.hears(german, "GROSS UND GANZ", Some(1.0)),
            Understood::Yes
        );
        assert_eq!(voice.hears(german, "yes", Some(1.0)), Understood::Unclear);
        assert_eq!(
            voice.spoken(Some("fr-FR")).unwrap().language,
            "en-US",
            "a language that the file has not is the first"
        );
    }

    #[test]
    fn what_recognition_is_not_sure_of_is_not_understood() {
        let voice = asked(50);
        let english = voice.spoken(None).unwrap();
        for confidence in [None, Some(0.0), Some(0.4999), Some(-1.0), Some(f64::NAN)] {
            assert_eq!(
                voice.hears(english, "yes", confidence),
                Understood::Unclear,
                "{confidence:?}"
            );
            assert_eq!(
                voice.hears(english, "no", confidence),
                Understood::Unclear,
                "{confidence:?}"
            );
        }
        // Some speech recognition models report no confidence.
        let trusting = asked(0);
        assert_eq!(
            trusting.hears(trusting.spoken(None).unwrap(), "yes", None),
            Understood::Yes
        );
    }

    #[test]
    fn one_key_is_an_answer() {
        let voice = asked(50);
        let english = voice.spoken(None).unwrap();
        let read = ["1", "2", "3", "", "11", "12", "1#"].map(|digits| english.reads(digits));
        use Understood::{No, Unclear, Yes};
        assert_eq!(read, [Yes, No, Unclear, Unclear, Unclear, Unclear, Unclear]);
    }

    #[test]
    fn twilios_word_goes_before_the_text_and_is_never_a_yes() {
        let rule = |words: &[&str], opt_out, answer| MessageRule {
            words: words.iter().map(|word| plain(word)).collect(),
            opt_out,
            answer,
            purposes: Vec::new(),
            reply: None,
        };
        let rules = ConsentRules {
            voice: None,
            messages_first: None,
            messages: vec![
                rule(
                    &["STOP RECORDING", "stop all"],
                    None,
                    Some(Answer::Withdrawn),
                ),
                rule(&["yes"], None, Some(Answer::Given)),
                rule(&["halt"], Some(OptOut::Stop), Some(Answer::Declined)),
            ],
        };
        let answer =
            |keyword, text: &str| rules.rule_for(keyword, text).and_then(|rule| rule.answer);
        assert_eq!(answer(None, " Stop  recording. "), Some(Answer::Withdrawn));
        for unseen in [
            "stop recording\u{200b}",
            "\u{feff}stop recording",
            "stop recording\u{200e}",
            "stop rec\u{200c}ording",
            "ＳＴＯＰ ｒｅｃｏｒｄｉｎｇ",
        ] {
            assert_eq!(answer(None, unseen), Some(Answer::Withdrawn), "{unseen:?}");
        }
        assert_eq!(answer(None, "Please stop recording"), None);
        assert_eq!(
            answer(None, "STOP"),
            None,
            "an opt-out of messages says nothing about recordings"
        );
        assert_eq!(answer(None, "Yes"), Some(Answer::Given));
        assert_eq!(answer(Some(Keyword::Known(OptOut::Start)), "Yes"), None);
        assert_eq!(answer(Some(Keyword::Unknown), "yes"), None);
        assert_eq!(
            answer(Some(Keyword::Known(OptOut::Stop)), "STOP"),
            Some(Answer::Declined)
        );
        assert_eq!(
            answer(Some(Keyword::Known(OptOut::Stop)), "stop all"),
            Some(Answer::Declined)
        );
        assert_eq!(
            answer(Some(Keyword::Known(OptOut::Help)), "stop all"),
            Some(Answer::Withdrawn),
            "in doubt it is no"
        );
        assert_eq!(answer(None, ""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_plain_once_and_for_all(text in "\\PC{0,60}|[a-z'’.,! ß\t]{0,40}") {
            let once = plain(&text);
            prop_assert_eq!(plain(&once), once.clone());
            prop_assert!(!once.starts_with(' ') && !once.ends_with(' ') && !once.contains("  "));
        }
    }
}
