//! Requests for consent over Twilio, as the file states them.

use crate::model::{
    consent::{Answer, OptOut},
    name::Purpose,
    word::{UnknownWord, unknown},
};

/// `[consent]`: the questions in calls, and the meaning of messages.
#[derive(Debug, Default)]
pub struct ConsentRules {
    /// The question in a call; `None`: no question is asked.
    pub voice: Option<VoiceConsent>,
    /// The meaning of messages; a message without a rule means nothing.
    pub messages: Vec<MessageRule>,
    /// What people are told before their messages are kept; `None`: nothing.
    pub messages_first: Option<MessagesFirst>,
}

/// `[consent.messages_first]`: the notice at the beginning of a thread.
#[derive(Debug)]
pub struct MessagesFirst {
    /// The notice; names the controller and every processor.
    pub text: String,
    /// Who sends it.
    pub sent_by: NoticeSender,
}

/// Who sends the notice.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum NoticeSender {
    /// The vault, over the source.
    Vault,
    /// An application, which reports it as a statement with the answer `informed`.
    Application,
}

crate::word_set!(NoticeSender);

/// `[consent.voice]`.
#[derive(Debug)]
pub struct VoiceConsent {
    /// The scope of a yes: `recording`, and purposes that are based on consent.
    pub purposes: Vec<Purpose>,
    /// How often the question is asked before silence counts as no, 1 to 5.
    pub attempts: u8,
    /// Seconds of silence after which an attempt ends, 1 to 60.
    pub patience_s: u8,
    /// The minimum confidence of speech recognition, 0 to 100; below it the answer is not
    /// understood.
    pub min_confidence_percent: u8,
    /// The languages; the first one is the default. Never empty.
    pub languages: Vec<Spoken>,
}

/// `[[consent.voice.languages]]`: the texts in one language.
#[derive(Debug)]
pub struct Spoken {
    /// BCP 47, as Twilio takes it: `en-US`.
    pub language: String,
    /// Twilio's name of a voice.
    pub voice: Option<String>,
    /// The disclosure and the question; names every processor.
    pub text: String,
    /// The text after a yes, when the recording has begun.
    pub agreed: String,
    /// The text after a no, and after silence.
    pub declined: String,
    /// The answer yes.
    pub yes: Cue,
    /// The answer no.
    pub no: Cue,
}

/// The forms of an answer.
#[derive(Debug)]
pub struct Cue {
    /// A key of the telephone, `0` to `9`.
    pub digit: char,
    /// Whole utterances, without punctuation and in lower case; empty: there is no spoken form.
    pub words: Vec<String>,
}

/// `[[consent.messages]]`: the meaning of a message.
#[derive(Debug)]
pub struct MessageRule {
    /// Whole messages, without punctuation and in lower case.
    pub words: Vec<String>,
    /// Twilio's own classification of the message.
    pub opt_out: Option<OptOut>,
    /// The answer that it gives; `None`: none, there is only a reply.
    pub answer: Option<Answer>,
    /// The purposes; empty: all that are based on consent.
    pub purposes: Vec<Purpose>,
    /// The reply.
    pub reply: Option<String>,
}
