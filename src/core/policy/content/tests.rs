//! Tests of content that must be found in every spelling, and of content that must not be found.
#![expect(
    clippy::indexing_slicing,
    reason = "a test that reads beyond the end should fail loudly"
)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::transcript::{Said, Sentence, SpokenWord, Transcript};

fn rule(pattern: Pattern) -> ContentRule {
    ContentRule {
        pattern,
        tier: "restricted".parse().unwrap(),
    }
}

fn all() -> Vec<ContentRule> {
    let words = ["diagnosis", "health insurance", "Straße", "診断", "santé"]
        .map(str::to_owned)
        .to_vec();
    [
        Pattern::CardNumber,
        Pattern::UsSocialSecurityNumber,
        Pattern::Iban,
        Pattern::Words(words),
    ]
    .map(rule)
    .into_iter()
    .collect()
}

/// Returns the findings of one rule, as texts.
fn found(rule: usize, text: &str) -> Vec<&str> {
    find(text, &all())
        .into_iter()
        .filter(|found| found.rule == rule)
        .map(|found| &text[found.range])
        .collect()
}

#[test]
fn cards_of_every_network_are_found() {
    for number in [
        "4111111111111111",
        "4222222222222",
        "5500005555555559",
        "2223003122003222",
        "378282246310005",
        "6011111111111117",
        "30569309025904",
        "36227206271667",
        "3530111333300000",
        "6200000000000005",
        "2200000000000004",
        "6759649826438453",
        "5018000000000009",
    ] {
        assert_eq!(found(0, &format!("it is {number}, yes")), [number]);
    }
}

#[test]
fn a_card_is_found_in_every_spelling() {
    for spelling in [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111, 1111, 1111, 1111",
        "4111. 1111 - 1111\n1111",
        "4111\u{a0}1111\u{2013}1111 1111",
        "four one one one one one one one one one one one one one one one",
        "Four one-one one, one one one one. One one one one 1111",
        "41 11 11 11 11 11 11 11",
        "four double one one dash triple one, um, one and double one double one double one double one",
        "double 4 double 4 double 4 double 4 double 4 double 4 double 4 four 8",
        "４１１１ ١١١١ ۱۱۱۱ १১११",
    ] {
        let text = format!("Card number: {spelling} and more");
        assert_eq!(found(0, &text), [spelling]);
        assert_eq!(
            redact(&text, &find(&text, &all())),
            format!(
                "Card number: {} and more",
                "█".repeat(spelling.chars().count())
            )
        );
    }
    // Surrounding text does not hide it.
    for text in [
        "pin 12 34, 4111 1111 1111 1111 12/27 123",
        "4111 1111 1111 1111 2027",
        "7 4111111111111111",
        "1 4111-1111 1111-1111",
    ] {
        let hidden = redact(text, &find(text, &all()));
        assert!(
            !hidden.contains("4111") && !hidden.contains("1111"),
            "{hidden}"
        );
    }
}

