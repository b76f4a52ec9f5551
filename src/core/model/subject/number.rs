//! Telephone numbers: parsing to E.164, and the canonical number of a person.
//!
//! Owns the handling of trunk prefixes and the equivalence of two numbers of one line. The
//! numbering plans are libphonenumber's, from the crate `phonenumber`. Its parser is not used,
//! because it removes digits from complete numbers (`+78121234567` lost its 8). INVARIANT: a number
//! in E.164 is kept digit for digit; a digit is removed only if the number is in no plan with it
//! and in one without it.

use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

use phonenumber::metadata::{DATABASE, Metadata};
use regex::Regex;

/// The number of digits with the country code: at most 15 (ITU-T E.164); the shortest numbers in
/// use are of companies in Iran.
const DIGITS: std::ops::RangeInclusive<usize> = 6..=15;

/// Parses a number that begins with `+`, as people write it: with spaces, brackets, dots, slashes
/// and dashes, and possibly a trunk prefix (`+44 (0)20 …`). Returns its digits in E.164, without
/// the plus.
pub(super) fn read(text: &str) -> Option<String> {
    let rest = text.strip_prefix('+')?;
    let is_between = |c: char| {
        c.is_whitespace()
            || "()-./".contains(c)
            || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
    };
    // Letters would be an extension, or a name.
    if !rest.chars().all(|c| c.is_ascii_digit() || is_between(c)) {
        return None;
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    if is_e164(&digits) && digits.len() == rest.len() {
        return Some(digits);
    }
    // `+00 49 …`: the international prefix besides the plus that stands for it.
    let digits = digits.strip_prefix("00").unwrap_or(&digits);
    Some(planned(digits)).filter(|digits| is_e164(digits))
}

/// Returns the canonical digits of a person, from digits in E.164: the same for all spellings of
/// one line.
pub(super) fn person(digits: &str) -> String {
    let digits = planned(digits);
    same_line(&digits).unwrap_or(digits)
}

/// Countries whose carriers write one line in two ways; returns the shorter one.
fn same_line(digits: &str) -> Option<String> {
    let national = |code: &str, length: usize| {
        digits
            .strip_prefix(code)
            .filter(|rest| rest.len() == length)
    };
    // Mexico used a 1 before mobile numbers until 2019, and WhatsApp still does.
    if let Some(rest) = national("521", 10) {
        return Some(format!("52{rest}"));
    }
    // Argentina uses a 9 before mobile numbers in calls from abroad.
    if let Some(rest) = national("549", 10) {
        return Some(format!("54{rest}"));
    }
    // Brazil added a 9 before mobile numbers, which otherwise begin with 6 to 9; WhatsApp omits it
    // in most areas.
    if let Some((area, line)) = national("55", 11).and_then(|rest| rest.split_at_checked(2))
        && let Some(line) = line.strip_prefix('9')
        && line.starts_with(['6', '7', '8', '9'])
    {
        return Some(format!("55{area}{line}"));
    }
    // Benin added 01 before every number in 2024.
    national("22901", 8).map(|rest| format!("229{rest}"))
}

fn is_e164(digits: &str) -> bool {
    DIGITS.contains(&digits.len()) && !digits.starts_with('0')
}

/// Returns the number that fits a numbering plan: without a trunk prefix, if it fits none with it.
fn planned(digits: &str) -> String {
    let code = (1..=3)
        .filter_map(|length| digits.split_at_checked(length))
        .find_map(|(code, national)| {
            let number: u16 = code.parse().ok().filter(|_| !code.starts_with('0'))?;
            DATABASE
                .by_code(&number)
                .map(|plans| (number, plans, national))
        });
    let Some((code, plans, national)) = code else {
        return digits.to_owned();
    };
    if is_planned(code, national) {
        return digits.to_owned();
    }
    let shorter = plans
        .iter()
        .flat_map(|plan| without_prefix(plan, national))
        .find(|national| is_planned(code, national));
    shorter.map_or_else(|| digits.to_owned(), |national| format!("{code}{national}"))
}

/// Returns candidates for a national number without its national prefix, or with a mobile prefix
/// that is used abroad only.
fn without_prefix(plan: &Metadata, national: &str) -> Vec<String> {
    let mut shorter = Vec::new();
    let found = plan
        .national_prefix_for_parsing()
        .and_then(|prefix| prefix.captures(national));
    if let Some(found) = found
        && let Some(whole) = found.get(0).filter(|whole| whole.start() == 0)
    {
        let rest = national.get(whole.end()..).unwrap_or_default();
        let last = found.iter().skip(1).last().flatten();
        if let (Some(rule), Some(_)) = (plan.national_prefix_transform_rule(), last) {
            let mut changed = String::new();
            found.expand(rule, &mut changed);
            shorter.push(format!("{changed}{rest}"));
        }
        shorter.push(rest.to_owned());
    }
    shorter.extend(
        plan.national_prefix()
            .and_then(|prefix| national.strip_prefix(prefix))
            .map(str::to_owned),
    );
    shorter
}

/// Returns whether some numbering plan of this country code contains this number.
fn is_planned(code: u16, national: &str) -> bool {
    // Built once for each country code in use.
    static FORMS: LazyLock<HashMap<u16, OnceLock<Option<Regex>>>> = LazyLock::new(|| {
        DATABASE
            .iter()
            .map(|plan| (plan.country_code(), OnceLock::new()))
            .collect()
    });
    let form = FORMS
        .get(&code)
        .and_then(|form| form.get_or_init(|| form_of(code)).as_ref());
    form.is_some_and(|form| form.is_match(national))
}

/// The plans are written over several lines, so white space in them is ignored.
fn form_of(code: u16) -> Option<Regex> {
    let plans = DATABASE.by_code(&code)?;
    let forms: Vec<String> = plans
        .iter()
        .map(|plan| {
            format!(
                "(?:{})",
                plan.descriptors().general().national_number().as_str()
            )
        })
        .collect();
    Regex::new(&format!("(?x)^(?:{})$", forms.join("|"))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_whole_loses_no_digit() {
        for number in [
            "+78121234567",
            "+78311234567",
            "+78001234567",
            "+3758011234567",
            "+37080123456",
            "+37080012345",
            "+5215512345678",
            "+390612345678",
        ] {
            assert_eq!(
                read(number).as_deref(),
                number.strip_prefix('+'),
                "{number}"
            );
        }
    }

    #[test]
    fn a_trunk_prefix_is_no_part_of_a_number() {
        for (text, digits) in [
            ("+7 812 123-45-67", "78121234567"),
            ("+7 (8) 812 123-45-67", "78121234567"),
            ("+1 1 415 555 0100", "14155550100"),
            ("+1 (415) 555-0100", "14155550100"),
            ("+44 (0)20 7946 0018", "442079460018"),
            ("+44 020 7946 0018", "442079460018"),
            ("+49 (0) 30 / 12 34 56-78", "493012345678"),
            ("+39 06 1234 5678", "390612345678"),
            ("+36 06 1 234 5678", "3612345678"),
            ("+54 11 15 2345-6789", "5491123456789"),
            ("+00 49 30 12345678", "493012345678"),
            ("+49\u{a0}30\u{2011}12345678", "493012345678"),
            ("+888 123 456 789", "888123456789"),
            ("+999 1234 567", "9991234567"),
        ] {
            assert_eq!(read(text).as_deref(), Some(digits), "{text}");
        }
        for text in [
            "",
            "+",
            "49 30 123456",
            "+49 30 123456 x5",
            "+0301234567",
            "+4930",
            "+1234567890123456",
            "+49 30 \u{661}2345678",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn one_line_is_one_person_however_its_carrier_writes_it() {
        for (one, other) in [
            ("5215512345678", "525512345678"),
            ("5491123456789", "541123456789"),
            ("5511987654321", "551187654321"),
            ("5531996541234", "553196541234"),
            ("2290197123456", "22997123456"),
            // Kept as given, and still the same person.
            ("4402079460018", "442079460018"),
            ("114155550100", "14155550100"),
        ] {
            assert_eq!(person(one), person(other), "{one} {other}");
        }
        // A land line of São Paulo; a number of the United States that begins like Mexico's.
        for (one, other) in [
            ("5511923456789", "551123456789"),
            ("15215512345", "1525512345"),
            ("493012345678", "49301234567"),
        ] {
            assert_ne!(person(one), person(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_read_once_and_for_all(text in "\\+[1-9][0-9]{0,3}[ ()/-]{0,2}[0-9]{2,12}|\\+[0-9 ().-]{5,22}") {
            if let Some(digits) = read(&text) {
                prop_assert_eq!(read(&format!("+{digits}")), Some(digits.clone()));
                let person = person(&digits);
                prop_assert_eq!(super::person(&person), person);
            }
        }
    }
}
