//! Words and phrases that the policy lists: whole, in any case and normalisation.

use std::{collections::HashMap, ops::Range};

use super::token::Tokens;

pub(super) fn find(tokens: &Tokens, listed: &[String]) -> Vec<Range<usize>> {
    // Indexed by first word, so that a long list costs no more than a short one.
    let mut phrases: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for phrase in listed {
        let words = Tokens::of(phrase);
        let words: Vec<&str> = (0..words.len())
            .filter_map(|at| words.get(at).map(|token| words.word(token)))
            .collect();
        let Some((first, rest)) = words.split_first() else {
            continue;
        };
        phrases
            .entry((*first).to_owned())
            .or_default()
            .push(rest.iter().map(|word| (*word).to_owned()).collect());
        // The separator of two words may be an invisible character, which folding drops: then the
        // joined words are one token.
        if !rest.is_empty() {
            phrases.entry(words.concat()).or_default().push(Vec::new());
        }
    }
    let word = |at: usize| tokens.get(at).map(|token| tokens.word(token));
    let mut found = Vec::new();
    for first in 0..tokens.len() {
        for rest in word(first)
            .and_then(|word| phrases.get(word))
            .into_iter()
            .flatten()
        {
            if rest
                .iter()
                .zip(first + 1..)
                .all(|(wanted, at)| word(at) == Some(wanted))
            {
                found.push(tokens.range(first, first + rest.len()));
            }
        }
    }
    found
}
