//! Closed lists of words in answers, as schemas of the OpenAPI description.

/// Declares a type that exists only for its schema.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident, $($word:literal),+) => {
        $(#[doc = $doc])*
        pub(in crate::api) struct $name;

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(concat!($($doc,)*).trim()))
                    .enum_values(Some([$($word),+]))
                    .into()
            }
        }
    };
}

words!(/** The view of a grant. */ ViewWord, "audio", "window", "transcript", "redacted-transcript");
words!(/** What a revocation reaches. */ ReachWord, "subject", "recording", "account", "conversation");
words!(/** The state of the copies at the source. */ SourceWord, "kept", "pending", "deleted", "left");
words!(/** The kind of a copy at the source. */ CopyKindWord, "recording", "transcription", "add-on", "transcript", "object");
words!(/** The state of the deletion of a copy. */ CopyWord, "there", "deleted", "confirmed", "left");

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;
    use crate::{
        model::source::{CopyKind, CopyState, SourceState},
        policy::View,
    };

    fn listed<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        serde_json::from_value(schema["enum"].clone()).unwrap()
    }

    #[test]
    fn the_words_are_those_that_are_said() {
        let kinds = CopyKind::ALL.iter().map(|kind| kind.as_str());
        assert_eq!(listed::<CopyKindWord>(), kinds.collect::<Vec<_>>());
        let states = [
            CopyState::There,
            CopyState::Deleted,
            CopyState::Confirmed,
            CopyState::Left,
        ];
        assert_eq!(listed::<CopyWord>(), states.map(CopyState::as_str));
        let standings = [
            SourceState::Kept,
            SourceState::Pending,
            SourceState::Deleted,
            SourceState::Left,
        ];
        assert_eq!(listed::<SourceWord>(), standings.map(SourceState::as_str));
        let views = [
            View::Audio,
            View::Window { from_s: 0, to_s: 1 },
            View::Transcript,
            View::RedactedTranscript,
        ];
        assert_eq!(listed::<ViewWord>(), views.map(View::as_str));
    }
}
