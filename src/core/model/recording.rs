//! A recording and its life.
//!
//! ```text
//! announced ──▶ sealed ──▶ shredded
//!     ├──▶ absent   (the source says there is no file)
//!     └──▶ failed   (the source could not make one)
//! ```
//! A recording that is `announced`, `absent` or `failed` may be shredded too: then nothing of it
//! will ever be fetched.

use std::collections::BTreeMap;

use super::{
    encryption::Encryption,
    id::RecordingId,
    media::{MediaKind, SourceRef},
    name::{Label, Tier},
    sid::{AccountSid, CallSid, ConferenceSid},
    subject::Conversation,
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

/// A recording as the catalogue knows it. Nothing in it is personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Our id, derived from the vault and from what the source calls it.
    pub id: RecordingId,
    /// Where it stands.
    pub state: RecordingState,
    /// What the source calls it, and so what it is of. It never changes.
    pub source_ref: SourceRef,
    /// The call, where the source named one.
    pub call: Option<CallSid>,
    /// The conference, where the source named one.
    pub conference: Option<ConferenceSid>,
    /// How it came about, as the source says it (`DialVerb`, …). An open set.
    pub source: Option<String>,
    /// What the source last said of it (`completed`, …). An open set.
    pub source_status: String,
    /// The source's error code; 16101 too short, 16102 silent.
    pub error_code: Option<i64>,
    /// Length in whole seconds, as the source says.
    pub duration_s: Option<i64>,
    /// 1 or 2, as the source says.
    pub channels: Option<i64>,
    /// The tier that classification chose.
    pub tier: Tier,
    /// Version of the policy in force when it was collected.
    pub policy_version: String,
    /// SHA-256 of that policy file, lower-case hex.
    pub policy_digest: String,
    /// When the recording began, as the source says.
    pub started_at: Option<Timestamp>,
    /// When the vault first heard of it.
    pub announced_at: Timestamp,
    /// When it was sealed.
    pub sealed_at: Option<Timestamp>,
    /// When it was tombstoned.
    pub shredded_at: Option<Timestamp>,
    /// When it was collected: when it began, as far as the source says so, and never later than the
    /// vault heard of it. Time-limits count from here.
    pub collected_at: Timestamp,
    /// What conditions may look at, by the labels that the policy declares. Never personal data.
    pub labels: BTreeMap<Label, String>,
    /// Holds that stop its shredding now.
    pub holds: i64,
    /// Set when it would have been shredded, were there no hold: it is closed to everybody but the
    /// hold's own purposes since then.
    pub revoked_at: Option<Timestamp>,
    /// When it is shredded unless evidence of consent arrives; `None` if it is in no quarantine.
    pub quarantine_ends: Option<Timestamp>,
    /// How the vault heard of it first.
    pub heard_by: DiscoveredBy,
    /// How the source encrypted it with the customer's key, as far as it said so; `None` once it is
    /// sealed or shredded.
    pub encryption: Option<Encryption>,
}

/// How the vault heard of a recording first.
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
    /// The source called.
    Callback,
    /// It was in the source's list, and no call had come.
    Reconcile,
    /// A transcript of it came before it.
    Transcript,
}

crate::word_set!(DiscoveredBy);

impl Recording {
    /// What it is of.
    pub fn kind(&self) -> MediaKind {
        self.source_ref.kind()
    }

    /// The account or subaccount that it was made under.
    pub fn account(&self) -> &AccountSid {
        self.source_ref.account()
    }

    /// Everything that it belongs to, as far as the source told it: the conference before the call,
    /// which is only one leg of it. Of several in which parties are named, those of the first count.
    pub fn conversations(&self) -> impl Iterator<Item = Conversation> + use<> {
        let conference = self.conference.clone().map(Conversation::Conference);
        let call = self.call.clone().map(Conversation::Call);
        conference.into_iter().chain(call)
    }

    /// What its parties took part in, where the source told it.
    pub fn conversation(&self) -> Option<Conversation> {
        self.conversations().next()
    }
}
