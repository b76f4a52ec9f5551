//! An incoming message: the webhook of a number or a Messaging Service.
//!
//! Owns the parameters that are read
//! (<https://www.twilio.com/docs/messaging/guides/webhook-request>). Refuses to know the meaning of
//! a text, and stores none.
//!
//! INVARIANT: `Debug` shows neither the sender nor the text.

use std::fmt;

use super::{
    params::{CallbackError, VerifiedParams},
    signature::Verified,
};
use crate::model::{
    consent::Keyword,
    sid::{AccountSid, MessageSid},
    subject::Address,
};

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The account or subaccount that signed the request.
    pub account: AccountSid,
    /// Its id.
    pub sid: MessageSid,
    /// The sender; `None` for a short code, a name, or a channel-specific address (such as
    /// Messenger).
    pub from: Option<Address>,
    /// The text; empty for a picture alone.
    pub body: String,
    /// The keyword that Twilio recognised, where Advanced Opt-Out reports one.
    pub keyword: Option<Keyword>,
}

impl IncomingMessage {
    /// Parses a verified request.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        // The older names have the same value.
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
            keyword: params.one("OptOutType")?.map(Keyword::parse),
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
