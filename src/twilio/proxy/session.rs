//! A session of Proxy, and its two participants.

use serde_json::Value;

use crate::{
    model::{
        sid::{ProxyParticipantSid, ProxyServiceSid, ProxySessionSid},
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        message::MessageAddress,
        params::CallbackError,
        personal::PersonalText,
    },
};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct ProxySession {
    /// The session.
    pub sid: ProxySessionSid,
    /// Its service.
    pub service: Option<ProxyServiceSid>,
    /// `open`, `in-progress`, `closed`, `failed`, `unknown`; an open set.
    pub status: Option<String>,
    /// `message-only`, `voice-only`, `voice-and-message`; an open set.
    pub mode: Option<String>,
    /// The reason of its end.
    pub closed_reason: Option<String>,
    /// The application's own id.
    pub unique_name: Option<PersonalText>,
    /// When it began.
    pub created_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl ProxySession {
    fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(Self {
            sid: fields.required(&["Sid"], "`KC` and 32 hex digits")?,
            service: fields.parsed("ServiceSid"),
            status: fields.word("Status"),
            mode: fields.word("Mode"),
            closed_reason: fields.word("ClosedReason"),
            unique_name: fields.personal("UniqueName"),
            created_at: fields.time("DateCreated"),
            ended_at: fields.time("DateEnded"),
        })
    }
}

impl TryFrom<Value> for ProxySession {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}

/// A participant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct ProxyParticipant {
    /// The participant.
    pub sid: ProxyParticipantSid,
    /// The session.
    pub session: ProxySessionSid,
    /// The person's own number.
    pub identifier: Option<MessageAddress>,
    /// The mask that the person writes to: a line of the account, never a person.
    pub proxy_identifier: Option<MessageAddress>,
    /// A name that the application gave.
    pub friendly_name: Option<PersonalText>,
    /// When they left.
    pub deleted_at: Option<Timestamp>,
}

impl ProxyParticipant {
    fn read(fields: &NamedFields<'_>) -> Result<Self, CallbackError> {
        Ok(Self {
            sid: fields.required(&["Sid"], "`KP` and 32 hex digits")?,
            session: fields.required(&["SessionSid"], "`KC` and 32 hex digits")?,
            identifier: fields.parsed("Identifier"),
            proxy_identifier: fields.parsed("ProxyIdentifier"),
            friendly_name: fields.personal("FriendlyName"),
            deleted_at: fields.time("DateDeleted"),
        })
    }
}

impl TryFrom<Value> for ProxyParticipant {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, Self::read)
    }
}
