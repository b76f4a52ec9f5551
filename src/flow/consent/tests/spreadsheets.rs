//! CSV dialects of spreadsheet programs: quotes, byte order marks, separators, headers.

use super::{
    super::{ImportFormat, import::parse},
    NUMBER,
};

/// Returns the fault for which a file is refused.
fn refused_whole(text: &str) -> (u64, String) {
    let (told, faults) = parse(ImportFormat::Csv, text.as_bytes());
    let shown = faults.shown().to_vec();
    assert!(told.is_empty() && shown.len() == 1, "{shown:?} {text}");
    (shown[0].0, shown[0].1.why.clone())
}

#[test]
fn no_row_vanishes_in_a_quote() {
    const NAMES: &str = "subject,answer,method,at,purposes,evidence\n";
    let row = |evidence: &str| {
        format!("{NUMBER},given,letter,2026-01-31T15:04:05Z,training,{evidence}\n")
    };
    let withdrawn = |evidence: &str| {
        format!("{NUMBER},withdrawn,letter,2026-02-01T10:00:00Z,training,{evidence}\n")
    };
    for (rows, line, why) in [
        (
            row("\"Form 12 of 3 May") + &withdrawn("Letter 13"),
            2,
            "never closed",
        ),
        (
            row("Form 1") + &row("\"Form 12") + &withdrawn("\"Letter 13\""),
            3,
            "something follows",
        ),
        (row("\"Form 12") + &withdrawn("Letter 13\""), 2, "inside it"),
        (row("\"Form 12") + &withdrawn("\""), 2, "inside it"),
        (
            row("\"Form 12") + "x,\"\"withdrawn\"\",letter\n\"\n",
            2,
            "inside it",
        ),
        (row("\"Form\" 12"), 2, "something follows"),
        (
            row("\"Form 12\n\nof May\"") + &row("\"never"),
            5,
            "never closed",
        ),
    ] {
        for rows in [
            rows.clone(),
            rows.replace('\n', "\r\n"),
            rows.replace('\n', "\r"),
        ] {
            let (found, text) = refused_whole(&format!("{NAMES}{rows}"));
            assert!(
                found == line && text.contains(why),
                "{found} {text}: {rows}"
            );
            assert!(!text.contains("Form") && !text.contains("Letter"), "{text}");
        }
    }
    let told = parse(
        ImportFormat::Csv,
        (NAMES.to_owned() + &row("\"Form 12, of \"\"May\"\", signed\"") + &withdrawn("5\" disk"))
            .as_bytes(),
    );
    assert_eq!(
        told.0.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [2, 3],
        "{:?}",
        told.1
    );
    assert_eq!(
        told.0[0]
            .1
            .evidence
            .as_ref()
            .map(|evidence| evidence.as_str()),
        Some("Form 12, of \"May\", signed")
    );
}

#[test]
fn what_spreadsheet_programs_write_is_read() {
    let plain = format!(
        "subject,answer,method,at,purposes\n{NUMBER},given,letter,2026-01-31T15:04:05Z,recording;training\n"
    );
    let (told, faults) = parse(ImportFormat::Csv, plain.as_bytes());
    assert_eq!((told.len(), faults.count()), (1, 0));
    let utf16 = |text: &str, unit: fn(u16) -> [u8; 2]| {
        std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(unit)
            .collect::<Vec<u8>>()
    };
    let wide = plain
        .replace(',', ";")
        .replace("recording;training", "\"recording;training\"");
    for (bytes, line) in [
        (format!("\u{feff}{plain}").into_bytes(), 2),
        (
            format!("\u{feff}sep=;\r\n{}", wide.replace('\n', "\r\n")).into_bytes(),
            3,
        ),
        (wide.clone().into_bytes(), 2),
        (plain.replace(',', "\t").into_bytes(), 2),
        (utf16(&plain, u16::to_le_bytes), 2),
        (utf16(&wide, u16::to_be_bytes), 2),
        (plain.replace('+', "'+").into_bytes(), 2),
        (
            plain
                .replace(NUMBER, &format!("\"=\"\"{NUMBER}\"\"\""))
                .into_bytes(),
            2,
        ),
        (format!("{plain},,,,\n,,,,\r\n   ,,,,\n").into_bytes(), 2),
        (
            plain
                .replace("purposes\n", "purposes,,\n")
                .replace("training\n", "training,,\n")
                .into_bytes(),
            2,
        ),
        (plain.replace('\n', "\r").into_bytes(), 2),
        (plain.replacen('\n', "\n\n\n", 1).into_bytes(), 4),
    ] {
        let (found, faults) = parse(ImportFormat::Csv, &bytes);
        assert_eq!(
            faults.count(),
            0,
            "{faults} {}",
            String::from_utf8_lossy(&bytes)
        );
        assert_eq!(
            found,
            [(line, told[0].1.clone())],
            "{}",
            String::from_utf8_lossy(&bytes)
        );
    }
    // An unsupported encoding is named in the fault.
    let without_mark: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = plain
        .replace("letter", "let\u{e9}ter")
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect::<Vec<u8>>();
    for (bytes, line) in [
        (without_mark, 1),
        (latin, 2),
        (utf16(&plain, u16::to_le_bytes)[..99].to_vec(), 1),
    ] {
        let (_, faults) = parse(ImportFormat::Csv, &bytes);
        assert!(
            faults.count() == 1
                && faults.shown()[0].0 == line
                && faults.to_string().contains("UTF-8"),
            "{faults}"
        );
    }
}

#[test]
fn a_file_without_its_header_is_refused_and_not_repeated() {
    let refused = |text: &str| {
        let (told, faults) = parse(ImportFormat::Csv, text.as_bytes());
        assert!(told.is_empty());
        faults.none().unwrap_err().to_string()
    };
    assert!(refused("").contains("empty"));
    let shown = refused(&format!("{NUMBER},given,keypad\n{NUMBER},given,keypad\n"));
    assert!(
        shown.contains("line 1: column 1 ")
            && shown.contains("`answer` is missing")
            && !shown.contains(NUMBER),
        "{shown}"
    );
    assert!(
        refused("subject/answer/method/at\n").contains("separated by commas, semicolons or tabs")
    );
    assert!(refused("subject,answer,method,at,answer\n").contains("column 5"));
    assert!(refused("subject,answer,method\n").contains("`at` is missing"));
}

#[test]
fn an_editors_mark_at_the_beginning_is_no_fault() {
    let line = format!(
        "{{\"subject\": \"{NUMBER}\", \"answer\": \"given\", \"method\": \"sms\", \"at\": \"2026-01-31T15:04:05Z\"}}"
    );
    let row = format!("subject,answer,method,at\n{NUMBER},given,sms,2026-01-31T15:04:05Z");
    for (format, text) in [(ImportFormat::Jsonl, line), (ImportFormat::Csv, row)] {
        let (told, faults) = parse(
            format,
            [b"\xef\xbb\xbf", text.as_bytes()].concat().as_slice(),
        );
        faults.none().unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(told.len(), 1);
    }
}
