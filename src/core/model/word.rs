//! Closed sets of words: enums whose variants are each one word in rows, JSON, files and metrics.
//!
//! Owns the error for a text that is none of the words. The words are defined once, where the set
//! is declared, and `strum` derives writing and parsing. Refuses to repeat the text: text from
//! outside may be a phone number in the wrong column.

/// The text is none of the expected words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", self.expected())]
pub struct UnknownWord {
    expected: Vec<&'static str>,
}

impl UnknownWord {
    /// Returns the expected words, for a caller's own sentence.
    pub fn expected(&self) -> String {
        format!("`{}`", self.expected.join("`, `"))
    }
}

/// Returns the parse error of the set `T`, for strum's `parse_err_fn`.
pub fn unknown<T>(_: &str) -> UnknownWord
where
    T: strum::VariantArray + Copy + Into<&'static str>,
{
    UnknownWord {
        expected: T::VARIANTS.iter().map(|word| (*word).into()).collect(),
    }
}

/// Gives a set of words its two methods: all words, and one as text.
#[macro_export]
macro_rules! word_set {
    ($($set:ty),+ $(,)?) => {$(
        impl $set {
            /// Every word of the set, in order.
            pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

            /// Returns the word, as in rows, JSON and files.
            pub fn as_str(self) -> &'static str {
                self.into()
            }
        }
    )+};
}

pub use word_set;

#[cfg(test)]
mod tests {
    use crate::{
        model::{
            access::PrincipalKind,
            consent::{Answer, Method, OptOut},
            recording::{DiscoveredBy, RecordingState},
        },
        samples::{json_has_the_words, words_are},
    };

    #[test]
    fn words_are_as_rows_have_them_and_come_back() {
        words_are::<RecordingState>("announced absent failed sealed shredded");
        words_are::<DiscoveredBy>("callback reconcile transcript");
        words_are::<PrincipalKind>("person service");
        words_are::<Answer>("given declined withdrawn informed");
        words_are::<Method>("contract announcement speech keypad sms web-form letter import");
        words_are::<OptOut>("STOP START HELP");
    }

    #[test]
    fn the_interface_describes_the_words_that_it_gives() {
        json_has_the_words::<RecordingState>();
        json_has_the_words::<Answer>();
        json_has_the_words::<Method>();
        json_has_the_words::<OptOut>();
    }
}