#[test]
fn what_is_no_card_is_not_found() {
    for text in [
        "4111111111111112",
        "411111111111",
        "0000000000000000",
        "99994111111111111111",
        "41111111111111119999",
        "x4111111111111111",
        "4111111111111111x",
        "4111 1111 and here come six other words 1111 1111",
        "4111 1111 at 11 or so 11 11 11",
        "9999999999999995",
    ] {
        assert_eq!(found(0, text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn social_security_numbers_are_found_in_their_shape_or_by_their_name() {
    for number in [
        "123-45-6789",
        "123 45 6789",
        "899-99-9999",
        "001.01.0001",
        "123\u{2011}45\u{2011}6789",
    ] {
        assert_eq!(found(1, &format!("it is {number} ok")), [number]);
    }
    for text in [
        "my social security number is 123456789",
        "SSN: 123456789",
        "123456789 is my ssn",
        "social security, one two three four five six seven eight nine",
        "my S.S.N. 12345 6789",
    ] {
        assert_eq!(found(1, text).len(), 1, "{text}");
    }
    for text in [
        "123456789",
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "1234-5-6789",
        "123-45-67890",
        "0123-45-6789",
        "order 123456789",
        "the social club in 123456789",
        "one two three four five six seven eight nine",
    ] {
        assert_eq!(found(1, text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn accounts_are_found_in_every_spelling() {
    for number in [
        "DE89370400440532013000",
        "GB82WEST12345698765432",
        "FR1420041010050500013M02606",
        "NL91ABNA0417164300",
        "CH9300762011623852957",
        "MT84MALT011000012345MTLCAST001S",
        "NO9386011117947",
        "BE68539007547034",
        "AT611904300234573201",
        "ES9121000418450200051332",
        "IT60X0542811101000000123456",
        "PL61109010140000071219812874",
        "SE4550000000058398257466",
        "LC55HEMM000100010012001200023015",
    ] {
        let spaced: Vec<String> = number
            .as_bytes()
            .chunks(4)
            .map(|four| String::from_utf8_lossy(four).into_owned())
            .collect();
        for spelling in [
            number.to_owned(),
            number.to_lowercase(),
            spaced.join(" "),
            spaced.join("-"),
        ] {
            assert_eq!(found(2, &format!("to {spelling}.")), [spelling.as_str()]);
        }
    }
    let spoken = "D E eight nine three seven oh four 00 44 0532 0130 zero zero";
    assert_eq!(found(2, &format!("it is {spoken} please")), [spoken]);
    for text in [
        "DE89370400440532013001",
        "DE88370400440532013000",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "XX89370400440532013000",
        "xDE89370400440532013000",
        "DE89370400440532013000x",
        "de facto 89370400440532013000",
    ] {
        assert_eq!(found(2, text), Vec::<&str>::new(), "{text}");
    }
}

#[test]
fn words_are_found_whole_and_in_any_case() {
    for (text, expected) in [
        ("The DIAGNOSIS was wrong", "DIAGNOSIS"),
        ("(diagnosis)", "diagnosis"),
        ("my health-insurance pays", "health-insurance"),
        ("Health.\nInsurance", "Health.\nInsurance"),
        ("die STRASSE dort", "STRASSE"),
        ("昨日の診断書です", "診断"),
        ("the diag\u{ad}nosis", "diag\u{ad}nosis"),
        ("ｄｉａｇｎｏｓｉｓ", "ｄｉａｇｎｏｓｉｓ"),
        ("health\u{200b}insurance", "health\u{200b}insurance"),
        ("la sante\u{301} ici", "sante\u{301}"),
    ] {
        assert_eq!(found(3, text), [expected]);
    }
    for text in [
        "diagnosisx",
        "misdiagnosis",
        "health and insurance",
        "diagnoses",
        "診 x 断",
    ] {
        assert_eq!(found(3, text), Vec::<&str>::new(), "{text}");
    }
}

fn transcript(sentences: &[(&str, &str, &[&str])]) -> Transcript {
    let word = |text: &&str| SpokenWord {
        text: Said::new((*text).to_owned()),
        start_ms: 0,
        end_ms: 1,
    };
    let sentence = |(leg, text, words): &(&str, &str, &[&str])| Sentence {
        leg: (!leg.is_empty()).then(|| leg.parse().unwrap()),
        start_ms: 0,
        end_ms: 1,
        text: Said::new((*text).to_owned()),
        confidence: None,
        words: words.iter().map(word).collect(),
    };
    Transcript::new(
        "en".into(),
        "test".into(),
        sentences.iter().map(sentence).collect(),
    )
    .unwrap()
}

fn shown(transcript: &Transcript) -> Vec<(String, Vec<String>)> {
    let words = |sentence: &Sentence| {
        sentence
            .words
            .iter()
            .map(|word| word.text.expose().to_owned())
            .collect()
    };
    transcript
        .sentences()
        .iter()
        .map(|sentence| (sentence.text.expose().to_owned(), words(sentence)))
        .collect()
}

#[test]
fn what_is_spread_over_sentences_of_one_leg_is_hidden_in_each() {
    let said = transcript(&[
        (
            "caller",
            "My card is 4111 1111.",
            &["My", "card", "is", "4111", "1111."],
        ),
        ("callee", "Go on, 1111.", &["Go", "on,", "1111."]),
        ("caller", "", &[]),
        (
            "caller",
            "1111 1111, thanks.",
            &["1111", "1111,", "thanks."],
        ),
    ]);
    assert_eq!(found_in(&said, &all()), [(0, 1)].into());
    let expected: [(&str, &[&str]); 4] = [
        (
            "My card is ██████████",
            &["My", "card", "is", "████", "█████"],
        ),
        ("Go on, 1111.", &["Go", "on,", "1111."]),
        ("", &[]),
        ("█████████, thanks.", &["████", "████,", "thanks."]),
    ];
    let expected: Vec<(String, Vec<String>)> = expected
        .iter()
        .map(|(text, words)| {
            (
                (*text).to_owned(),
                words.iter().map(|word| (*word).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(shown(&redacted(&said, &all())), expected);
}

#[test]
fn what_is_found_in_one_form_is_shown_in_neither() {
    let said = transcript(&[
        ("", "It is 4111111111111111.", &["It", "is", "my", "number"]),
        ("", "You know it.", &["4111", "1111", "1111", "1111"]),
        ("", "Nothing.", &["Nothing."]),
    ]);
    let shown = shown(&redacted(&said, &all()));
    assert_eq!(
        shown[0],
        (
            "It is ████████████████.".into(),
            ["██", "██", "██", "██████"].map(str::to_owned).to_vec()
        )
    );
    assert_eq!(
        shown[1],
        ("████████████".into(), vec!["████".to_owned(); 4])
    );
    assert_eq!(shown[2].0, "Nothing.");
    assert_eq!(redacted(&said, &[]), said);
}

#[test]
fn each_sentence_says_which_rules_found_something_in_it() {
    let said = transcript(&[
        ("", "My card is 4111 1111", &[]),
        ("", "1111 1111, thanks.", &[]),
        ("", "Nothing.", &[]),
        ("", "You know it.", &["4111", "1111", "1111", "1111"]),
    ]);
    let found = found_where(&said, &all());
    let kinds = |rules: &BTreeSet<usize>| {
        let kind = |rule: &usize| all()[*rule].pattern.kind();
        rules.iter().map(kind).collect::<Vec<_>>()
    };
    let places: Vec<usize> = found.keys().copied().collect();
    assert_eq!(places, [0, 1, 3]);
    assert!(found.values().all(|rules| kinds(rules) == ["card-number"]));
    // What is noted is what is redacted, and nothing else.
    let shown = shown(&redacted(&said, &all()));
    for (at, (text, words)) in shown.iter().enumerate() {
        let is_hidden = text.contains('█') || words.iter().any(|word| word.contains('█'));
        assert_eq!(is_hidden, found.contains_key(&at), "{at}");
    }
    assert!(found_where(&said, &[]).is_empty());
}

fn with_check_digit(prefix: &str, mut digits: Vec<u8>) -> String {
    let mut number: Vec<u8> = prefix.bytes().map(|digit| digit - b'0').collect();
    number.append(&mut digits);
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| {
            [
                2 * u32::from(digit) / 10 + 2 * u32::from(digit) % 10,
                u32::from(digit),
            ][at % 2]
        })
        .sum();
    number.push(u8::try_from((10 - sum % 10) % 10).unwrap());
    number
        .iter()
        .map(|digit| char::from(b'0' + digit))
        .collect()
}

const SPOKEN: [&str; 10] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
];

proptest! {
    #[test]
    fn any_card_in_any_spelling_is_hidden(
        digits in prop::collection::vec(0..10u8, 14),
        cuts in prop::collection::vec((0..4usize, any::<bool>()), 16),
        before in "[a-z]{1,6} (is|[0-9]{1,3})", after in "(thanks|[0-9]{1,4}|[a-z ]{0,9})",
    ) {
        let number = with_check_digit("4", digits);
        let mut spelled = String::new();
        for (digit, (gap, aloud)) in number.chars().zip(cuts) {
            let last_is_letter = spelled.chars().last().is_some_and(char::is_alphabetic);
            let word = SPOKEN[digit.to_digit(10).unwrap() as usize];
            if aloud || last_is_letter { spelled.push_str(["-", " ", ", ", ". "][gap]) }
            if aloud { spelled.push_str(word); spelled.push(' ') } else { spelled.push(digit); spelled.push_str(["", "", " ", "-"][gap]) }
        }
        let text = format!("{before} {spelled} {after}");
        let hidden = redact(&text, &find(&text, &all()));
        let inside: String = hidden.chars().skip(before.chars().count() + 1).take(spelled.trim().trim_start_matches(['-', ',', '.', ' ']).chars().count()).collect();
        prop_assert!(!inside.chars().any(char::is_alphanumeric), "{text} → {hidden}");
    }

    #[test]
    fn any_text_keeps_its_length_and_gives_places_between_characters(text in prop_oneof!["\\PC{0,80}", "[0-9 .,A-Fa-f█-]{0,80}", "(one |two |4|11|DE89 ?|ssn |診断|-){0,30}"]) {
        let found = find(&text, &all());
        for found in &found {
            prop_assert!(text.get(found.range.clone()).is_some_and(|found| !found.is_empty()));
        }
        let hidden = redact(&text, &found);
        prop_assert_eq!(hidden.chars().count(), text.chars().count());
        for (shown, said) in hidden.chars().zip(text.chars()) {
            prop_assert!(shown == said || shown == HIDDEN);
        }
    }

    #[test]
    fn any_transcript_keeps_its_shape(texts in prop::collection::vec(("[0-9 a-z.]{0,30}", prop::collection::vec("[0-9a-z]{0,6}", 0..5), any::<bool>()), 0..8)) {
        let texts: Vec<(&str, &str, Vec<&str>)> =
            texts.iter().map(|(text, words, leg)| (["caller", ""][usize::from(*leg)], text.as_str(), words.iter().map(String::as_str).collect())).collect();
        let texts: Vec<(&str, &str, &[&str])> = texts.iter().map(|(leg, text, words)| (*leg, *text, words.as_slice())).collect();
        let said = transcript(&texts);
        let hidden = redacted(&said, &all());
        for (hidden, said) in shown(&hidden).iter().zip(shown(&said)) {
            prop_assert_eq!(hidden.0.chars().count(), said.0.chars().count());
            let lengths = |words: &[String]| words.iter().map(|word| word.chars().count()).collect::<Vec<_>>();
            prop_assert_eq!(lengths(&hidden.1), lengths(&said.1));
        }
        prop_assert_eq!(found_in(&said, &all()).is_empty(), hidden == said);
    }
}
