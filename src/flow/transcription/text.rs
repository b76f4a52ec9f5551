//! What the source says as text, made fit for a transcript.
//!
//! Owns what is left out. Refuses to know who said it.

use crate::model::{text::is_prose, transcript::Said};

/// A language tag, or that it is not known (BCP 47: `und`).
pub(super) fn language(told: Option<String>) -> String {
    let is_tag = |tag: &String| {
        matches!(tag.len(), 2..=35)
            && tag.split('-').all(|part| {
                matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    };
    told.filter(is_tag).unwrap_or_else(|| "und".to_owned())
}

/// The beginning of what was said, without characters that no transcript may hold.
pub(super) fn cut(said: &Said, most: usize) -> Said {
    Said::new(
        said.expose()
            .chars()
            .filter(|c| is_prose(*c))
            .take(most)
            .collect(),
    )
}
