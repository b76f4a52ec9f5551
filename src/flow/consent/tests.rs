//! Files of statements: accepted, refused with line and field, and arbitrary bytes.

mod spreadsheets;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    About, ImportFormat, NewStatement,
    fields::FIELDS,
    import::{MAX_STATEMENTS, StatementFaults, parse},
};
use crate::{
    model::{
        consent::{Answer, Method},
        subject::Address,
        text::Reference,
        time::Timestamp,
    },
    policy::{Rulebook, Rules},
};

const HEADER: &str = "subject,call,leg,purposes,answer,method,evidence,at\n";
const NUMBER: &str = "+493087654321";

fn csv(rows: &str) -> Result<Vec<(u64, NewStatement)>, StatementFaults> {
    let (told, faults) = parse(ImportFormat::Csv, format!("{HEADER}{rows}").as_bytes());
    faults.none().map(|()| told)
}

fn jsonl(lines: &str) -> Result<Vec<(u64, NewStatement)>, StatementFaults> {
    let (told, faults) = parse(ImportFormat::Jsonl, lines.as_bytes());
    faults.none().map(|()| told)
}

fn places(faults: &StatementFaults) -> Vec<(u64, &'static str)> {
    faults
        .shown()
        .iter()
        .map(|(line, fault)| (*line, fault.field))
        .collect()
}

fn sid(prefix: &str) -> String {
    format!("{prefix}{}", "0".repeat(32))
}

#[test]
fn a_row_becomes_a_statement() {
    let rows = format!(
        "{NUMBER},,,recording;training,given,keypad,\"call 7, \"\"yes\"\"\",2026-01-31T15:04:05Z\n,{},caller,,declined,speech,,2026-01-31T16:04:05+01:00\n",
        sid("CA")
    );
    let told = csv(&rows).unwrap();
    let [(2, person), (3, place)] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!(person.about, About::Person(Address::parse(NUMBER).unwrap()));
    assert_eq!(
        person.purposes,
        ["recording", "training"]
            .map(|name| name.parse().unwrap())
            .into()
    );
    assert_eq!(
        (person.answer, person.method),
        (Answer::Given, Method::Keypad)
    );
    assert_eq!(
        person.evidence.as_ref().map(Reference::as_str),
        Some("call 7, \"yes\"")
    );
    assert_eq!(person.at, Timestamp::parse_rfc3339("2026-01-31T15:04:05Z"));
    assert_eq!(
        place.about,
        About::Place(sid("CA").parse().unwrap(), Some("caller".parse().unwrap()))
    );
    assert_eq!(
        (place.purposes.len(), place.answer, place.at),
        (0, Answer::Declined, person.at)
    );
}

#[test]
fn both_forms_say_the_same() {
    let row = format!("{NUMBER},,,training,withdrawn,letter,,2026-01-31T15:04:05Z\n");
    let line = "\n{\"subject\": \"+49 (30) 87654321\", \"purposes\": [\"training\"], \"answer\": \"withdrawn\", \"method\": \"letter\", \"at\": \
         \"2026-01-31T15:04:05Z\", \"call\": null}\r\n\n";
    assert_eq!(csv(&row).unwrap()[0].1, jsonl(line).unwrap()[0].1);
    assert_eq!(jsonl(line).unwrap()[0].0, 2, "empty lines count");
}

#[test]
fn a_disclosure_is_kept_as_its_digest() {
    let told = |disclosure: &str| {
        let line = format!(
            "{{\"conference\": \"{}\", \"answer\": \"given\", \"method\": \"announcement\", \"at\": \"2026-01-31T15:04:05Z\", {disclosure}}}",
            sid("CF")
        );
        jsonl(&line).map(|told| told[0].1.disclosure.clone().unwrap())
    };
    // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(told("\"disclosure\": \"abc\"").unwrap(), digest);
    assert_eq!(
        told(&format!(
            "\"disclosure_sha256\": \"{}\"",
            digest.to_uppercase()
        ))
        .unwrap(),
        digest
    );
    assert_ne!(
        told("\"disclosure\": \"abc \"").unwrap(),
        digest,
        "of the exact text"
    );
    assert_eq!(
        places(
            &told(&format!(
                "\"disclosure\": \"abc\", \"disclosure_sha256\": \"{digest}\""
            ))
            .unwrap_err()
        ),
        [(1, "disclosure_sha256")]
    );
    assert_eq!(
        places(&told("\"disclosure_sha256\": \"abc\"").unwrap_err()),
        [(1, "disclosure_sha256")]
    );
}

