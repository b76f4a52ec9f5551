//! An incoming message: the webhook of a number or a Messaging Service.
//!
//! Owns which parameters we read (<https://www.twilio.com/docs/messaging/guides/webhook-request>).
//! Refuses to know what a text means, and keeps none.
//!
//! INVARIANT: who wrote, and what, is never printed.

use std::{fmt, str::FromStr};

use super::{
    params::{CallbackError, VerifiedParams},
    signature::Verified,
};
use crate::model::{consent::OptOut, sid::AccountSid, subject::Address};

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The account or subaccount, which has signed this.
    pub account: AccountSid,
    /// Its id.
    pub sid: MessageSid,
    /// Who wrote it; `None` for a short code, a name, or a channel whose addresses are nobody's
    /// elsewhere.
    pub from: Option<Address>,
    /// What was written; empty for a picture alone.
    pub body: String,
    /// What Twilio took it for, where Advanced Opt-Out says so; the inner `None` for a word that is
    /// not known here.
    pub keyword: Option<Option<OptOut>>,
}

/// A message's id: `SM` or `MM`, and 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSid(String);

/// The text is no message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `SM` or `MM` and 32 hex digits")]
pub struct InvalidMessageSid;

impl FromStr for MessageSid {
    type Err = InvalidMessageSid;

    fn from_str(text: &str) -> Result<Self, InvalidMessageSid> {
        let digits = text.strip_prefix("SM").or_else(|| text.strip_prefix("MM"));
        let fits = digits.is_some_and(|digits| {
            digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit())
        });
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidMessageSid)
        }
    }
}

impl MessageSid {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl IncomingMessage {
    /// Reads a verified request.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        // The older names say the same.
        let sid = ["MessageSid", "SmsMessageSid", "SmsSid"]
            .into_iter()
            .find_map(|name| params.readable(name));
        let malformed = CallbackError::Malformed {
            field: "MessageSid",
            expected: "`SM` or `MM` and 32 hex digits",
        };
        let sid = sid
            .ok_or(CallbackError::Missing {
                field: "MessageSid",
            })?
            .parse()
            .map_err(|_| malformed)?;
        Ok(Self {
            account: verified.account().clone(),
            sid,
            from: params.one("From")?.and_then(|sender| sender.parse().ok()),
            body: params.one("Body")?.unwrap_or_default().to_owned(),
            keyword: params
                .one("OptOutType")?
                .map(|word| word.trim().to_ascii_uppercase().parse().ok()),
        })
    }
}

impl fmt::Debug for IncomingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingMessage")
            .field("account", &self.account)
            .field("sid", &self.sid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
