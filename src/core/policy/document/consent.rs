//! How consent is asked for and taken over Twilio, as the file states it.

use crate::model::{
    consent::{Answer, OptOut},
    name::Purpose,
};

/// `[consent]`: what people are asked in calls, and what their messages mean.
#[derive(Debug, Default)]
pub struct ConsentRules {
    /// What is asked in a call; `None`: nothing is asked, and nothing is recorded for having been
    /// asked.
    pub voice: Option<VoiceConsent>,
    /// What messages mean; a message that no rule is for means nothing.
    pub messages: Vec<MessageRule>,
}

/// `[consent.voice]`.
#[derive(Debug)]
pub struct VoiceConsent {
    /// What a yes covers: `recording`, and purposes that rest on consent.
    pub purposes: Vec<Purpose>,
    /// How often it is asked before silence counts as no, 1 to 5.
    pub attempts: u8,
    /// Seconds of silence after which an attempt is over, 1 to 60.
    pub patience_s: u8,
    /// How sure speech recognition must be, 0 to 100; what it is less sure of is not understood.
    pub min_confidence_percent: u8,
    /// In which languages; the first one is the default. Never empty.
    pub languages: Vec<Spoken>,
}

/// `[[consent.voice.languages]]`: what is said in one language.
#[derive(Debug)]
pub struct Spoken {
    /// BCP 47, as Twilio takes it: `en-US`.
    pub language: String,
    /// Twilio's name of a voice.
    pub voice: Option<String>,
    /// What is disclosed and asked; names every processor.
    pub text: String,
    /// What is said after a yes, when the recording has begun.
    pub agreed: String,
    /// What is said after a no, and after silence.
    pub declined: String,
    /// What counts as yes.
    pub yes: Cue,
    /// What counts as no.
    pub no: Cue,
}

/// How an answer is given.
#[derive(Debug)]
pub struct Cue {
    /// A key of the telephone, `0` to `9`.
    pub digit: char,
    /// Whole utterances, without punctuation and in lower case; empty: it is not given in words.
    pub words: Vec<String>,
}

/// `[[consent.messages]]`: what a message means.
#[derive(Debug)]
pub struct MessageRule {
    /// Whole messages, without punctuation and in lower case.
    pub words: Vec<String>,
    /// What Twilio itself took the message for.
    pub opt_out: Option<OptOut>,
    /// What is said by it; `None`: nothing, there is only a reply.
    pub answer: Option<Answer>,
    /// For which purposes; empty: for all that rest on consent.
    pub purposes: Vec<Purpose>,
    /// What is answered.
    pub reply: Option<String>,
}
