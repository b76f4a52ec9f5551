//! Faults of a policy file and their positions.
//!
//! Owns the position of each fault; refuses to know the rules. INVARIANT: quoted text of the file
//! is short and contains no control characters, so that a fault can be printed anywhere.

use std::sync::Arc;

/// One fault in a policy file: `privacy-policy.toml:12: unknown key …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct PolicyFault {
    /// The file as the caller named it.
    pub file: Arc<str>,
    /// Line in the file, the first is 1.
    pub line: usize,
    /// The fault and its remedy.
    pub reason: String,
}

/// Collects faults while a file is parsed, so that all are reported together.
pub(in crate::policy) struct PolicyFaults {
    file: Arc<str>,
    /// Byte offset at which each line starts.
    starts: Vec<usize>,
    list: Vec<PolicyFault>,
}

impl PolicyFaults {
    pub(in crate::policy) fn new(file: &str, text: &str) -> Self {
        let starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, byte)| *byte == b'\n')
                    .map(|(at, _)| at + 1),
            )
            .collect();
        Self {
            file: file.into(),
            starts,
            list: Vec::new(),
        }
    }

    /// Returns the line of the byte at `offset`.
    pub(in crate::policy) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    pub(in crate::policy) fn add(&mut self, line: usize, reason: impl Into<String>) {
        let reason = reason
            .into()
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        self.list.push(PolicyFault {
            file: Arc::clone(&self.file),
            line,
            reason,
        });
    }

    pub(in crate::policy) fn count(&self) -> usize {
        self.list.len()
    }

    pub(in crate::policy) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns all faults in the order of their lines.
    pub(in crate::policy) fn into_list(mut self) -> Vec<PolicyFault> {
        self.list.sort_by_key(|fault| fault.line);
        self.list
    }
}

/// Returns the part of a text that a fault may quote.
pub(in crate::policy) fn quote(text: &str) -> &str {
    text.char_indices()
        .nth(64)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}