#[test]
fn every_fault_has_its_line_and_field() {
    let long = "x".repeat(1001);
    let rows = format!(
        "03087654321,,,,given,keypad,,2026-01-31T15:04:05Z\n\
         {NUMBER},,,Training,yes,keypad,,2026-01-31\n\
         \"{NUMBER}\n\",,,,given,phone,,2026-01-31T15:04:05Z\n\
         {NUMBER},,caller,,given,keypad,,2026-01-31T15:04:05Z\n\
         ,CA12,,,given,keypad,,2026-01-31T15:04:05Z\n\
         ,,,,,,,\n\
         {NUMBER},{},,,given,keypad,,2026-01-31T15:04:05Z\n\
         {NUMBER},,,a;;b,given,keypad,,2026-01-31T15:04:05Z\n\
         {NUMBER},,,,given,keypad\n\
         {NUMBER},,,,given,keypad,{long},2026-01-31T15:04:05Z\n",
        sid("CA")
    );
    let faults = csv(&rows).unwrap_err();
    let expected = [
        (2, "subject"),
        (3, "purposes"),
        (3, "answer"),
        (3, "at"),
        (4, "method"),
        (6, "leg"),
        (7, "call"),
        (9, "subject"),
        (10, "purposes"),
        (11, ""),
        (12, "evidence"),
    ];
    assert_eq!(places(&faults), expected);
    assert_eq!(faults.count(), expected.len());
    let text = faults.to_string();
    assert!(
        text.starts_with(
            "11 faults; nothing was recorded\n  line 2: `subject`: not a telephone number"
        ),
        "{text}"
    );
    assert!(
        !text.contains("87654321")
            && !text.contains("CA12")
            && !text.contains("Training")
            && !text.contains("phone,"),
        "{text}"
    );
}

#[test]
fn what_is_no_json_is_not_repeated() {
    let lines = format!(
        "{NUMBER}\n{{\"subject\": {NUMBER}}}\n{{\"subject\": 493087654321, \"{NUMBER}\": 1, \"purposes\": \"{NUMBER}\"}}\n[\"{NUMBER}\"]\n\
         {{\"subject\": \"{NUMBER}\", \"purposes\": [\"a;b\", 7], \"answer\": \"given\", \"method\": \"sms\"}}\n{{\"answer\": \"given\"\n"
    );
    let faults = jsonl(&lines).unwrap_err();
    let expected = [
        (1, ""),
        (2, ""),
        (3, ""),
        (3, "purposes"),
        (3, "subject"),
        (3, "answer"),
        (3, "method"),
        (4, ""),
        (5, "purposes"),
        (6, ""),
    ];
    let mut found = places(&faults);
    found.sort();
    let mut sorted = expected;
    sorted.sort();
    assert_eq!(found, sorted);
    assert!(!faults.to_string().contains("87654321"), "{faults}");
    assert!(jsonl("\n \n").unwrap_err().to_string().contains("empty"));
}

#[test]
fn a_hundred_faults_are_shown_and_all_are_counted() {
    let faults = csv(&"x,,,,,,,\n".repeat(70)).unwrap_err();
    assert_eq!((faults.count(), faults.shown().len()), (210, 100));
    assert!(faults.to_string().ends_with("\n  and 110 more"), "{faults}");
}

#[test]
fn too_many_are_refused() {
    let row = format!("{NUMBER},,,,given,keypad,,2026-01-31T15:04:05Z\n");
    assert_eq!(csv(&row.repeat(100)).unwrap().len(), 100);
    let line = format!(
        "{{\"call\": \"{}\", \"answer\": \"given\", \"method\": \"sms\"}}\n",
        sid("CA")
    );
    assert!(
        jsonl(&line.repeat(MAX_STATEMENTS + 1))
            .unwrap_err()
            .to_string()
            .contains("split it")
    );
}

#[test]
fn the_policy_and_the_time_have_their_say() {
    let rulebook = Rulebook::new(
        Rules::parse("p", include_str!("../../../config/privacy-policy.toml")).unwrap(),
        [],
    );
    let now = Timestamp::parse_rfc3339("2026-02-01T00:00:00Z").unwrap();
    let fields = |told: &str, later: bool| -> Vec<&'static str> {
        let told = format!(
            "{{\"call\": \"{}\", \"answer\": \"given\", \"method\": {told}}}",
            sid("CA")
        );
        jsonl(&told).unwrap()[0]
            .1
            .check(&rulebook, now, later)
            .iter()
            .map(|fault| fault.field)
            .collect()
    };
    assert_eq!(
        fields(
            "\"sms\", \"purposes\": [\"recording\", \"training\"]",
            false
        ),
        [""; 0]
    );
    assert_eq!(
        fields(
            "\"sms\", \"purposes\": [\"selling\", \"training\", \"spying\"]",
            false
        ),
        ["purposes", "purposes"]
    );
    assert_eq!(
        fields("\"sms\", \"at\": \"2026-02-01T00:05:00Z\"", false),
        [""; 0]
    );
    assert_eq!(
        fields("\"sms\", \"at\": \"2026-02-01T00:05:01Z\"", false),
        ["at"]
    );
    assert_eq!(fields("\"sms\"", true), ["at"]);
    assert_eq!(fields("\"import\"", false), ["at"]);
}

