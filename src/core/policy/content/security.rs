//! Social security numbers of the United States: area, group, serial
//! (<https://www.ssa.gov/employer/stateweb.htm>).
//!
//! Three groups of three, two and four digits count anywhere; nine digits in another form only near
//! the words for such a number.

use std::ops::Range;

use super::token::Tokens;

/// The maximum distance of these words from the number, in tokens.
const NEAR: usize = 8;

pub(super) fn find(tokens: &Tokens) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut hidden_to = 0;
    for first in 0..tokens.len() {
        let runs = tokens.runs(first, 9, 0);
        let Some((last, digits)) = runs
            .longest_first()
            .next()
            .filter(|(_, digits)| digits.len() == 9)
        else {
            continue;
        };
        let is_one = is_possible(digits)
            && (is_grouped(tokens, first, last) || is_named(tokens, first, last));
        if is_one && last >= hidden_to {
            found.push(tokens.range(first, last));
            hidden_to = last + 1;
        }
    }
    found
}

/// Returns whether the number can have been issued: not area 000, 666 or from 900 on, group 00 or
/// serial 0000.
fn is_possible(digits: &[u8]) -> bool {
    let number = |from: usize, count: usize| {
        digits
            .iter()
            .skip(from)
            .take(count)
            .fold(0u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let area = number(0, 3);
    let group = number(3, 2);
    let serial = number(5, 4);
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

/// Returns whether it is written in its three groups.
fn is_grouped(tokens: &Tokens, first: usize, last: usize) -> bool {
    let length = |at: usize| tokens.digits(at).map_or(0, <[u8]>::len);
    last == first + 2 && (length(first), length(first + 1), length(last)) == (3, 2, 4)
}

/// Returns whether `ssn` or `social security` occurs near it.
fn is_named(tokens: &Tokens, first: usize, last: usize) -> bool {
    let word = |at: usize| {
        tokens
            .get(at)
            .map(|token| tokens.word(token))
            .unwrap_or_default()
    };
    let is = |at: usize, wanted: &str| word(at) == wanted;
    let mut near = (first.saturating_sub(NEAR)..first).chain(last + 1..=last + NEAR);
    near.any(|at| {
        is(at, "ssn")
            || is(at, "social") && is(at + 1, "security")
            || is(at, "s") && is(at + 1, "s") && is(at + 2, "n")
    })
}
