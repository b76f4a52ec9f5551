//! Cleaning of text from the source for a transcript.
//!
//! Owns what is removed. Refuses to know the speaker.

use crate::model::{text::is_prose, transcript::Said};

/// Returns a valid language tag, or `und` for unknown (BCP 47).
pub(super) fn language(told: Option<String>) -> String {
    let is_tag = |tag: &String| {
        matches!(tag.len(), 2..=35)
            && tag.split('-').all(|part| {
                matches!(part.len(), 1..=8) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    };
    told.filter(is_tag).unwrap_or_else(|| "und".to_owned())
}

/// Returns the beginning of a text, without characters that no transcript may contain.
pub(super) fn cut(said: &Said, most: usize) -> Said {
    Said::new(
        said.expose()
            .chars()
            .filter(|c| is_prose(*c))
            .take(most)
            .collect(),
    )
}
