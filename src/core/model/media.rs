//! The kinds of communication that a recording may contain, and their names at the sources.
//!
//! Owns the closed lists and the one table of SIDs. Refuses to know how each kind is stored, and
//! which kinds are collected.

use super::{
    artefact::Artefact,
    id::{RecordingId, VaultId},
    sid::{AccountSid, RecordingSid},
    word::{UnknownWord, unknown},
};

/// The kind of communication that a recording is of.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(serialize_all = "kebab-case")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "kebab-case")]
pub enum MediaKind {
    /// The sound of a call or conference.
    #[strum(to_string = "call")]
    #[schema(rename = "call")]
    CallAudio,
    /// A text or picture message: SMS, MMS, WhatsApp, RCS, or one of a Proxy session.
    Message,
    /// A message in a chat.
    ChatMessage,
    /// One participant's track of a video room, picture or sound.
    VideoTrack,
    /// Tracks of a video room put together.
    VideoComposition,
}

crate::word_set!(MediaKind);

impl MediaKind {
    /// Returns the artefact that holds the source's bytes: without it a recording of this kind is
    /// incomplete.
    pub const fn content(self) -> Artefact {
        match self {
            Self::CallAudio => Artefact::Audio,
            Self::Message | Self::ChatMessage => Artefact::Form,
            Self::VideoTrack | Self::VideoComposition => Artefact::Media(0),
        }
    }
}

impl MediaKind {
    /// Returns whether people wrote it: it is sealed whole in memory, its text is its transcript, and
    /// it is read with the others of its conversation.
    pub const fn is_written(self) -> bool {
        match self {
            Self::Message | Self::ChatMessage => true,
            Self::CallAudio | Self::VideoTrack | Self::VideoComposition => false,
        }
    }

    /// Returns whether the source has the content of a communication with this status, as far as it
    /// will ever have it. A message has its content even if it was not delivered.
    pub fn is_complete(self, status: &str) -> bool {
        match self {
            Self::Message => matches!(
                status,
                "received"
                    | "sent"
                    | "delivered"
                    | "partially_delivered"
                    | "undelivered"
                    | "failed"
                    | "read"
            ),
            // Twilio gives no status to a message of a chat: it is there, or it is not.
            Self::ChatMessage => status == "received",
            _ => status == "completed",
        }
    }
}

/// The source's product that made a recording.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Product {
    /// Programmable Voice.
    Voice,
    /// Programmable Messaging.
    Messaging,
    /// Conversations (classic).
    Conversations,
    /// Proxy.
    Proxy,
    /// Programmable Video.
    Video,
}

/// The meaning of the first two letters of a SID; defined here only.
const SIDS: [(&str, Product, MediaKind); 7] = [
    ("RE", Product::Voice, MediaKind::CallAudio),
    ("SM", Product::Messaging, MediaKind::Message),
    ("MM", Product::Messaging, MediaKind::Message),
    ("IM", Product::Conversations, MediaKind::ChatMessage),
    ("KI", Product::Proxy, MediaKind::Message),
    ("RT", Product::Video, MediaKind::VideoTrack),
    ("CJ", Product::Video, MediaKind::VideoComposition),
];

/// The SID does not name a recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the SID of a recording, message, chat message, interaction, track or composition: `RE`, `SM`, `MM`, `IM`, `KI`, `RT` or `CJ` and 32 hex digits"
)]
pub struct UnknownSource;

/// The recording has no SID of a call's recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{sid}` names no recording of a call, but media of kind `{kind}`")]
pub struct NotACall {
    sid: String,
    kind: MediaKind,
}

/// The source's name of a recording's communication: each one is one recording, however often it is
/// announced.
///
/// INVARIANT: the SID is one of the table's, so product and kind follow from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct SourceRef {
    account: AccountSid,
    #[serde(skip)]
    product: Product,
    kind: MediaKind,
    #[serde(rename = "source_sid")]
    sid: String,
}

impl SourceRef {
    /// Parses the SID of a communication in an account.
    ///
    /// # Errors
    /// [`UnknownSource`].
    pub fn parse(account: AccountSid, sid: &str) -> Result<Self, UnknownSource> {
        let (letters, digits) = sid.split_at_checked(2).ok_or(UnknownSource)?;
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(UnknownSource);
        }

