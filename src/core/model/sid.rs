//! Twilio's ids: two letters and 32 hex digits
//! (<https://www.twilio.com/docs/glossary/what-is-a-sid>).

use std::{fmt, str::FromStr};

/// Why a text is not a SID of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `{prefix}` and 32 hex digits")]
pub struct InvalidSid {
    prefix: &'static str,
}

macro_rules! sid {
    ($(#[doc = $doc:literal])* $name:ident, $prefix:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde_with::DeserializeFromStr)]
        #[serde(transparent)]
        pub struct $name(String);

        impl utoipa::ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let example = concat!($prefix, "0123456789abcdef0123456789abcdef");
                super::schema::text(concat!($($doc,)*), concat!("^", $prefix, "[0-9a-fA-F]{32}$").into(), example.into())
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
                match text.strip_prefix($prefix) {
                    Some(digits) if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Self(text.to_owned())),
                    _ => Err(InvalidSid { prefix: $prefix }),
                }
            }
        }
    };
}

sid!(/** An account or subaccount. */ AccountSid, "AC");
sid!(/** A voice recording. */ RecordingSid, "RE");
sid!(/** A call. */ CallSid, "CA");
sid!(/** A conference. */ ConferenceSid, "CF");
sid!(/** A chat of Conversations: the thread of its messages. */ ThreadSid, "CH");
sid!(/** A video room. */ RoomSid, "RM");
sid!(/** A session of Proxy. */ ProxySessionSid, "KC");
sid!(/** What was said in a recording, by `<Record transcribe>`. */ TranscriptionSid, "TR");
sid!(/** What was said, by Conversational Intelligence or in real time. */ TranscriptSid, "GT");
sid!(/** What an add-on made of a recording. */ AddOnResultSid, "XR");

#[cfg(test)]
mod tests {
    use super::*;

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
