//! A recording and its life.
//!
//! ```text
//! announced ──▶ sealed ──▶ shredded
//!     ├──▶ absent   (the source says there is no file)
//!     └──▶ failed   (the source could not make one)
//! ```
//! A recording that is `announced`, `absent` or `failed` may be shredded too: then nothing of it is
//! ever fetched.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    encryption::Encryption,
    id::RecordingId,
    media::{MediaKind, SourceRef},
    name::{Label, LegName, Tier},
    sid::{AccountSid, CallSid, ConferenceSid},
    subject::{Conversation, Party},
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// Where a recording stands in its life.
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
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum RecordingState {
    /// The source announced it; nothing is stored yet.
    Announced,
    /// The source has no file: too short, or silent.
    Absent,
    /// The source could not make a file.
    Failed,
    /// Ciphertext is in the store and its key in the tree.
    Sealed,
    /// Tombstoned: the key is destroyed and never accepted again.
    Shredded,
}

crate::word_set!(RecordingState);

/// A recording as the catalogue stores it. It contains no personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// The vault's id, derived from the vault and from the source's reference.
    pub id: RecordingId,
    /// Its state.
    pub state: RecordingState,
    /// The source's reference, which implies the kind of communication. It never changes.
    pub source_ref: SourceRef,
    /// The call, if the source named one.
    pub call: Option<CallSid>,
    /// The conference, if the source named one.
    pub conference: Option<ConferenceSid>,
    /// The thread or chat of a message, or the room of a track or composition; `None` for calls and
    /// conferences.
    pub thread: Option<Conversation>,
    /// Who wrote a message or published a track, by their leg of its thread or room; `None` for
    /// what everybody in it made together, such as a call or a composition.
    pub author: Option<LegName>,
    /// How many files belong to a message, as the source reports.
    pub files: u8,
    /// How it was made, as the source reports (`DialVerb`, …). An open set.
    pub source: Option<String>,
    /// The source's last status (`completed`, …). An open set.
    pub source_status: String,
    /// The source's error code; 16101 too short, 16102 silent.
    pub error_code: Option<i64>,
    /// Length in whole seconds, as reported by the source.
    pub duration_s: Option<i64>,
    /// 1 or 2, as reported by the source.
    pub channels: Option<i64>,
    /// The tier that classification chose.
    pub tier: Tier,
    /// Version of the policy in force when it was collected.
    pub policy_version: String,
    /// SHA-256 of that policy file, lower-case hex.
    pub policy_digest: String,
    /// When the recording began, as reported by the source.
    pub started_at: Option<Timestamp>,
    /// When the vault discovered it.
    pub announced_at: Timestamp,
    /// When it was sealed.
    pub sealed_at: Option<Timestamp>,
    /// When it was tombstoned.
    pub shredded_at: Option<Timestamp>,
    /// When it was collected: when it began, if the source reports that, and never later than its
    /// discovery. Time limits count from here.
    pub collected_at: Timestamp,
    /// Values for conditions, by the labels that the policy declares. Never personal data.
    pub labels: BTreeMap<Label, String>,
    /// The number of holds that prevent its shredding.
    pub holds: i64,
    /// Set when a hold prevented its shredding: since then it is closed to everything but the
    /// hold's own purposes.
    pub revoked_at: Option<Timestamp>,
    /// When it is shredded unless evidence of consent arrives; `None` if it is not in quarantine.
    pub quarantine_ends: Option<Timestamp>,
    /// How the vault discovered it.
    pub heard_by: DiscoveredBy,
    /// How the source encrypted it with the customer's key, if reported; `None` once it is sealed
    /// or shredded.
    pub encryption: Option<Encryption>,
    /// When it was removed at the source by somebody else, as far as the source told.
    pub removed_at: Option<Timestamp>,
    /// Whom a composition shows or lets hear, by their legs of the room; `None` for everybody who was
    /// there.
    pub shows: Option<BTreeSet<LegName>>,
}

/// How the vault discovered a recording.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum DiscoveredBy {
    /// By the source's callback.
    Callback,
    /// In the source's list, before any callback.
    Reconcile,
    /// By a transcript that arrived before it.
    Transcript,
}

crate::word_set!(DiscoveredBy);

impl Recording {
    /// Returns its kind.
    pub fn kind(&self) -> MediaKind {
        self.source_ref.kind()
    }

    /// Returns whether the source said that it has its content.
    pub fn is_complete_at_source(&self) -> bool {
        self.kind().is_complete(&self.source_status)
    }

    /// Returns the account or subaccount under which it was made.
    pub fn account(&self) -> &AccountSid {
        self.source_ref.account()
    }

    /// Returns whether a party of its conversation has a part in it: they wrote it, or were there
    /// when it was made.
    pub fn is_of(&self, party: &Party) -> bool {
        // By the source's clock, as the times of the participants.
        let at = self.started_at.unwrap_or(self.collected_at);
        self.author.as_ref() == Some(&party.leg)
            || (self.concerns(&party.leg) && party.presence.includes(at))
    }

    /// Returns every conversation that it belongs to, as far as the source reported them: the
    /// conference before the call, which is only one leg of it. If parties are named in several,
    /// those of the first count.
    pub fn conversations(&self) -> impl Iterator<Item = Conversation> + use<> {
        let conference = self.conference.clone().map(Conversation::Conference);
        let call = self.call.clone().map(Conversation::Call);
        let thread = self.thread.clone();
        conference.into_iter().chain(call).chain(thread)
    }

    /// Returns the legs whose parties alone it belongs to: of a track its publisher's, of a composition
    /// those whom it shows, as far as the source told. `None`: everybody in its conversation.
    pub fn only_of(&self) -> Option<BTreeSet<LegName>> {
        match self.kind() {
            MediaKind::VideoTrack => Some(self.author.iter().cloned().collect()),
            MediaKind::VideoComposition => self.shows.clone(),
            MediaKind::CallAudio | MediaKind::Message | MediaKind::ChatMessage => None,
        }
    }

    /// Returns whether the party at this leg of its conversation is a party of the recording, too.
    pub fn concerns(&self, leg: &LegName) -> bool {
        self.only_of().is_none_or(|legs| legs.contains(leg))
    }

    /// Returns the conversation of its parties, if the source reported it.
    pub fn conversation(&self) -> Option<Conversation> {
        self.conversations().next()
    }
}
