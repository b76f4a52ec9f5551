//! Sentences of transcripts and their words, as tests make them.

/// Something that somebody said.
#[derive(Clone, Debug)]
pub struct SentenceFacts {
    /// 1 or 2.
    pub channel: u32,
    /// Seconds from the beginning, as text; Twilio may not know.
    pub start: Option<String>,
    /// As `start`.
    pub end: Option<String>,
    /// What was said.
    pub text: String,
    /// What is shown instead where redaction is on; without it the text is harmless.
    pub redacted: Option<String>,
    /// 0 to 1, as text; Twilio may not know.
    pub confidence: Option<String>,
    /// The same word by word.
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
    /// A sentence whose words share its time evenly, or have none if the times are no numbers.
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
