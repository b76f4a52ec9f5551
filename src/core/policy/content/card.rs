//! Numbers of payment cards (ISO/IEC 7812-1): 13 to 19 digits of a known network, with the check
//! digit of Luhn.

use std::ops::Range;

use super::token::Tokens;

/// The maximum number of words between two groups: `okay`, `then again`, a question of another
/// speaker on the same channel. The check digit guards against numbers that do not belong together.
const WORDS: usize = 4;

/// Returns every run of whole groups that is a card number. Of runs with the same beginning, the
/// longest.
pub(super) fn find(tokens: &Tokens) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut hidden_to = 0;
    for first in 0..tokens.len() {
        let runs = tokens.runs(first, 19, WORDS);
        let longest = runs.longest_first().find(|(_, digits)| is_card(digits));
        // A run inside another one hides nothing more.
        if let Some((last, _)) = longest.filter(|(last, _)| *last >= hidden_to) {
            found.push(tokens.range(first, last));
            hidden_to = last + 1;
        }
    }
    found
}

fn is_card(digits: &[u8]) -> bool {
    digits.len() >= 13 && is_of_a_network(digits) && luhn(digits)
}

/// Verifies the check digit of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Returns whether a card network issues numbers of this length with this prefix. Without this
/// check, one in ten long numbers would pass as a card.
fn is_of_a_network(digits: &[u8]) -> bool {
    let prefix = |length: usize| {
        digits
            .iter()
            .take(length)
            .fold(0u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let one = prefix(1);
    let two = prefix(2);
    let three = prefix(3);
    let four = prefix(4);
    match digits.len() {
        // Visa; Maestro.
        13 => one == 4 || is_maestro(one, two),
        // Diners Club; Maestro.
        14 => is_diners(two, three) || is_maestro(one, two),
        // American Express; UATP; Diners Club; Maestro.
        15 => matches!(two, 34 | 37) || one == 1 || is_diners(two, three) || is_maestro(one, two),
        // Visa, Mastercard, Mir, JCB, Discover, UnionPay, RuPay, Troy and the rest.
        16 => {
            one == 4
                || matches!(two, 51..=55 | 35 | 60 | 62 | 64 | 65 | 81 | 82)
                || matches!(four, 2200..=2204 | 2221..=2720 | 9792)
                || three == 508
                || is_diners(two, three)
                || is_maestro(one, two)
        }
        17 | 18 => {
            matches!(two, 35 | 60 | 62 | 64 | 65 | 81)
                || is_diners(two, three)
                || is_maestro(one, two)
                || matches!(four, 2200..=2204)
        }
        19 => {
            one == 4
                || matches!(two, 35 | 60 | 62 | 64 | 65 | 81)
                || is_diners(two, three)
                || is_maestro(one, two)
                || matches!(four, 2200..=2204)
        }
        _ => false,
    }
}

fn is_diners(two: u32, three: u32) -> bool {
    matches!(two, 36 | 38 | 39) || matches!(three, 300..=305 | 309)
}

fn is_maestro(one: u32, two: u32) -> bool {
    one == 6 || matches!(two, 50 | 56..=58)
}

#[cfg(test)]
#[expect(
    clippy::indexing_slicing,
    reason = "a test that reads beyond the end should fail loudly"
)]
mod tests {
    use super::*;

    #[test]
    fn every_single_wrong_digit_and_almost_every_swap_is_noticed() {
        let number: Vec<u8> = "4111111111111111"
            .bytes()
            .map(|digit| digit - b'0')
            .collect();
        assert!(luhn(&number));
        for at in 0..number.len() {
            for digit in (0..10).filter(|digit| *digit != number[at]) {
                let mut wrong = number.clone();
                wrong[at] = digit;
                assert!(!luhn(&wrong), "{wrong:?}");
            }
        }
    }
}
