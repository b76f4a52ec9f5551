//! The status callback of an outgoing message
//! (<https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>).
//!
//! Owns its parameters. It has neither text nor media: these come over REST or Event Streams.
//! Refuses incoming messages: they lack `MessageStatus`. The order of callbacks is not guaranteed.

use super::address::MessageAddress;
use crate::{
    model::{
        media::SourceRef,
        sid::{AccountSid, MessageSid},
    },
    twilio::{
        own_query::own_query,
        params::{CallbackError, VerifiedParams},
        received_form::ReceivedForm,
        signature::Verified,
    },
};

/// The parameter that only status callbacks have.
pub(super) const MESSAGE_STATUS: &str = "MessageStatus";

/// Statuses after which no other follows.
const FINAL: [&str; 6] = [
    "delivered",
    "undelivered",
    "failed",
    "canceled",
    "read",
    "received",
];

/// A change of an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageStatusCallback {
    /// The account or subaccount that signed the request.
    pub account: AccountSid,
    /// The message.
    pub sid: MessageSid,
    /// The sender: the account's own line.
    pub from: MessageAddress,
    /// The receiver.
    pub to: MessageAddress,
    /// `queued`, `sent`, `delivered`, `undelivered`, `failed`, `read`, or a later status of
    /// Twilio's: 1 to 32 characters of `a-z`, `-` and `_`.
    pub status: String,
    /// The reason of a failure.
    pub error_code: Option<i64>,
    /// The query parameters of our own URL, in order, for classification.
    pub query: Vec<(String, String)>,
    /// The whole form as received.
    pub form: ReceivedForm,
}

impl MessageStatusCallback {
    /// Parses a verified request.
    ///
    /// # Errors
    /// [`CallbackError`], also for an incoming message.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        let status = params.one(MESSAGE_STATUS)?.ok_or(CallbackError::Missing {
            field: MESSAGE_STATUS,
        })?;
        if !is_status(status) {
            return Err(CallbackError::Malformed {
                field: MESSAGE_STATUS,
                expected: "1 to 32 lower-case letters, `-` and `_`",
            });
        }

        let end = |field| {
            params
                .one(field)
                .map(|text| MessageAddress::parse(text.unwrap_or_default()))
        };
        Ok(Self {
            account: verified.account().clone(),
            sid: super::message_sid(&params)?,
            from: end("From")?,
            to: end("To")?,
            status: status.to_owned(),
            error_code: params.number("ErrorCode"),
            query: own_query(verified),
            form: ReceivedForm::of(verified),
        })
    }

    /// Returns the name of the message at the source.
    pub fn source_ref(&self) -> SourceRef {
        super::source_ref(&self.account, &self.sid)
    }

    /// Whether no other status follows. `sent` is not final, although it may be the last where the
    /// carrier reports no delivery.
    pub fn is_final(&self) -> bool {
        is_final(&self.status)
    }
}

/// Whether a message with this status changes no more.
pub(in crate::twilio) fn is_final(status: &str) -> bool {
    FINAL.contains(&status)
}

fn is_status(text: &str) -> bool {
    let is_letter = |byte| matches!(byte, b'a'..=b'z' | b'-' | b'_');
    matches!(text.len(), 1..=32) && text.bytes().all(is_letter)
}
