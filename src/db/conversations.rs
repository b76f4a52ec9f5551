//! Conversations: recordings that belong together, as a list.
//!
//! Owns which conversation a recording is listed under. A conversation has no row of its own, so
//! each is found by its first or its latest recording. Refuses to know who may ask: the permit says
//! of which accounts. INVARIANT: a conversation is listed only by recordings of these accounts.

use std::collections::BTreeSet;

use const_format::concatcp;

use super::{
    error::Error,
    query::{ListOrder, ListQuery, members, text, time},
    recordings::{COLUMNS, SubjectFilter, recording},
    row::Row,
    tx::Tx,
};
use crate::model::{
    id::RecordingId,
    sid::AccountSid,
    subject::{Conversation, ConversationKind},
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The order of a list of conversations: the word names the time, with `-` before it the latest come
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
pub enum ConversationSort {
    /// By the latest recording, the latest first.
    #[default]
    #[strum(to_string = "-latest_at")]
    #[schema(rename = "-latest_at")]
    NewestLatest,
    /// By the latest recording, the earliest first.
    #[strum(to_string = "latest_at")]
    #[schema(rename = "latest_at")]
    OldestLatest,
    /// By the first recording, the latest first.
    #[strum(to_string = "-began_at")]
    #[schema(rename = "-began_at")]
    NewestBegun,
    /// By the first recording, the earliest first.
    #[strum(to_string = "began_at")]
    #[schema(rename = "began_at")]
    OldestBegun,
}

recvault_core::word_set!(ConversationSort);

impl ConversationSort {
    const fn is_descending(self) -> bool {
        matches!(self, Self::NewestLatest | Self::NewestBegun)
    }

    const fn is_by_latest(self) -> bool {
        matches!(self, Self::NewestLatest | Self::OldestLatest)
    }
}

/// Which conversations to list, and in which order. As JSON: what a place in the list depends on.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ConversationFilter {
    /// Only of this account.
    pub account: Option<AccountSid>,
    /// Only of this kind.
    pub kind: Option<ConversationKind>,
    /// Only those in which this person has a place.
    pub subject: Option<SubjectFilter>,
    /// Only at or after, by the time that the list is sorted by.
    pub since: Option<Timestamp>,
    /// Only before, by the time that the list is sorted by.
    pub until: Option<Timestamp>,
    /// The order.
    pub sort: ConversationSort,
    /// Only of these accounts; empty means all. What the permit covers.
    #[serde(skip)]
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that come after this one in the list.
    #[serde(skip)]
    pub after: Option<(Timestamp, RecordingId)>,
}

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedConversation {
    /// Which.
    pub id: Conversation,
    /// Its account.
    pub account: AccountSid,
    /// When its first recording was recorded.
    pub began_at: Timestamp,
    /// When its latest recording was recorded.
    pub latest_at: Timestamp,
    /// Its place in the list.
    pub place: (Timestamp, RecordingId),
}

/// The conversation that a recording is listed under: the widest that it belongs to.
const WIDEST: &str = "COALESCE(recordings.thread, recordings.conference_sid, recordings.call_sid)";

/// The conditions that another recording, `other`, is of the same conversation; each walks an index.
const OF_THREAD: &str =
    "other.thread = recordings.thread AND COALESCE(other.account, '') = recordings.account";
const OF_CONFERENCE: &str = "recordings.thread IS NULL AND other.thread IS NULL
  AND other.conference_sid = recordings.conference_sid AND COALESCE(other.account, '') = recordings.account";
const OF_CALL: &str = "recordings.thread IS NULL AND recordings.conference_sid IS NULL AND other.thread IS NULL
  AND other.conference_sid IS NULL AND other.call_sid = recordings.call_sid AND COALESCE(other.account, '') = recordings.account";

const LATER: &str = "other.collected_at >= recordings.collected_at
  AND (other.collected_at, other.id) > (recordings.collected_at, recordings.id)";
const EARLIER: &str = "other.collected_at <= recordings.collected_at
  AND (other.collected_at, other.id) < (recordings.collected_at, recordings.id)";

