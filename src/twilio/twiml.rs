//! TwiML: the instructions for a call or a message (<https://www.twilio.com/docs/voice/twiml>,
//! <https://www.twilio.com/docs/messaging/twiml>).
//!
//! Owns the verbs that the vault uses and their XML. Refuses to know the reason for them.
//!
//! INVARIANT: whatever a text or a URL contains, the document is well-formed XML 1.0 and has no
//! elements but those of its types.

use std::fmt::{self, Write as _};

/// A document: a list of verbs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response(Vec<Verb>);

/// One verb.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Speaks a text and waits for an answer.
    Gather(Gather),
    /// Speaks a text.
    Say(TwimlSay),
    /// Continues with another document.
    Redirect(String),
    /// Starts recording the call, and continues immediately.
    StartRecording(StartRecording),
    /// Dials a party and joins both.
    Dial(Dial),
    /// Ends the call.
    Hangup,
    /// Replies to a message.
    Message(String),
}

/// `<Gather>`: one key, or an utterance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// The spoken text. It is played to its end before an answer counts.
    pub say: TwimlSay,
    /// The URL that receives the answer, by POST.
    pub action: String,
    /// Seconds of silence after which the verb ends.
    pub timeout_s: u8,
    /// The expected utterances; empty: only keys are accepted.
    pub hints: Vec<String>,
}

/// `<Say>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwimlSay {
    /// The text.
    pub text: String,
    /// BCP 47.
    pub language: String,
    /// Twilio's name of the voice.
    pub voice: Option<String>,
}

/// `<Start><Recording>`: both sides, each on its own channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRecording {
    /// The URL that receives the status of the recording, by POST.
    pub callback: String,
}

/// The events of a recording callback: all that Twilio's specification names, in TwiML and over
/// REST. Any other word, such as `failed`, may cause Twilio to refuse the request, and then nothing
/// is recorded. Failed recordings are found by comparison.
pub const RECORDING_EVENTS: &str = "in-progress completed absent";

/// `<Dial>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The dialled party.
    pub to: Endpoint,
    /// The URL of a document that the dialled party hears before both are joined.
    pub whisper: Option<String>,
}

/// A party that can be dialled.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A telephone number in E.164.
    Number(String),
    /// A SIP address: `sip:…`.
    Sip(String),
    /// A client of Twilio's SDKs, by its identity.
    Client(String),
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

impl Endpoint {
    fn noun(&self) -> &'static str {
        match self {
            Self::Number(_) => "Number",
            Self::Sip(_) => "Sip",
            Self::Client(_) => "Client",
        }
    }

    /// Returns the text of the element.
    pub fn expose(&self) -> &str {
        match self {
            Self::Number(text) | Self::Sip(text) | Self::Client(text) => text,
        }
    }
}

impl Response {
    /// Adds a verb.
    #[must_use]
    pub fn with(mut self, verb: Verb) -> Self {
        self.0.push(verb);
        self
    }

    /// Adds a verb, if there is one.
    #[must_use]
    pub fn with_any(mut self, verb: Option<Verb>) -> Self {
        self.0.extend(verb);
        self
    }
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
        let verbs = |f: &mut fmt::Formatter<'_>| self.0.iter().try_for_each(|verb| verb.write(f));
        if self.0.is_empty() {
            element(f, "Response", &[])
        } else {
            around(f, "Response", &[], verbs)
        }
    }
}

impl Verb {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gather(gather) => gather.write(f),
            Self::Say(say) => say.write(f),
            Self::Redirect(url) => around(f, "Redirect", &[("method", Some("POST"))], |f| {
                escape(f, url)
            }),
            Self::StartRecording(recording) => around(f, "Start", &[], |f| recording.write(f)),
            Self::Dial(dial) => around(f, "Dial", &[], |f| {
                let attributes = [
                    ("url", dial.whisper.as_deref()),
                    ("method", dial.whisper.as_ref().map(|_| "POST")),
                ];
                around(f, dial.to.noun(), &attributes, |f| {
                    escape(f, dial.to.expose())
                })
            }),
            Self::Hangup => element(f, "Hangup", &[]),
            Self::Message(text) => around(f, "Message", &[], |f| escape(f, text)),
        }
    }
}

impl Gather {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = self.timeout_s.to_string();
        let hints = self.hints.join(",");
        let speaks = !self.hints.is_empty();
        let attributes = [
            ("input", Some(if speaks { "dtmf speech" } else { "dtmf" })),
            ("numDigits", Some("1")),
            ("timeout", Some(timeout.as_str())),
            ("action", Some(self.action.as_str())),
            ("method", Some("POST")),
            // An answer before the end of the text would not be informed consent.
            ("bargeIn", Some("false")),
            ("language", speaks.then_some(self.say.language.as_str())),
            ("speechTimeout", speaks.then_some("auto")),
            ("hints", speaks.then_some(hints.as_str())),
        ];
        around(f, "Gather", &attributes, |f| self.say.write(f))
    }
}

impl TwimlSay {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        around(
            f,
            "Say",
            &[
                ("language", Some(&self.language)),
                ("voice", self.voice.as_deref()),
            ],
            |f| escape(f, &self.text),
        )
    }
}

impl StartRecording {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attributes = [
            ("recordingStatusCallback", Some(self.callback.as_str())),
            ("recordingStatusCallbackMethod", Some("POST")),
            ("recordingStatusCallbackEvent", Some(RECORDING_EVENTS)),
            ("channels", Some("dual")),
        ];
        element(f, "Recording", &attributes)
    }
}

type Attributes<'a> = [(&'static str, Option<&'a str>)];

fn around(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    attributes: &Attributes<'_>,
    inner: impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    open(f, name, attributes)?;
    f.write_char('>')?;
    inner(f)?;
    write!(f, "</{name}>")
}

fn element(f: &mut fmt::Formatter<'_>, name: &str, attributes: &Attributes<'_>) -> fmt::Result {
    open(f, name, attributes)?;
    f.write_str("/>")
}

fn open(f: &mut fmt::Formatter<'_>, name: &str, attributes: &Attributes<'_>) -> fmt::Result {
    write!(f, "<{name}")?;
    for (attribute, value) in attributes {
        let Some(value) = value else { continue };
        write!(f, " {attribute}=\"")?;
        escape(f, value)?;
        f.write_char('"')?;
    }
    Ok(())
}

/// Escapes text for content and attributes alike. White space is escaped so that an attribute keeps
/// it; characters that XML 1.0 does not allow (section 2.2) are replaced.
fn escape(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '&' => f.write_str("&amp;")?,
            '<' => f.write_str("&lt;")?,
            '>' => f.write_str("&gt;")?,
            '"' => f.write_str("&quot;")?,
            '\'' => f.write_str("&apos;")?,
            '\t' | '\n' | '\r' => write!(f, "&#{};", u32::from(c))?,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
            other => f.write_char(other)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
