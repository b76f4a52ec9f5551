//! Rows of a CSV file in the dialects that other programs write.
//!
//! Owns encodings, separators, quotes and the additions of spreadsheet programs. Refuses to know
//! the meaning of a column. INVARIANT: every line that a reader of the file would call a row is
//! returned as one, or the file is refused. The crate `csv` alone would read an unclosed quote to
//! the end of the file, and the following rows would be part of one field.

use std::borrow::Cow;

use csv::{ByteRecord, ReaderBuilder};

use crate::model::{consent::Answer, time::Timestamp};

/// A fault that makes the file unreadable: the line, counted from 1, and the reason. It never
/// repeats the content.
pub(super) type UnreadableSheet = (u64, String);

/// Decodes the file to UTF-8 without a byte order mark; spreadsheet programs also write UTF-16.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, UnreadableSheet> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, odd) = rest.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|two| unit(*two)).collect::<Vec<_>>())
            .ok()
            .filter(|_| odd.is_empty());
        text.map(Cow::Owned).ok_or_else(|| {
            (
                1,
                "the file has a UTF-16 byte order mark and is not UTF-16: save it as CSV in UTF-8"
                    .to_owned(),
            )
        })
    };
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        (
            1 + before.iter().filter(|byte| **byte == b'\n').count() as u64,
            "not UTF-8: save the file as CSV in UTF-8".to_owned(),
        )
    })?;
    match text.lines().position(|line| line.contains('\0')) {
        Some(line) => Err((
            line as u64 + 1,
            "it holds a NUL character: save the file as CSV in UTF-8".to_owned(),
        )),
        None => Ok(Cow::Borrowed(text)),
    }
}

/// Returns every row with its line number, the header row first. Empty rows are left out, and so
/// are empty columns at the end.
pub(super) fn rows(text: &str) -> Result<Vec<(u64, Vec<String>)>, UnreadableSheet> {
    let (text, skipped, separator) = separated(text);
    quotes(text, separator).map_err(|(line, why)| (line + skipped, why))?;
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .has_headers(false)
        .delimiter(separator)
        .from_reader(text.as_bytes());
    let mut record = ByteRecord::new();
    let mut rows = Vec::new();
    // The reader can fail only if its source fails, which is memory.
    while matches!(reader.read_byte_record(&mut record), Ok(true)) {
        let at = record.position().map_or(0, csv::Position::byte);
        let mut fields: Vec<String> = record
            .iter()
            .map(|field| String::from_utf8_lossy(field).into_owned())
            .collect();
        if fields.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        let columns = rows
            .first()
            .map_or(0, |(_, names): &(u64, Vec<String>)| names.len());
        while fields.len() > columns && fields.last().is_some_and(|field| field.trim().is_empty()) {
            fields.pop();
        }
        rows.push((skipped + line_of(text, at), fields));
    }
    Ok(rows)
}

/// Returns the rows, the number of lines before them, and the column separator: the one that `sep=`
/// names, or the one in the header row.
fn separated(text: &str) -> (&str, u64, u8) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(said) = first
        .trim_end_matches('\r')
        .trim_matches('"')
        .strip_prefix("sep=")
        && let [separator @ (b',' | b';' | b'\t' | b'|')] = said.as_bytes()
    {
        return (rest, 1, *separator);
    }
    let names = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let found = [b',', b';', b'\t']
        .into_iter()
        .find(|separator| names.as_bytes().contains(separator));
    (text, 0, found.unwrap_or(b','))
}

/// Returns the number of the line that contains this byte; a record may begin with line breaks that
/// end the previous one.
fn line_of(text: &str, at: u64) -> u64 {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    let rest = text.get(at..).unwrap_or_default();
    let at = at + (rest.len() - rest.trim_start_matches(['\r', '\n']).len());
    1 + breaks(text.get(..at).unwrap_or_default())
}

/// Counts line breaks of any kind.
fn breaks(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let is_one = |at: usize| match bytes.get(at) {
        Some(b'\n') => true,
        Some(b'\r') => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..bytes.len()).filter(|at| is_one(*at)).count() as u64
}

/// Checks that quotes follow RFC 4180 and hide no row.
fn quotes(text: &str, separator: u8) -> Result<(), UnreadableSheet> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut line = 1;
    let mut begins_field = true;
    let names = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let columns = names.split(char::from(separator)).count();
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' && begins_field {
            let end = closing(bytes, at + 1)
                .ok_or_else(|| (line, "a quote opens here and is never closed".to_owned()))?;
            if !matches!(bytes.get(end + 1), None | Some(b'\r' | b'\n'))
                && bytes.get(end + 1) != Some(&separator)
            {
                return Err((
                    line,
                    "a quote opens here, and something follows where it closes: write a quote inside a field twice".to_owned(),
                ));
            }
            let inside = text.get(at + 1..end).unwrap_or_default();
            let hidden = inside
                .split(['\r', '\n'])
                .skip(1)
                .any(|within| is_row(within, separator, columns));
            if hidden {
                let why = "a quote opens here, and what looks like a row is inside it: close the quote, or give a long disclosure by its digest";
                return Err((line, why.to_owned()));
            }
            line += breaks(inside);
            at = end + 1;
            begins_field = false;
            continue;
        }
        if *byte == b'\n' || *byte == b'\r' && bytes.get(at + 1) != Some(&b'\n') {
            line += 1;
        }
        begins_field = *byte == separator || matches!(byte, b'\n' | b'\r');
        at += 1;
    }
    Ok(())
}

/// Returns the position of the closing quote of a field that was opened before `from`; a doubled
/// quote is part of the field.
fn closing(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' if bytes.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// Returns whether a line looks like a row: it has as many columns as the first row, or a column of
/// its own with an answer or a time.
fn is_row(line: &str, separator: u8, columns: usize) -> bool {
    let fields: Vec<&str> = line
        .split(char::from(separator))
        .map(|field| field.trim().trim_matches('"'))
        .collect();
    let is_told =
        |field: &&str| field.parse::<Answer>().is_ok() || Timestamp::parse_rfc3339(field).is_some();
    fields.len() > 1 && (fields.len() == columns || fields.iter().any(is_told))
}