const NO_OTHER: &str = "NOT EXISTS (SELECT 1 FROM recordings other WHERE ";
const IS_LATEST: &str = concatcp!(
    NO_OTHER,
    OF_THREAD,
    " AND ",
    LATER,
    ") AND ",
    NO_OTHER,
    OF_CONFERENCE,
    " AND ",
    LATER,
    ") AND ",
    NO_OTHER,
    OF_CALL,
    " AND ",
    LATER,
    ")"
);
const IS_FIRST: &str = concatcp!(
    NO_OTHER,
    OF_THREAD,
    " AND ",
    EARLIER,
    ") AND ",
    NO_OTHER,
    OF_CONFERENCE,
    " AND ",
    EARLIER,
    ") AND ",
    NO_OTHER,
    OF_CALL,
    " AND ",
    EARLIER,
    ")"
);

const TIME_OF: &str = "(SELECT other.collected_at FROM recordings other WHERE ";
const FIRST: &str = " ORDER BY other.collected_at, other.id LIMIT 1)";
const LAST: &str = " ORDER BY other.collected_at DESC, other.id DESC LIMIT 1)";
/// The time of the first recording of the same conversation.
const BEGAN_AT: &str = concatcp!(
    "CASE WHEN recordings.thread IS NOT NULL THEN ",
    TIME_OF,
    OF_THREAD,
    FIRST,
    " WHEN recordings.conference_sid IS NOT NULL THEN ",
    TIME_OF,
    OF_CONFERENCE,
    FIRST,
    " ELSE ",
    TIME_OF,
    OF_CALL,
    FIRST,
    " END"
);
/// The time of the latest.
const LATEST_AT: &str = concatcp!(
    "CASE WHEN recordings.thread IS NOT NULL THEN ",
    TIME_OF,
    OF_THREAD,
    LAST,
    " WHEN recordings.conference_sid IS NOT NULL THEN ",
    TIME_OF,
    OF_CONFERENCE,
    LAST,
    " ELSE ",
    TIME_OF,
    OF_CALL,
    LAST,
    " END"
);

impl ConversationFilter {
    fn query(&self, limit: i64) -> ListQuery {
        const HEAD: &str = concatcp!("/* conversations.list */ SELECT ", COLUMNS, ", ");
        const TAIL: &str = concatcp!(" FROM recordings WHERE ", WIDEST, " IS NOT NULL AND ");
        const BY_LATEST: &str = concatcp!(HEAD, BEGAN_AT, " AS other_end", TAIL, IS_LATEST);
        const BY_FIRST: &str = concatcp!(HEAD, LATEST_AT, " AS other_end", TAIL, IS_FIRST);
        const OF_KIND: &str = concatcp!(WIDEST, " LIKE ?");
        let mut query = ListQuery::of(if self.sort.is_by_latest() {
            BY_LATEST
        } else {
            BY_FIRST
        });
        query.when("recordings.account = ?", self.account.as_ref().map(text));
        if let Some(kind) = self.kind {
            query.with(OF_KIND, [text(format_args!("{}%", kind.prefix()))]);
        }
        if let Some(subject) = self.subject {
            subject.add_to(&mut query, &self.accounts);
        }
        query.when("recordings.collected_at >= ?", self.since.map(time));
        query.when("recordings.collected_at < ?", self.until.map(time));
        query.when(
            "recordings.account IN (SELECT key FROM json_each(?))",
            members(&self.accounts),
        );
        let order = ListOrder {
            column: "recordings.collected_at",
            id: "recordings.id",
            is_descending: self.sort.is_descending(),
        };
        let after = self.after.map(|(at, id)| (at, id.to_string()));
        query.page(order, after, limit);
        query
    }
}

/// A page of conversations.
///
/// # Errors
/// Any database error.
pub async fn list(
    tx: &mut Tx,
    filter: &ConversationFilter,
    limit: i64,
) -> Result<Vec<ListedConversation>, Error> {
    let rows = filter.query(limit).rows(tx).await?;
    rows.iter().map(|row| listed(row, filter.sort)).collect()
}

fn listed(row: &Row, sort: ConversationSort) -> Result<ListedConversation, Error> {
    let found = recording(row)?;
    let at = found.collected_at;
    let other_end = row.time("other_end")?;
    let (began_at, latest_at) = if sort.is_by_latest() {
        (other_end, at)
    } else {
        (at, other_end)
    };
    let account = found.account().clone();
    let place = (at, found.id);
    let conference = found.conference.map(Conversation::Conference);
    let call = found.call.map(Conversation::Call);
    let widest = found.thread.or(conference).or(call);
    Ok(ListedConversation {
        id: widest.ok_or_else(|| row.inconsistent("recordings", "thread", "id"))?,
        account,
        began_at,
        latest_at,
        place,
    })
}
