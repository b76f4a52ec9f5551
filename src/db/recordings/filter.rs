//! Which recordings a list holds, and in which order.
//!
//! Owns the filters and their conditions. Refuses to know who may ask: the permit says of which
//! accounts. INVARIANT: a filter by a person is made only with the leave to read what people said.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::stored::{COLUMNS, recording};
use crate::{
    db::{
        error::Error,
        parties::{counts_for, is_of_party},
        query::{ListOrder, ListQuery, members, text, time},
        table::Value,
        tx::{Tx, set},
    },
    model::{
        id::{RecordingId, SubjectId},
        media::MediaKind,
        name::{Label, Tier},
        recording::{Recording, RecordingState},
        sid::{AccountSid, CallSid, ConferenceSid, RoomSid, SourceSid},
        subject::{Conversation, ConversationKind, ThreadId},
        text::LabelValue,
        time::Timestamp,
        word::{UnknownWord, unknown},
    },
    policy::{Permit, action},
};

/// The order of a list of recordings: the word names the time, with `-` before it the latest come
/// first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    serde_with::SerializeDisplay,
    serde_with::DeserializeFromStr,
    utoipa::ToSchema,
)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
pub enum RecordingSort {
    /// The latest announced first.
    #[default]
    #[strum(to_string = "-announced_at")]
    #[schema(rename = "-announced_at")]
    NewestAnnounced,
    /// The earliest announced first.
    #[strum(to_string = "announced_at")]
    #[schema(rename = "announced_at")]
    OldestAnnounced,
    /// The latest recorded first.
    #[strum(to_string = "-recorded_at")]
    #[schema(rename = "-recorded_at")]
    NewestRecorded,
    /// The earliest recorded first.
    #[strum(to_string = "recorded_at")]
    #[schema(rename = "recorded_at")]
    OldestRecorded,
    /// The latest sealed first; only recordings that were sealed.
    #[strum(to_string = "-sealed_at")]
    #[schema(rename = "-sealed_at")]
    NewestSealed,
    /// The earliest sealed first; only recordings that were sealed.
    #[strum(to_string = "sealed_at")]
    #[schema(rename = "sealed_at")]
    OldestSealed,
}

recvault_core::word_set!(RecordingSort);

/// What the database must know of an order.
struct SortColumn {
    order: ListOrder,
    since: &'static str,
    until: &'static str,
    at: fn(&Recording) -> Option<Timestamp>,
}

impl RecordingSort {
    fn column(self) -> SortColumn {
        let order = |column, is_descending| ListOrder {
            column,
            id: "id",
            is_descending,
        };
        match self {
            Self::NewestAnnounced | Self::OldestAnnounced => SortColumn {
                order: order("announced_at", self == Self::NewestAnnounced),
                since: "announced_at >= ?",
                until: "announced_at < ?",
                at: |recording| Some(recording.announced_at),
            },
            Self::NewestRecorded | Self::OldestRecorded => SortColumn {
                order: order("collected_at", self == Self::NewestRecorded),
                since: "collected_at >= ?",
                until: "collected_at < ?",
                at: |recording| Some(recording.collected_at),
            },
            Self::NewestSealed | Self::OldestSealed => SortColumn {
                order: order("sealed_at", self == Self::NewestSealed),
                since: "sealed_at >= ?",
                until: "sealed_at < ?",
                at: |recording| recording.sealed_at,
            },
        }
    }

    /// The place of a recording in a list of this order.
    pub fn place(self, recording: &Recording) -> (Timestamp, RecordingId) {
        let at = (self.column().at)(recording);
        (at.unwrap_or(recording.announced_at), recording.id)
    }
}

/// A person by whom recordings are found: they have a place in the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct SubjectFilter(SubjectId);

impl SubjectFilter {
    /// For who may read what people said.
    pub fn by(_: &Permit<action::Consent>, subject: SubjectId) -> Self {
        Self(subject)
    }

    /// Adds the condition that a recording is of a conversation in which this person has a place,
    /// and of one of these accounts; empty means all.
    pub(in crate::db) fn add_to(self, query: &mut ListQuery, accounts: &BTreeSet<AccountSid>) {
        // Three parts, each by its own index.
        const OF_SUBJECT: &str = concat!(
            "recordings.id IN (
          SELECT recordings.id FROM parties JOIN recordings ON recordings.call_sid = parties.conversation WHERE parties.subject = ? AND ",
            counts_for!(),
            "
          UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.conference_sid = parties.conversation WHERE parties.subject = ? AND ",
            counts_for!(),
            "
          UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.thread = parties.conversation WHERE parties.subject = ? AND ",
            is_of_party!(),
            ")"
        );
        // The accounts inside of each, so that the time does not depend on recordings of others.
        const OF_SUBJECT_IN: &str = concat!(
            "recordings.id IN (
          SELECT recordings.id FROM parties JOIN recordings ON recordings.call_sid = parties.conversation
          WHERE parties.subject = ? AND recordings.account IN (SELECT key FROM json_each(?)) AND ",
            counts_for!(),
            "
          UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.conference_sid = parties.conversation
          WHERE parties.subject = ? AND recordings.account IN (SELECT key FROM json_each(?)) AND ",
            counts_for!(),
            "
          UNION SELECT recordings.id FROM parties JOIN recordings ON recordings.thread = parties.conversation
          WHERE parties.subject = ? AND recordings.account IN (SELECT key FROM json_each(?)) AND ",
            is_of_party!(),
            ")"
        );
        let Self(subject) = self;
        if accounts.is_empty() {
            query.with(OF_SUBJECT, [text(subject), text(subject), text(subject)]);
        } else {
            let part = || [text(subject), text(set(accounts))];
            query.with(OF_SUBJECT_IN, [part(), part(), part()].concat());
        }
    }
}

