//! Files of statements of consent: CSV with a header row, and JSON lines.
//!
//! Owns both formats (the CSV dialects of spreadsheet programs are in `spreadsheet`) and the report
//! of a file's faults. Refuses to know the meaning of a field, and to import part of a file.

mod spreadsheet;

use std::{collections::BTreeSet, fmt};

use super::{
    fields::{FIELDS, Fields},
    statement::{FieldFault, NewStatement},
};
use crate::model::{
    json,
    word::{UnknownWord, unknown},
};

/// The largest file, in bytes.
pub const MAX_FILE: usize = 64 * 1024 * 1024;
/// The most statements in one file: they are imported in one unit of work, during which other
/// writers wait.
pub const MAX_STATEMENTS: usize = 50_000;
/// The most faults in a report.
const SHOWN: usize = 100;

/// The format of a file.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum ImportFormat {
    /// Comma-separated values (RFC 4180) with a header row; `;` separates several purposes.
    /// Semicolons and tabs are accepted as column separators, too.
    Csv,
    /// A JSON object in each line.
    Jsonl,
}

/// The faults of a file or of a request: the first hundred, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementFaults {
    unit: &'static str,
    shown: Vec<(u64, FieldFault)>,
    count: usize,
}

impl StatementFaults {
    /// No faults yet; `unit` is what is numbered: lines or items.
    pub(super) fn of(unit: &'static str) -> Self {
        Self {
            unit,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, place: u64, fault: FieldFault) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push((place, fault));
        }
    }

    fn whole(&mut self, place: u64, why: impl Into<String>) {
        self.add(
            place,
            FieldFault {
                field: "",
                why: why.into(),
            },
        );
    }

    /// Returns the number of faults.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the first faults, each with its line or item, numbered from 1.
    pub fn shown(&self) -> &[(u64, FieldFault)] {
        &self.shown
    }

    pub(super) fn none(self) -> Result<(), Self> {
        if self.count == 0 { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for StatementFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults; nothing was recorded", self.count)?;
        for (place, fault) in &self.shown {
            write!(f, "\n  {} {place}: {fault}", self.unit)?;
        }
        match self.count - self.shown.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Parses a whole file: returns each statement with its line number, counted from 1, and all
/// faults.
pub(super) fn parse(
    format: ImportFormat,
    bytes: &[u8],
) -> (Vec<(u64, NewStatement)>, StatementFaults) {
    let mut statements = Vec::new();
    let mut faults = StatementFaults::of("line");
    if bytes.len() > MAX_FILE {
        faults.whole(
            1,
            format!(
                "the file is larger than {} MiB: split it",
                MAX_FILE / 1024 / 1024
            ),
        );
        return (statements, faults);
    }
    match format {
        ImportFormat::Csv => csv(bytes, &mut statements, &mut faults),
        ImportFormat::Jsonl => jsonl(bytes, &mut statements, &mut faults),
    }
    if statements.len() > MAX_STATEMENTS {
        faults.whole(
            1,
            format!("the file has more than {MAX_STATEMENTS} statements: split it"),
        );
    }
    (statements, faults)
}

fn csv(bytes: &[u8], statements: &mut Vec<(u64, NewStatement)>, faults: &mut StatementFaults) {
    let rows = spreadsheet::text(bytes).and_then(|text| spreadsheet::rows(&text));
    let rows = match rows {
        Ok(rows) => rows,
        Err((line, why)) => return faults.whole(line, why),
    };
    let Some(((_, names), rows)) = rows.split_first() else {
        return faults.whole(
            1,
            "the file is empty: expected a row with the names of the columns",
        );
    };
    let Some(columns) = columns(names, faults) else {
        return;
    };
    for (line, row) in rows {
        if row.len() != columns.len() {
            faults.whole(
                *line,
                format!(
                    "{} columns where the first row has {}",
                    row.len(),
                    columns.len()
                ),
            );
            continue;
        }
        let mut fields = Fields::default();
        for (at, text) in columns.iter().zip(row) {
            fields.set(
                *at,
                if FIELDS.get(*at) == Some(&"subject") {
                    as_text(text)
                } else {
                    text
                },
            );
        }
        take(*line, fields.read(), statements, faults);
    }
}

/// Removes what spreadsheet programs add to a number to mark it as text: `'+49…` or `="+49…"`.
fn as_text(text: &str) -> &str {
    let text = text.trim();
    let formula = text
        .strip_prefix("=\"")
        .and_then(|text| text.strip_suffix('"'));
    formula.or_else(|| text.strip_prefix('\'')).unwrap_or(text)
}

/// Returns the field of each column.
fn columns(header: &[String], faults: &mut StatementFaults) -> Option<Vec<usize>> {
    let mut columns = Vec::new();
    for (number, name) in header.iter().enumerate() {
        let name = name.trim();
        match FIELDS.iter().position(|known| *known == name) {
            Some(field) if columns.contains(&field) => faults.whole(
                1,
                format!(
                    "column {} repeats the name of an earlier column",
                    number + 1
                ),
            ),
            Some(field) => columns.push(field),
            // Without a header row, this is a phone number.
            None => faults.whole(
                1,
                format!(
                    "column {} has an unknown name; use `{}`, separated by commas, semicolons or \
                     tabs",
                    number + 1,
                    FIELDS.join("`, `")
                ),
            ),
        }
    }
    let named: BTreeSet<&str> = columns
        .iter()
        .filter_map(|at| FIELDS.get(*at).copied())
        .collect();
    for needed in ["answer", "method", "at"] {
        if !named.contains(needed) {
            faults.whole(1, format!("the column `{needed}` is missing"));
        }
    }
    (faults.count() == 0).then_some(columns)
}

fn jsonl(bytes: &[u8], statements: &mut Vec<(u64, NewStatement)>, faults: &mut StatementFaults) {
    let text = match spreadsheet::text(bytes) {
        Ok(text) => text,
        Err((line, why)) => return faults.whole(line, why),
    };
    for (line, text) in (1..).zip(text.split('\n')) {
        if text.trim().is_empty() {
            continue;
        }
        match json::read(text.as_bytes()) {
            Ok(value) => take(line, NewStatement::from_json(&value), statements, faults),
            // Not the error itself, because it may quote the content.
            Err(fault) => faults.whole(
                line,
                format!(
                    "not a JSON object with each name once, from column {} on",
                    fault.error.column()
                ),
            ),
        }
    }
    if statements.is_empty() && faults.count() == 0 {
        faults.whole(1, "the file is empty");
    }
}

fn take(
    line: u64,
    read: Result<NewStatement, Vec<FieldFault>>,
    statements: &mut Vec<(u64, NewStatement)>,
    faults: &mut StatementFaults,
) {
    match read {
        Ok(statement) => statements.push((line, statement)),
        Err(found) => found.into_iter().for_each(|fault| faults.add(line, fault)),
    }
}
