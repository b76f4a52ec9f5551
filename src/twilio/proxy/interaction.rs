//! One message or call through a session.

use serde_json::Value;

use crate::{
    model::{
        media::SourceRef,
        sid::{
            AccountSid, CallSid, InteractionSid, MessageSid, ProxyParticipantSid, ProxyServiceSid,
            ProxySessionSid,
        },
        time::Timestamp,
    },
    twilio::{
        fields::{NamedFields, of_resource},
        params::CallbackError,
        personal::PersonalText,
    },
};

/// The kind of an interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InteractionKind {
    /// A text message.
    Message,
    /// A call.
    Voice,
    /// Unknown, also to Twilio, or a later kind.
    Unknown,
}

/// A message or call, in a callback or a list.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "Value")]
pub struct Interaction {
    /// The interaction.
    pub sid: InteractionSid,
    /// Its session.
    pub session: ProxySessionSid,
    /// Its service.
    pub service: Option<ProxyServiceSid>,
    /// Its kind.
    pub kind: InteractionKind,
    /// The text of a message.
    pub body: Option<PersonalText>,
    /// Seconds of a call.
    pub duration_s: Option<u64>,
    /// The number of media.
    pub num_media: usize,
    /// The side that wrote or called.
    pub inbound: InteractionSide,
    /// The side that received.
    pub outbound: InteractionSide,
    /// When it began.
    pub created_at: Option<Timestamp>,
    /// The last change.
    pub updated_at: Option<Timestamp>,
}

/// One side: the participant, and the message or call between them and the mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InteractionSide {
    /// The participant.
    pub participant: Option<ProxyParticipantSid>,
    /// `SM…`, `MM…` or `CA…`: a resource of its own, which is deleted by itself.
    pub resource: Option<String>,
    /// `message` or `call`, in lower case.
    pub resource_kind: Option<String>,
    /// A status of messages or calls, or of Proxy's own; in lower case.
    pub status: Option<String>,
}

impl Interaction {
    /// Reads an interaction. `prefix` is before the names in callbacks.
    pub(super) fn read(fields: &NamedFields<'_>, prefix: &str) -> Result<Self, CallbackError> {
        let is_callback = !prefix.is_empty();
        let name = |callback: &'static str, resource: &'static str| {
            if is_callback { callback } else { resource }
        };
        let kind = fields.word(name("interactionType", "Type"));
        let data = fields.readable(name("interactionData", "Data"));
        // An object, as a text in a field; empty at the beginning of a call.
        let data: Option<Value> = data.and_then(|text| serde_json::from_str(text).ok());
        let data = |name| data.as_ref().and_then(|data| data.get(name));
        let duration = data("duration");
        Ok(Self {
            sid: fields.required(&[name("interactionSid", "Sid")], "`KI` and 32 hex digits")?,
            session: fields.required(
                &[name("interactionSessionSid", "SessionSid")],
                "`KC` and 32 hex digits",
            )?,
            service: fields.parsed(name("interactionServiceSid", "ServiceSid")),
            kind: match kind.as_deref() {
                Some("message") => InteractionKind::Message,
                Some("voice") => InteractionKind::Voice,
                _ => InteractionKind::Unknown,
            },
            body: data("body").and_then(Value::as_str).map(PersonalText::from),
            duration_s: duration
                .and_then(|told| told.as_u64().or_else(|| told.as_str()?.parse().ok())),
            num_media: fields.parsed("interactionNumMedia").unwrap_or_default(),
            inbound: InteractionSide {
                participant: fields.parsed("inboundParticipantSid"),
                resource: resource(fields.readable("inboundResourceSid")),
                resource_kind: fields.word("inboundResourceType"),
                status: fields.word("inboundResourceStatus"),
            },
            outbound: InteractionSide {
                participant: fields.parsed("outboundParticipantSid"),
                resource: resource(fields.readable("outboundResourceSid")),
                resource_kind: fields.word("outboundResourceType"),
                status: fields.word("outboundResourceStatus"),
            },
            created_at: fields.time(name("interactionDateCreated", "DateCreated")),
            updated_at: fields.time(name("interactionDateUpdated", "DateUpdated")),
        })
    }

    /// Returns the name of the interaction at the source.
    pub fn source_ref(&self, account: &AccountSid) -> SourceRef {
        SourceRef::parse(account.clone(), self.sid.as_str())
            .expect("the id of an interaction names a source")
    }
}

impl InteractionSide {
    /// Returns the message between the participant and the mask.
    pub fn message(&self) -> Option<MessageSid> {
        self.resource.as_ref()?.parse().ok()
    }

    /// Returns the call between the participant and the mask.
    pub fn call(&self) -> Option<CallSid> {
        self.resource.as_ref()?.parse().ok()
    }
}

/// Returns the id of a message or call.
fn resource(text: Option<&str>) -> Option<String> {
    let text = text?;
    let (prefix, digits) = text.split_at_checked(2)?;
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (matches!(prefix, "SM" | "MM" | "CA") && is_hex).then(|| text.to_owned())
}

/// An interaction of a list over REST.
impl TryFrom<Value> for Interaction {
    type Error = CallbackError;

    fn try_from(value: Value) -> Result<Self, CallbackError> {
        of_resource(&value, |fields| Self::read(fields, ""))
    }
}