        let (_, product, kind) = SIDS
            .into_iter()
            .find(|(prefix, _, _)| *prefix == letters)
            .ok_or(UnknownSource)?;
        Ok(Self {
            account,
            product,
            kind,
            sid: sid.to_owned(),
        })
    }

    /// Returns the reference of a recording of a call or conference.
    pub fn of_call(account: &AccountSid, sid: &RecordingSid) -> Self {
        Self {
            account: account.clone(),
            product: Product::Voice,
            kind: MediaKind::CallAudio,
            sid: sid.to_string(),
        }
    }

    /// The account or subaccount under which it was made.
    pub fn account(&self) -> &AccountSid {
        &self.account
    }

    /// The product that made it.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The kind.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// The source's id.
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// Returns the SID of a call's recording, for operations that the source offers for these only.
    ///
    /// # Errors
    /// [`NotACall`].
    pub fn recording_sid(&self) -> Result<RecordingSid, NotACall> {
        self.sid.parse().map_err(|_| NotACall {
            sid: self.sid.clone(),
            kind: self.kind,
        })
    }

    /// Returns its id in a vault.
    pub fn recording_id(&self, vault: VaultId) -> RecordingId {
        RecordingId::of_source(vault, self.account.as_str(), &self.sid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account() -> AccountSid {
        format!("AC{}", "0".repeat(32)).parse().unwrap()
    }

    #[test]
    fn every_kind_comes_back_as_it_went_in_rows_and_in_json() {
        let words = "call message chat-message video-track video-composition";
        crate::samples::words_are::<MediaKind>(words);
        crate::samples::json_has_the_words::<MediaKind>();
    }

    #[test]
    fn a_sid_says_product_and_kind() {
        for (letters, product, kind) in SIDS {
            let source =
                SourceRef::parse(account(), &format!("{letters}{}", "a".repeat(32))).unwrap();
            assert_eq!(
                (source.product(), source.kind()),
                (product, kind),
                "{letters}"
            );
            assert!(UnknownSource.to_string().contains(&format!("`{letters}`")));
        }
        for other in ["CA", "CF", "CH", "KC", "RM", "MT", "ME", "GT", "re"] {
            let sid = format!("{other}{}", "a".repeat(32));
            assert_eq!(
                SourceRef::parse(account(), &sid),
                Err(UnknownSource),
                "{other}"
            );
        }
    }

    #[test]
    fn a_recording_of_a_call_has_the_id_that_it_always_had() {
        let vault = "vlt_000102030405060708090a0b0c0d0e0f".parse().unwrap();
        let sid = format!("RE{}", "1".repeat(32));
        let source = SourceRef::of_call(&account(), &sid.parse().unwrap());
        assert_eq!(SourceRef::parse(account(), &sid), Ok(source.clone()));
        assert_eq!(
            source.recording_id(vault).to_string(),
            "rec_f8c17cc8ac33c6546ab2136cd7265ea7"
        );
    }

    #[test]
    fn only_a_recording_of_a_call_is_asked_for_as_one() {
        for (letters, _, kind) in SIDS {
            let sid = format!("{letters}{}", "a".repeat(32));
            let source = SourceRef::parse(account(), &sid).unwrap();
            let asked = source.recording_sid();
            assert_eq!(asked.is_ok(), kind == MediaKind::CallAudio, "{letters}");
            match asked {
                Ok(asked) => assert_eq!(asked.as_str(), sid),
                Err(error) => assert!(error.to_string().contains(&format!("`{kind}`"))),
            }
        }
    }

    proptest! {
        #[test]
        fn only_two_letters_and_32_hex_digits_are_a_sid(text in "(RE|SM|MM|IM|KI|RT|CJ|CA|..)?[0-9a-fA-F]{30,33}.{0,2}") {
            if let Ok(source) = SourceRef::parse(account(), &text) {
                prop_assert_eq!(source.sid(), &text);
                prop_assert_eq!(text.len(), 34);
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            }
        }
    }
}
