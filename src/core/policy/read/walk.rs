//! A key-by-key walk through a TOML table.
//!
//! Owns taking a value of an expected kind from a table, and the fault if it is missing, of another
//! kind or unexpected. Refuses to know the meaning of the keys. Serde would stop at the first
//! fault; this continues, so that all faults are reported together. INVARIANT: a key that was never
//! requested is a fault.

use std::{fmt, str::FromStr};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::policy::document::{PolicyFaults, quote};

/// A value with its line.
#[derive(Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// One table of the file.
pub(super) struct Section<'t, 'i> {
    table: &'t DeTable<'i>,
    /// Its name in faults: "`[[tiers]]`".
    what: String,
    /// The line of its header.
    pub(super) line: usize,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Section<'t, 'i> {
    pub(super) fn new(table: &'t DeTable<'i>, what: impl Into<String>, line: usize) -> Self {
        Self {
            table,
            what: what.into(),
            line,
            asked: Vec::new(),
        }
    }

    /// Reads an optional key. `None` is a fault, `Some(None)` an absent key.
    pub(super) fn given<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.has(key) {
            read(self).map(Some)
        } else {
            Some(None)
        }
    }

    /// Reads non-blank text.
    pub(super) fn text(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<At<&'t str>> {
        self.required(key, "text in quotes", faults, DeValue::as_str)
            .and_then(|text| {
                let blank = text.value.trim().is_empty();
                if blank {
                    faults.add(text.line, format!("`{key}` in {} is blank", self.what));
                }
                (!blank).then_some(text)
            })
    }

    /// Reads text and parses it as `T`.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<At<T>> {
        let text = self.required(key, "text in quotes", faults, DeValue::as_str)?;
        match text.value.parse() {
            Ok(value) => Some(At {
                value,
                line: text.line,
            }),
            Err(error) => {
                faults.add(text.line, format!("`{key}` in {}: {error}", self.what));
                None
            }
        }
    }

    /// Reads a list of texts and parses each as `T`; an invalid item is reported and omitted.
    pub(super) fn list<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<At<Vec<At<T>>>> {
        let list = self.required(
            key,
            "a list of texts, like [\"a\", \"b\"]",
            faults,
            DeValue::as_array,
        )?;
        let mut values = Vec::new();
        for item in list.value.iter() {
            let line = faults.line(item.span().start);
            match item.get_ref().as_str().map(str::parse) {
                Some(Ok(value)) => values.push(At { value, line }),
                Some(Err(error)) => faults.add(line, format!("`{key}` in {}: {error}", self.what)),
                None => faults.add(
                    line,
                    format!("`{key}` in {} must list texts in quotes", self.what),
                ),
            }
        }
        Some(At {
            value: values,
            line: list.line,
        })
    }

    /// Reads `true` or `false`.
    pub(super) fn flag(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<At<bool>> {
        self.required(key, "true or false", faults, DeValue::as_bool)
    }

    /// Reads a whole number.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<At<i64>> {
        self.required(key, "a whole number", faults, |value| {
            let number = value.as_integer()?;
            i64::from_str_radix(number.as_str(), number.radix()).ok()
        })
    }

    /// Reads a date or a time in RFC 3339, with or without quotes.
    pub(super) fn date(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<At<String>> {
        self.required(key, "a date, like 2026-01-31", faults, |value| {
            value
                .as_datetime()
                .map(ToString::to_string)
                .or_else(|| value.as_str().map(str::to_owned))
        })
    }

    /// Reads the table `[key]`.
    pub(super) fn section(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Option<Section<'t, 'i>> {
        let table = self.required(key, "a table", faults, DeValue::as_table)?;
        Some(Section::new(table.value, format!("`[{key}]`"), table.line))
    }

    /// Reads the tables `[[key]]`; there may be none.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
        faults: &mut PolicyFaults,
    ) -> Vec<Section<'t, 'i>> {
        let what = format!("`[[{key}]]`");
        if !self.has(key) {
            return Vec::new();
        }
        let Some(list) = self.required(
            key,
            "tables, each under its own [[header]]",
            faults,
            DeValue::as_array,
        ) else {
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in list.value.iter() {
            let line = faults.line(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => sections.push(Section::new(table, what.as_str(), line)),
                None => faults.add(
                    line,
                    format!("`{key}` must hold only tables, each under its own {what} header"),
                ),
            }
        }
        sections
    }

    /// Returns every key with its text, in the order of the file, for tables whose keys are the
    /// operator's names.
    pub(super) fn texts(&self, faults: &mut PolicyFaults) -> Vec<(At<&'t str>, &'t str)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut texts = Vec::new();
        for (key, value) in entries {
            let line = faults.line(key.span().start);
            let key = key.get_ref().as_ref();
            match value.get_ref().as_str() {
                Some(text) => texts.push((At { value: key, line }, text)),
                None => faults.add(
                    line,
                    format!("`{}` in {} must be text in quotes", quote(key), self.what),
                ),
            }
        }
        texts
    }

    /// Ends the walk: reports every key that was not requested.
    pub(super) fn finish(self, faults: &mut PolicyFaults) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.asked.contains(&name) {
                let known = self.asked.join("`, `");
                faults.add(
                    faults.line(key.span().start),
                    format!(
                        "unknown key `{}` in {}: known are `{known}`",
                        quote(name),
                        self.what
                    ),
                );
            }
        }
    }

    /// Returns whether the key exists, and marks it as known.
    fn has(&mut self, key: &'static str) -> bool {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.contains_key(key)
    }

    fn required<T>(
        &mut self,
        key: &'static str,
        kind: &str,
        faults: &mut PolicyFaults,
        take: impl FnOnce(&'t DeValue<'i>) -> Option<T>,
    ) -> Option<At<T>> {
        let Some(found) = self.has(key).then(|| self.table.get(key)).flatten() else {
            faults.add(
                self.line,
                format!("`{key}` is missing in {}: add it, it is {kind}", self.what),
            );
            return None;
        };
        let line = faults.line(found.span().start);
        let value = take(Spanned::get_ref(found));
        if value.is_none() {
            faults.add(
                line,
                format!(
                    "`{key}` in {} must be {kind}, not {}",
                    self.what,
                    found.get_ref().type_str()
                ),
            );
        }
        value.map(|value| At { value, line })
    }
}
