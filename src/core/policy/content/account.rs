//! International bank account numbers (ISO 13616-1): country, two check digits, and as many letters
//! and digits as the country defines.

use std::ops::Range;

use super::token::Tokens;

/// The length of a number by country: the Single Euro Payments Area and the rest of the registry
/// (<https://www.swift.com/standards/data-standards/iban-international-bank-account-number>).
fn length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"LY" | b"PT" | b"ST" => 25,
        b"IS" | b"TR" => 26,
        b"BI" | b"DJ" | b"FR" | b"GR" | b"IT" | b"MC" | b"MR" | b"SM" => 27,
        b"AL" | b"AZ" | b"BY" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU" | b"LB" | b"NI" | b"PL"
        | b"SV" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}

/// Returns every number that begins and ends at a word boundary of the text.
pub(super) fn find(tokens: &Tokens) -> Vec<Range<usize>> {
    let starts = 0..tokens.len();
    starts
        .filter_map(|first| ends(tokens, first).map(|last| tokens.range(first, last)))
        .collect()
}

/// Returns the last token of the number that begins with this one.
fn ends(tokens: &Tokens, first: usize) -> Option<usize> {
    let mut symbols = Vec::new();
    let mut wanted = None;
    for at in first.. {
        let token = tokens.get(at)?;
        for symbol in tokens.symbols(token) {
            let symbol = u8::try_from(symbol)
                .ok()
                .filter(u8::is_ascii_alphanumeric)?
                .to_ascii_uppercase();
            symbols.push(symbol);
            // Decided after two letters: most words of a text are rejected here.
            match symbols.as_slice() {
                [a, b] => wanted = Some(length([*a, *b])?),
                [.., digit] if matches!(symbols.len(), 3 | 4) && !digit.is_ascii_digit() => {
                    return None;
                }
                _ => {}
            }
        }
        match wanted {
            // A filler word cannot begin a number.
            None if symbols.is_empty() => return None,
            Some(length) if symbols.len() == length => return is_valid(&symbols).then_some(at),
            Some(length) if symbols.len() > length => return None,
            _ if !token.goes_on => return None,
            _ => {}
        }
    }
    None
}

/// Verifies the check digits of ISO/IEC 7064, MOD 97-10.
fn is_valid(symbols: &[u8]) -> bool {
    let (front, rest) = symbols.split_at_checked(4).unwrap_or_default();
    let remainder = rest
        .iter()
        .chain(front)
        .fold(0u32, |sum, symbol| match symbol {
            digit @ b'0'..=b'9' => (sum * 10 + u32::from(digit - b'0')) % 97,
            letter => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
        });
    remainder == 1
}
