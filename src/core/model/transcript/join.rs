//! Joining two transcripts of one recording that cover different parts of it.

use std::collections::BTreeMap;

use super::{Sentence, Transcript, read::InvalidTranscript};

/// The speaker, if known.
type Leg = Option<String>;

impl Transcript {
    /// Joins both, in the order of speech. Where both cover the same leg at the same time, `later`
    /// wins: it replaces every sentence that ends between the ends of its own first and last
    /// sentence of that leg. Ends are more reliable than beginnings, which may be estimates: a
    /// sentence that would begin before the previous one of its leg ended begins at that end.
    ///
    /// # Errors
    /// [`InvalidTranscript`] if the result is longer than a transcript may be.
    pub fn joined(self, later: Self) -> Result<Self, InvalidTranscript> {
        let mut covered: BTreeMap<Leg, (u64, u64)> = BTreeMap::new();
        for said in &later.sentences {
            let (first, last) = covered
                .entry(leg(said))
                .or_insert((said.end_ms, said.end_ms));
            (*first, *last) = ((*first).min(said.end_ms), (*last).max(said.end_ms));
        }
        let is_older = |said: &Sentence| {
            !covered
                .get(&leg(said))
                .is_some_and(|(first, last)| (*first..=*last).contains(&said.end_ms))
        };
        let lost = self.lost.saturating_add(later.lost);
        let language = if self.language == UNKNOWN {
            later.language
        } else {
            self.language
        };
        let mut all: Vec<Sentence> = self
            .sentences
            .into_iter()
            .filter(is_older)
            .chain(later.sentences)
            .collect();
        all.sort_by_key(|said| said.end_ms);
        let mut ended: BTreeMap<Leg, u64> = BTreeMap::new();
        for said in &mut all {
            let before = ended.insert(leg(said), said.end_ms).unwrap_or_default();
            said.start_ms = said.start_ms.max(before).min(said.end_ms);
        }
        Ok(Self::new(language, later.source, all)?.with_lost(lost))
    }
}

/// BCP 47: not determined.
const UNKNOWN: &str = "und";

fn leg(said: &Sentence) -> Leg {
    said.leg.as_ref().map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::transcript::Said;

    fn said(leg: &str, start_ms: u64, end_ms: u64, text: &str) -> Sentence {
        let text = Said::new(text.into());
        Sentence {
            leg: leg.parse().ok(),
            start_ms,
            end_ms,
            text,
            confidence: None,
            words: Vec::new(),
        }
    }

    fn of(sentences: Vec<Sentence>) -> Transcript {
        Transcript::new("en-US".into(), "x".into(), sentences).unwrap()
    }

    fn shown(transcript: &Transcript) -> Vec<(&str, u64, u64)> {
        transcript
            .sentences()
            .iter()
            .map(|said| (said.text.expose(), said.start_ms, said.end_ms))
            .collect()
    }

    #[test]
    fn different_minutes_are_both_kept_in_order() {
        let first = of(vec![
            said("caller", 100, 900, "one"),
            said("callee", 1_000, 2_000, "two"),
        ])
        .with_lost(1);
        // Its estimated beginning lies before the previous sentence.
        let second = of(vec![
            said("callee", 500, 61_000, "three"),
            said("caller", 62_000, 63_000, "four"),
        ])
        .with_lost(2);
        let expected = [
            ("one", 100, 900),
            ("two", 1_000, 2_000),
            ("three", 2_000, 61_000),
            ("four", 62_000, 63_000),
        ];
        let joined = first.clone().joined(second.clone()).unwrap();
        assert_eq!((shown(&joined), joined.lost()), (expected.to_vec(), 3));
        assert_eq!(
            shown(&second.joined(first).unwrap()),
            expected,
            "whichever was heard first"
        );
    }

    #[test]
    fn the_same_minutes_are_those_that_were_heard_later_leg_by_leg() {
        let first = of(vec![
            said("caller", 0, 900, "hasty"),
            said("callee", 0, 1_500, "other side"),
            said("caller", 5_000, 6_000, "after"),
        ]);
        let second = of(vec![
            said("caller", 0, 800, "at"),
            said("caller", 900, 2_000, "leisure"),
        ]);
        let expected = [
            ("at", 0, 800),
            ("other side", 0, 1_500),
            ("leisure", 900, 2_000),
            ("after", 5_000, 6_000),
        ];
        assert_eq!(shown(&first.joined(second).unwrap()), expected);
    }

    fn any() -> impl Strategy<Value = Transcript> {
        let sentence = (
            prop::sample::select(vec!["caller", "callee", "?"]),
            0..100_000u64,
            0..10_000u64,
            "[a-z]{1,8}",
        );
        prop::collection::vec(sentence, 0..20).prop_map(|all| {
            of(all
                .into_iter()
                .map(|(leg, start, takes, text)| said(leg, start, start + takes, &text))
                .collect())
        })
    }

    proptest! {
        #[test]
        fn any_two_are_joined_and_nothing_later_is_lost(first in any(), later in any()) {
            let joined = first.clone().joined(later.clone()).unwrap();
            let has = |text: &Sentence| joined.sentences().iter().any(|said| said.text == text.text && said.end_ms == text.end_ms);
            prop_assert!(later.sentences().iter().all(has));
            prop_assert!(joined.sentences().len() <= first.sentences().len() + later.sentences().len());
            prop_assert!(joined.sentences().is_sorted_by_key(|said| said.start_ms));
            prop_assert_eq!(shown(&first.clone().joined(of(vec![])).unwrap()).len(), first.sentences().len());
        }
    }
}