#[test]
fn an_empty_text_in_json_is_no_field_that_was_left_out() {
    for field in ["policy_version", "leg", "at", "disclosure_sha256"] {
        let told = serde_json::json!({
            "subject": NUMBER, "answer": "given", "method": "keypad", field: "",
        });
        let faults = NewStatement::from_json(&told).unwrap_err();
        assert_eq!(faults[0].field, field);
    }
}

#[test]
fn a_statement_does_not_print_what_it_holds() {
    let told = csv(&format!(
        "{NUMBER},,,,given,keypad,my secret,2026-01-31T15:04:05Z\n"
    ))
    .unwrap();
    let printed = format!("{told:?}");
    assert!(
        !printed.contains("87654321") && !printed.contains("secret"),
        "{printed}"
    );
}

/// Parts from which valid and invalid files are assembled.
fn piece() -> impl Strategy<Value = String> {
    let words: Vec<String> = FIELDS
        .iter()
        .map(|field| (*field).to_owned())
        .chain(
            [
                NUMBER,
                "given",
                "withdrawn",
                "keypad",
                "import",
                "recording;training",
                "2026-01-31T15:04:05Z",
                "caller",
                ",",
                ",",
                ",",
                "\n",
                "\r\n",
                "\"",
                "{",
                "}",
                "[",
                "]",
                ":",
                "null",
                "\u{feff}",
                "\0",
                "ü",
            ]
            .map(str::to_owned),
        )
        .chain([sid("CA"), sid("CF"), "0".repeat(64)])
        .collect();
    select(words)
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        for format in [ImportFormat::Csv, ImportFormat::Jsonl] {
            let _ = parse(format, &bytes);
            let _ = parse(format, &[HEADER.as_bytes(), &bytes].concat());
        }
    }

    #[test]
    fn any_pieces_are_read_or_refused_and_no_number_is_repeated(pieces in vec(piece(), 0..60)) {
        let text = pieces.concat();
        for (format, text) in [(ImportFormat::Csv, text.clone()), (ImportFormat::Csv, format!("{HEADER}{text}")), (ImportFormat::Jsonl, text)] {
            let (told, faults) = parse(format, text.as_bytes());
            let printed = format!("{told:?}{faults}");
            prop_assert!(!printed.contains("87654321"), "{}", printed);
            prop_assert!(told.iter().all(|(line, _)| *line >= 1));
        }
    }

    #[test]
    fn any_statement_comes_through_both_forms(
        number in "[2-9][0-9]{7}", purposes in vec(select(vec!["recording", "training", "follow-up"]), 0..3), answer in select(Answer::ALL),
        method in select(Method::ALL), evidence in "[ -~\u{a1}-\u{ff}]{0,40}", seconds in 0..2_000_000_000i64,
    ) {
        let at = Timestamp::from_millis(seconds * 1000).to_string();
        let subject = format!("+4930{number}");
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["at", "evidence", "method", "answer", "purposes", "subject"]).unwrap();
        writer.write_record([&at, &evidence, method.as_str(), answer.as_str(), &purposes.join(";"), &subject]).unwrap();
        let file = writer.into_inner().unwrap();
        let line = serde_json::json!({
            "at": at, "evidence": evidence, "method": method, "answer": answer, "purposes": purposes, "subject": subject,
        });
        let ((one, no_faults), (other, none_either)) = (parse(ImportFormat::Csv, &file), parse(ImportFormat::Jsonl, line.to_string().as_bytes()));
        prop_assert_eq!((no_faults.count(), none_either.count()), (0, 0), "{}{}", no_faults, none_either);
        prop_assert_eq!(&one[0].1, &other[0].1);
        prop_assert_eq!(one[0].1.at, Some(Timestamp::from_millis(seconds * 1000)));
        let given = (!evidence.trim().is_empty()).then(|| evidence.trim());
        prop_assert_eq!(one[0].1.evidence.as_ref().map(Reference::as_str), given);
    }
}
