//! Words and phrases that the policy lists: whole, in any case.

use std::{collections::HashMap, ops::Range};

use super::token::Tokens;

pub(super) fn find(tokens: &Tokens<'_>, listed: &[String]) -> Vec<Range<usize>> {
    // By their first word, so that a long list costs no more than a short one.
    let mut phrases: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for phrase in listed {
        let words = Tokens::of(phrase);
        let mut words = (0..words.len()).filter_map(|at| words.get(at).map(|token| folded(words.word(token))));
        let Some(first) = words.next() else { continue };
        phrases.entry(first).or_default().push(words.collect());
    }
    let word = |at: usize| tokens.get(at).map(|token| folded(tokens.word(token)));
    let mut found = Vec::new();
    for first in 0..tokens.len() {
        for rest in word(first).and_then(|word| phrases.get(&word)).into_iter().flatten() {
            if rest.iter().zip(first + 1..).all(|(wanted, at)| word(at).as_ref() == Some(wanted)) {
                found.push(tokens.range(first, first + rest.len()));
            }
        }
    }
    found
}

/// The same for a word in every case: upper case first, because only there `ß` and the two forms of `σ` meet their likes.
fn folded(word: &str) -> String {
    if word.is_ascii() { word.to_ascii_lowercase() } else { word.to_uppercase().to_lowercase() }
}
