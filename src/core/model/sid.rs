//! Twilio's ids: two letters and 32 hex digits
//! (<https://www.twilio.com/docs/glossary/what-is-a-sid>).

use std::{fmt, str::FromStr};

/// Why a text is not a SID of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {prefixes} and 32 hex digits")]
pub struct InvalidSid {
    prefixes: &'static str,
}

macro_rules! sid {
    ($(#[doc = $doc:literal])* $name:ident, $prefix:literal $(or $other:literal)*) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde_with::DeserializeFromStr)]
        #[serde(transparent)]
        pub struct $name(String);

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let example = concat!($prefix, "0123456789abcdef0123456789abcdef");
                super::schema::text(concat!($($doc,)*), concat!("^(", $prefix $(, "|", $other)*, ")[0-9a-fA-F]{32}$").into(), example.into())
            }
        }

        impl $name {
            /// The SID as text; only letters and digits, so it is safe in a URL path.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidSid;

            fn from_str(text: &str) -> Result<Self, InvalidSid> {
                let prefixes = concat!("`", $prefix, "`" $(, " or `", $other, "`")*);
                let digits = text.strip_prefix($prefix)$(.or_else(|| text.strip_prefix($other)))*;
                digits
                    .filter(|digits| digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
                    .map(|_| Self(text.to_owned()))
                    .ok_or(InvalidSid { prefixes })
            }
        }
    };
}

sid!(/** An account or subaccount. */ AccountSid, "AC");
sid!(/** A voice recording. */ RecordingSid, "RE");
sid!(/** A call. */ CallSid, "CA");
sid!(/** A conference. */ ConferenceSid, "CF");
sid!(/** A chat of Conversations. */ ChatSid, "CH");
sid!(/** A video room. */ RoomSid, "RM");
sid!(/** A session of Proxy. */ ProxySessionSid, "KC");
sid!(/** What was said in a recording, by `<Record transcribe>`. */ TranscriptionSid, "TR");
sid!(/** What was said, by Conversational Intelligence or in real time. */ TranscriptSid, "GT");
sid!(/** What an add-on made of a recording. */ AddOnResultSid, "XR");
sid!(/** A message. */ MessageSid, "SM" or "MM");
sid!(/** A picture, sound or file of a message. */ MediaSid, "ME");
sid!(/** A service that sends and receives messages through a set of numbers. */ MessagingServiceSid, "MG");
sid!(/** A service of Conversations: a set of chats. */ ChatServiceSid, "IS");
sid!(/** A message in a chat of Conversations. */ ChatMessageSid, "IM");
sid!(/** A participant of a chat of Conversations. */ ChatParticipantSid, "MB");
sid!(/** A report on the delivery of a chat message. */ DeliveryReceiptSid, "DY");
sid!(/** A service of Proxy. */ ProxyServiceSid, "KS");
sid!(/** One message or call through a session of Proxy. */ InteractionSid, "KI");
sid!(/** A participant of a session of Proxy. */ ProxyParticipantSid, "KP");
sid!(/** The recording of one track of a video room. */ TrackRecordingSid, "RT");
sid!(/** Tracks of a video room put together. */ CompositionSid, "CJ");
sid!(/** A participant of a video room. */ RoomParticipantSid, "PA");
sid!(/** A recording, message, text, track or composition, as the source names it. */ SourceSid, "RE" or "SM" or "MM" or "IM" or "KI" or "RT" or "CJ");
sid!(/** An API key. */ ApiKeySid, "SK");
sid!(/** The public half of a customer's key pair. */ PublicKeySid, "CR");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_of_two_prefixes() {
        let zeros = "0".repeat(32);
        for good in ["SM", "MM"] {
            let sid = format!("{good}{zeros}");
            assert_eq!(sid.parse::<MessageSid>().unwrap().as_str(), sid);
        }
        let why = format!("RE{zeros}").parse::<MessageSid>().unwrap_err();
        assert_eq!(why.to_string(), "expected `SM` or `MM` and 32 hex digits");
    }

    #[test]
    fn only_the_right_letters_and_hex_digits() {
        let zeros = "0".repeat(32);
        assert!(format!("RE{zeros}").parse::<RecordingSid>().is_ok());
        for bad in [
            format!("AC{zeros}"),
            "RE".into(),
            format!("RE{}", "../".repeat(10) + "00"),
            format!("RE{zeros}0"),
        ] {
            assert!(bad.parse::<RecordingSid>().is_err(), "{bad}");
        }
    }
}
