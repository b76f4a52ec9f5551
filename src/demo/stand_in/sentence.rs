//! Sentences of transcripts and their words, as tests create them.

/// A sentence.
#[derive(Clone, Debug)]
pub struct SentenceFacts {
    /// 1 or 2.
    pub channel: u32,
    /// Seconds from the beginning, as text; `None` if unknown.
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
    /// The text.
    pub text: String,
    /// The redacted text, if redaction is on; without it the text needs no redaction.
    pub redacted: Option<String>,
    /// 0 to 1, as text; `None` if unknown.
    pub confidence: Option<String>,
    /// The words with their times.
    pub words: Vec<WordFacts>,
}

/// A word.
#[derive(Clone, Debug)]
pub struct WordFacts {
    /// The word.
    pub word: String,
    /// Seconds from the beginning, as text.
    pub start: String,
    /// As `start`.
    pub end: String,
}

impl SentenceFacts {
    /// Creates a sentence whose words share its time evenly. It has no words if the times are not
    /// numbers.
    pub fn new(channel: u32, start: &str, end: &str, text: &str) -> Self {
        Self {
            channel,
            start: Some(start.to_owned()),
            end: Some(end.to_owned()),
            text: text.to_owned(),
            redacted: None,
            confidence: Some("0.95".to_owned()),
            words: words(start, end, text).unwrap_or_default(),
        }
    }
}

fn words(start: &str, end: &str, text: &str) -> Option<Vec<WordFacts>> {
    let (start, end): (f64, f64) = (start.parse().ok()?, end.parse().ok()?);
    let each = (end - start) / f64::from(u32::try_from(text.split_whitespace().count()).ok()?);
    let starts = (0_u32..).map(|at| each.mul_add(f64::from(at), start));
    let word = |(word, start): (&str, f64)| WordFacts {
        word: word.to_owned(),
        start: format!("{start:.2}"),
        end: format!("{:.2}", start + each),
    };
    Some(text.split_whitespace().zip(starts).map(word).collect())
}
