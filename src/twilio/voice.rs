//! The requests for TwiML of `/twilio/consent/voice`: the beginning of a call, and each answer.
//!
//! Owns the parameters that are read (<https://www.twilio.com/docs/voice/twiml#request-parameters>,
//! <https://www.twilio.com/docs/voice/twiml/gather>) and the state that our own URL carries from
//! one request to the next. Refuses to know the meaning of an answer.
//!
//! INVARIANT: a malformed parameter that identifies the call refuses the request. `Debug` shows no
//! numbers, keys or words. Our own URL holds no personal data.

use std::fmt;

use super::{
    params::{CallbackError, VerifiedParams},
    signature::Verified,
};
use crate::model::{
    name::LegName,
    sid::{AccountSid, CallSid},
    subject::Address,
};

/// The leg of the call's first participant: the caller of an inbound call, the called party of an
/// outbound call. The look-up of parties uses the same name.
pub const CALLER: &str = "caller";
/// The leg of the dialled party.
pub const CALLEE: &str = "callee";

/// One request.
#[derive(Clone, PartialEq)]
pub struct VoiceRequest {
    /// The account or subaccount that signed the request.
    pub account: AccountSid,
    /// The call that runs the TwiML.
    pub call: CallSid,
    /// The call that dialled it.
    pub parent: Option<CallSid>,
    /// The leg that hears the text.
    pub leg: LegName,
    /// Whether the callee hears the text before both calls are joined (`<Number url="…">`): they
    /// are joined when it ends.
    pub is_whisper: bool,
    /// The address of that leg, if Twilio reports one.
    pub address: Option<Address>,
    /// The pressed keys.
    pub digits: Option<String>,
    /// The recognised speech.
    pub speech: Option<String>,
    /// The confidence of the recognition, 0 to 1.
    pub confidence: Option<f64>,
    /// The step of the consent dialogue.
    pub step: VoiceStep,
    /// The other parameters of our own URL, in order. In a GET, Twilio's own parameters are among
    /// them, so only known ones may be passed on.
    pub query: Vec<(String, String)>,
}

/// The parameters of our own URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceStep {
    /// Whether the request carries an answer. Without it digits are ignored: Twilio repeats them
    /// after a `<Redirect>`.
    pub answers: bool,
    /// The number of the attempt, from 1.
    pub attempt: u8,
    /// The requested or spoken language.
    pub language: Option<String>,
    /// The beginning of the digest of the policy that defined the question.
    pub policy: Option<String>,
    /// Whether a recording begins only when the dialled party has agreed as well.
    pub waits_for_both: bool,
}

/// The parameters of [`VoiceStep`] and of the leg.
const OURS: [&str; 6] = ["step", "attempt", "language", "policy", "leg", "record"];

/// The number of digits of the policy's digest in the URL.
pub const POLICY_DIGITS: usize = 16;

impl VoiceRequest {
    /// Parses a verified request. Parameters that are missing in our own URL have the values of a
    /// first request.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        let own = VerifiedParams::of_query(verified);
        let leg: Option<LegName> = own.optional(
            "leg",
            "the name of a place in a conversation, like `callee`",
        )?;
        let parent: Option<CallSid> = params.optional("ParentCallSid", "`CA` and 32 hex digits")?;
        // For an outbound call, `From` is one of the account's numbers.
        let is_outbound = params
            .readable("Direction")
            .is_some_and(|direction| direction.starts_with("outbound"));
        let address = params
            .readable(if is_outbound { "To" } else { "From" })
            .and_then(|text| text.parse().ok());
        let is_whisper = leg.as_ref().is_some_and(|leg| leg.as_str() != CALLER);
        Ok(Self {
            account: verified.account().clone(),
            call: params.required("CallSid", "`CA` and 32 hex digits")?,
            parent,
            leg: leg.unwrap_or_else(|| CALLER.parse().expect("it is a name")),
            is_whisper,
            address,
            digits: params.one("Digits")?.map(str::to_owned),
            speech: params.one("SpeechResult")?.map(str::to_owned),
            confidence: params
                .readable("Confidence")
                .and_then(|text| text.parse().ok()),
            step: VoiceStep {
                answers: own.readable("step") == Some("answer"),
                attempt: own
                    .readable("attempt")
                    .and_then(|text| text.parse().ok())
                    .filter(|&attempt| attempt > 0)
                    .unwrap_or(1),
                language: own.readable("language").map(str::to_owned),
                policy: own.readable("policy").map(str::to_owned),
                waits_for_both: own.readable("record") == Some("both"),
            },
            query: verified
                .query()
                .iter()
                .filter(|(name, _)| !OURS.contains(&name.as_str()))
                .cloned()
                .collect(),
        })
    }

    /// Returns the call of the conversation: for a dialled leg, the call that dialled it.
    pub fn conversation(&self) -> &CallSid {
        self.parent
            .as_ref()
            .filter(|_| self.is_whisper)
            .unwrap_or(&self.call)
    }
}

impl fmt::Debug for VoiceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoiceRequest")
            .field("account", &self.account)
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
