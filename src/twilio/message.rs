//! Messages: the webhook of a number or a Messaging Service, and the status callback of what was
//! sent.
//!
//! Owns the parameters that are read
//! (<https://www.twilio.com/docs/messaging/guides/webhook-request>). Refuses to know the meaning of
//! a text, and stores none.
//!
//! INVARIANT: `Debug` shows neither the sender nor the text. An incoming message is never taken for
//! a status callback, nor the other way round.

mod address;
mod media;
mod status;

use std::fmt;

use self::status::MESSAGE_STATUS;
pub(super) use self::status::is_final;
pub use self::{address::MessageAddress, media::MessageMedia, status::MessageStatusCallback};
use super::{
    own_query::own_query,
    params::{CallbackError, VerifiedParams},
    personal::PersonalText,
    received_form::ReceivedForm,
    signature::Verified,
};
use crate::model::{
    consent::Keyword,
    media::SourceRef,
    sid::{AccountSid, MessageSid, MessagingServiceSid},
    subject::Address,
    time::Timestamp,
};

/// One message that came in.
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
    /// The sender in the source's own form.
    pub sender: MessageAddress,
    /// The receiver in the source's own form: a line of the account, or a person in a group.
    pub receiver: MessageAddress,
    /// The other people in a group; empty elsewhere. Only events name them.
    pub others: Vec<MessageAddress>,
    /// The sender's identifier at the channel, where they hide their number.
    pub external_user_id: Option<PersonalText>,
    /// The number of media: a message is complete with as many.
    pub num_media: usize,
    /// The media that are announced; at most [`Self::num_media`].
    pub media: Vec<MessageMedia>,
    /// The Messaging Service that received it.
    pub messaging_service: Option<MessagingServiceSid>,
    /// The query parameters of our own URL, in order, for classification.
    pub query: Vec<(String, String)>,
    /// The whole form as received.
    pub form: ReceivedForm,
    /// When it was received, if that was told; otherwise now.
    pub at: Option<Timestamp>,
}

impl IncomingMessage {
    /// Parses a verified request.
    ///
    /// # Errors
    /// [`CallbackError`], also for a status callback.
    pub fn parse(verified: &Verified) -> Result<Self, CallbackError> {
        let params = VerifiedParams::of(verified);
        params.absent(
            MESSAGE_STATUS,
            "is the status of an outgoing message, not an incoming message",
        )?;

        let account = verified.account().clone();
        let from = params.one("From")?.unwrap_or_default();
        let sender = MessageAddress::parse(from);
        // Twilio's own pages give both names.
        let external_user_id = ["ExternalUserId", "ExternalUserIdentifier"]
            .into_iter()
            .find_map(|name| params.readable(name))
            .or_else(|| sender.external_user_id())
            .map(PersonalText::from);
        let media = MessageMedia::all(&params, &account);
        let told = params.number("NumMedia").unwrap_or_default();
        let num_media = usize::try_from(told).unwrap_or_default().max(media.len());
        Ok(Self {
            sid: message_sid(&params)?,
            from: sender.address().cloned(),
            body: params.one("Body")?.unwrap_or_default().to_owned(),
            keyword: params.one("OptOutType")?.map(Keyword::parse),
            receiver: MessageAddress::parse(params.readable("To").unwrap_or_default()),
            others: Vec::new(),
            external_user_id,
            num_media,
            media,
            messaging_service: params.parsed("MessagingServiceSid"),
            query: own_query(verified),
            form: ReceivedForm::of(verified),
            at: None,
            sender,
            account,
        })
    }

    /// Returns the name of the message at the source.
    pub fn source_ref(&self) -> SourceRef {
        source_ref(&self.account, &self.sid)
    }
}

/// Reads the message's id; the older names have the same value.
fn message_sid(params: &VerifiedParams<'_>) -> Result<MessageSid, CallbackError> {
    let field = "MessageSid";
    let sid = [field, "SmsMessageSid", "SmsSid"]
        .into_iter()
        .find_map(|name| params.readable(name));
    sid.ok_or(CallbackError::Missing { field })?
        .parse()
        .map_err(|_| CallbackError::Malformed {
            field,
            expected: "`SM` or `MM` and 32 hex digits",
        })
}

fn source_ref(account: &AccountSid, sid: &MessageSid) -> SourceRef {
    SourceRef::parse(account.clone(), sid.as_str()).expect("the id of a message names a source")
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