/// Returns the condition that a recording is of a conversation of this kind.
const fn belongs_to(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Call => "call_sid = ?",
        ConversationKind::Conference => "conference_sid = ?",
        ConversationKind::Chat
        | ConversationKind::Thread
        | ConversationKind::Room
        | ConversationKind::Session => "thread = ?",
    }
}

/// Which recordings to list, and in which order. As JSON: what a place in the list depends on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct RecordingFilter {
    /// Only in this state.
    pub state: Option<RecordingState>,
    /// Only of this tier.
    pub tier: Option<Tier>,
    /// Only of this account.
    pub account: Option<AccountSid>,
    /// Only of this call.
    pub call: Option<CallSid>,
    /// Only of this conference.
    pub conference: Option<ConferenceSid>,
    /// Only of this thread.
    pub thread: Option<ThreadId>,
    /// Only of this video room.
    pub room: Option<RoomSid>,
    /// Only of this conversation, whatever its kind.
    pub conversation: Option<Conversation>,
    /// Only of this kind.
    pub kind: Option<MediaKind>,
    /// Only what the source calls so.
    pub recording_sid: Option<SourceSid>,
    /// Only with all of these labels.
    pub labels: BTreeMap<Label, LabelValue>,
    /// Only of conversations in which this person has a place.
    pub subject: Option<SubjectFilter>,
    /// Only at or after, by the time that the list is sorted by.
    pub since: Option<Timestamp>,
    /// Only before, by the time that the list is sorted by.
    pub until: Option<Timestamp>,
    /// The order.
    pub sort: RecordingSort,
    /// Only of these accounts; empty means all. What the permit covers.
    #[serde(skip)]
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that come after this one in the list.
    #[serde(skip)]
    pub after: Option<(Timestamp, RecordingId)>,
}

impl RecordingFilter {
    fn query(&self, limit: i64) -> ListQuery {
        const HEAD: &str =
            formatcp!("/* recordings.list */ SELECT {COLUMNS} FROM recordings WHERE true");
        // Labels are one compact JSON object of texts. A quotation mark inside a text has a backslash
        // before it, so a name, its colon and its value stand there only as a member. `LIKE` would
        // not tell upper case from lower.
        const LABELLED: &str = "REPLACE(labels, ?, '') <> labels";
        let column = self.sort.column();
        let mut query = ListQuery::of(HEAD);
        query.when("state = ?", self.state.map(text));
        query.when("tier = ?", self.tier.as_ref().map(text));
        query.when("account = ?", self.account.as_ref().map(text));
        query.when("call_sid = ?", self.call.as_ref().map(text));
        query.when("conference_sid = ?", self.conference.as_ref().map(text));
        query.when("thread = ?", self.thread.as_ref().map(text));
        query.when("thread = ?", self.room.as_ref().map(text));
        if let Some(conversation) = &self.conversation {
            query.with(belongs_to(conversation.kind()), [text(conversation)]);
        }
        query.when("kind = ?", self.kind.map(text));
        query.when("source_sid = ?", self.recording_sid.as_ref().map(text));
        if let Some(subject) = self.subject {
            subject.add_to(&mut query, &self.accounts);
        }
        for (label, value) in &self.labels {
            query.with(LABELLED, [member(label, value)]);
        }
        query.when(column.since, self.since.map(time));
        query.when(column.until, self.until.map(time));
        if column.order.column == "sealed_at" {
            query.with("sealed_at IS NOT NULL", []);
        }
        query.when(
            "account IN (SELECT key FROM json_each(?))",
            members(&self.accounts),
        );
        let after = self.after.map(|(at, id)| (at, id.to_string()));
        query.page(column.order, after, limit);
        query
    }
}

/// A label as it stands among others in a row.
fn member(label: &Label, value: &LabelValue) -> Value<'static> {
    let value = serde_json::Value::from(value.as_str());
    text(format_args!("\"{label}\":{value}"))
}

/// A page of recordings.
pub async fn list(
    tx: &mut Tx,
    filter: &RecordingFilter,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let rows = filter.query(limit).rows(tx).await?;
    rows.iter().map(recording).collect()
}
