//! Schemas of requests that are parsed without `serde`'s derives, for `/openapi.json`.

use crate::model::name::LegName;

/// The transcript of a recording.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Transcript)]
#[expect(
    dead_code,
    reason = "`model::transcript` reads it, so that no fault repeats what was said"
)]
pub(in crate::api) struct TranscriptForm {
    /// A language tag (BCP 47).
    #[schema(
        max_length = 35,
        pattern = "^([A-Za-z0-9]{2,8}|[A-Za-z0-9](-[A-Za-z0-9]{1,8}))(-[A-Za-z0-9]{1,8})*$",
        examples("en-US")
    )]
    language: String,
    /// The transcribing software.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", examples("example-1"))]
    source: String,
    /// The sentences, in the order of their beginnings.
    #[schema(max_items = 50000)]
    sentences: Vec<SentenceForm>,
    /// The number of parts that are known to be missing.
    #[schema(required = false, maximum = 1000000, examples(0))]
    lost: u32,
}

/// The transcript of a recording, or the text of a message, in the view of a grant.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is written as it was sealed, in this form")]
pub(in crate::api) struct ShownTranscript {
    /// A language tag (BCP 47); `und` if it is not known.
    #[schema(max_length = 35, examples("en-US"))]
    language: String,
    /// The transcribing software; `message` for what was written.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,64}$", examples("example-1"))]
    source: String,
    /// The sentences, in the order of their beginnings.
    #[schema(max_items = 50000)]
    sentences: Vec<SentenceForm>,
    /// The number of parts that are known to be missing.
    #[schema(required = false, maximum = 1000000, examples(0))]
    lost: u32,
    /// The kinds of content that are redacted on this copy, each character with `█`; absent if
    /// nothing is.
    #[schema(required = false, max_items = 16)]
    redacted: Vec<ContentKind>,
}

/// A kind of content that the policy's rules find.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "the policy's patterns have these words")]
pub(in crate::api) enum ContentKind {
    /// The number of a payment card.
    CardNumber,
    /// A social security number of the United States.
    UsSocialSecurityNumber,
    /// An international bank account number.
    Iban,
    /// A word that the policy lists.
    Words,
}

/// A sentence of one party.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Sentence)]
#[expect(
    dead_code,
    reason = "`model::transcript` reads it, so that no fault repeats what was said"
)]
pub(in crate::api) struct SentenceForm {
    /// The speaking party's place, if known.
    #[schema(required = false)]
    leg: Option<LegName>,
    /// Milliseconds from the beginning of the recording.
    #[schema(maximum = 604800000, examples(0))]
    start_ms: u64,
    /// Milliseconds, not before `start_ms`.
    #[schema(maximum = 604800000, examples(900))]
    end_ms: u64,
    /// The text of the sentence.
    #[schema(
        max_length = 20000,
        pattern = r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$",
        examples("Hello.")
    )]
    text: String,
    /// The confidence of the transcription.
    #[schema(required = false, minimum = 0, maximum = 1, examples(0.9))]
    confidence: Option<f32>,
    /// The words of the sentence.
    #[schema(required = false, max_items = 5000)]
    words: Vec<WordForm>,
}

/// A word with its time.
#[derive(utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SpokenWord)]
#[expect(
    dead_code,
    reason = "`model::transcript` reads it, so that no fault repeats what was said"
)]
pub(in crate::api) struct WordForm {
    /// The word.
    #[schema(
        max_length = 200,
        pattern = r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]*$",
        examples("Hello.")
    )]
    text: String,
    /// Milliseconds from the beginning of the recording.
    #[schema(maximum = 604800000, examples(0))]
    start_ms: u64,
    /// Milliseconds, not before `start_ms`.
    #[schema(maximum = 604800000, examples(900))]
    end_ms: u64,
}
