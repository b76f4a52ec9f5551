//! Announcements: durable storage of callbacks, many in one transaction.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use const_format::formatcp;

use super::{
    error::Error,
    group_commit::{self, CommitFailure, GroupCommit, GroupReceiver, GroupSender},
    open::Db,
    parties, recordings, revocations,
    table::TableRow as _,
    tx::Arg,
    unit::Unit,
    work::{self, StoredWork, WorkKind},
};
use crate::{
    evidence::NewEntry,
    model::{
        crash,
        encryption::Encryption,
        id::RecordingId,
        media::{MediaKind, SourceRef},
        name::{Label, LegName, Tier},
        recording::DiscoveredBy,
        sid::{AccountSid, CallSid, ConferenceSid},
        subject::Conversation,
        text::LabelValue,
        time::Timestamp,
    },
};

/// What a source reported about a recording. No personal data.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Announcement {
    /// The vault's id of the recording.
    pub id: RecordingId,
    /// The source's identifier of the recording, which implies the kind of media.
    #[serde(flatten)]
    pub source_ref: SourceRef,
    /// The call, where reported.
    #[serde(rename = "call_sid")]
    pub call: Option<CallSid>,
    /// The conference, where reported.
    #[serde(rename = "conference_sid")]
    pub conference: Option<ConferenceSid>,
    /// The thread of a message.
    pub thread: Option<Conversation>,
    /// Who wrote a message, by their leg of the thread.
    pub author: Option<LegName>,
    /// How many files belong to a message.
    pub files: u8,
    /// How the recording was made, where reported.
    pub source: Option<String>,
    /// The status that the source reported.
    pub source_status: String,
    /// The source's error code, where reported.
    pub error_code: Option<i64>,
    /// The duration in whole seconds, where reported.
    pub duration_s: Option<i64>,
    /// The number of channels, 1 or 2, where reported.
    pub channels: Option<i64>,
    /// The tier that classification chose.
    pub tier: Tier,
    /// The version of the policy in force.
    pub policy_version: String,
    /// The digest of that policy.
    pub policy_digest: String,
    /// When the recording began, in milliseconds, where reported.
    pub started_at: Option<i64>,
    /// Values of the policy's labels.
    pub labels: BTreeMap<Label, LabelValue>,
    /// How the vault discovered the recording.
    pub heard_by: DiscoveredBy,
    /// How the source encrypted the recording with the customer's key, where reported.
    pub encryption: Option<Encryption>,
}

/// Returns the rank of a status, which grows with what the status tells of the recording, and the
/// state that it leads to.
fn rank(kind: MediaKind, status: &str) -> (i64, &'static str) {
    match status {
        // Delivery follows sending, and reading follows delivery.
        "read" if kind == MediaKind::Message => (4, "announced"),
        "delivered" | "partially_delivered" | "undelivered" | "failed"
            if kind == MediaKind::Message =>
        {
            (3, "announced")
        }
        complete if kind.is_complete(complete) => (2, "announced"),
        // A message that was never sent.
        "absent" | "canceled" => (1, "absent"),
        "failed" => (1, "failed"),
        // `in-progress`, `queued`, and unknown statuses.
        _ => (0, "announced"),
    }
}

impl Announcement {
    fn rank(&self) -> (i64, &'static str) {
        rank(self.source_ref.kind(), &self.source_status)
    }
}

const ANNOUNCE: &str = "/* accept.announce */
INSERT INTO recordings (id, kind, state, account, source_sid, call_sid, conference_sid, thread, author, files, source, source_status, source_rank, error_code,
  duration_s, channels, tier, policy_version, policy_digest, started_at, announced_at, collected_at, labels, heard_by, encryption)
SELECT value->>'id', value->>'kind', value->>'state', value->>'account', value->>'source_sid', value->>'call_sid', value->>'conference_sid', value->>'thread', value->>'author',
  CAST(value->>'files' AS BIGINT),
  value->>'source', value->>'source_status', CAST(value->>'rank' AS BIGINT), CAST(value->>'error_code' AS BIGINT),
  CAST(value->>'duration_s' AS BIGINT), CAST(value->>'channels' AS BIGINT), value->>'tier', value->>'policy_version',
  value->>'policy_digest', CAST(value->>'started_at' AS BIGINT), $2,
  CASE WHEN CAST(value->>'started_at' AS BIGINT) < $2 THEN CAST(value->>'started_at' AS BIGINT) ELSE $2 END, value->>'labels',
  value->>'heard_by', value->>'encryption'
FROM json_each($1) AS announced WHERE true
ON CONFLICT (id) DO UPDATE SET
  state = CASE WHEN recordings.state = 'sealed' OR excluded.source_rank <= recordings.source_rank
    THEN recordings.state ELSE excluded.state END,
  source_status = CASE WHEN excluded.source_rank > recordings.source_rank THEN excluded.source_status ELSE recordings.source_status END,
  error_code = CASE WHEN excluded.source_rank > recordings.source_rank THEN excluded.error_code ELSE recordings.error_code END,
  source_rank = CASE WHEN excluded.source_rank > recordings.source_rank THEN excluded.source_rank ELSE recordings.source_rank END,
  call_sid = COALESCE(recordings.call_sid, excluded.call_sid),
  conference_sid = COALESCE(recordings.conference_sid, excluded.conference_sid),
  thread = COALESCE(recordings.thread, excluded.thread),
  author = COALESCE(recordings.author, excluded.author),
  files = CASE WHEN excluded.files > recordings.files THEN excluded.files ELSE recordings.files END,
  source = COALESCE(recordings.source, excluded.source),
  duration_s = COALESCE(recordings.duration_s, excluded.duration_s),
  channels = COALESCE(recordings.channels, excluded.channels),
  started_at = CASE WHEN recordings.started_at IS NULL OR excluded.started_at < recordings.started_at
    THEN excluded.started_at ELSE recordings.started_at END,
  collected_at = CASE WHEN excluded.started_at < recordings.collected_at THEN excluded.started_at ELSE recordings.collected_at END,
  labels = CASE WHEN recordings.labels = '{}' THEN excluded.labels ELSE recordings.labels END,
  encryption = CASE WHEN recordings.state <> 'sealed' THEN COALESCE(recordings.encryption, excluded.encryption) END
WHERE recordings.state <> 'shredded'";

/// Sealed recordings that are dated as these announcements tell, perhaps only now. Runs after
/// [`ANNOUNCE`], which has locked the rows.
const DATED: &str = "/* accept.dated */
SELECT recordings.id FROM json_each($1) AS announced JOIN recordings ON recordings.id = announced.key
WHERE recordings.state = 'sealed' AND recordings.collected_at = CAST(value->>'started_at' AS BIGINT)";

/// Runs after [`ANNOUNCE`], which has locked the rows.
const REFUSED: &str = "/* accept.refused */
SELECT recordings.id FROM json_each($1) AS announced JOIN recordings ON recordings.id = announced.key WHERE recordings.state = 'shredded'";

const ENQUEUE: &str = formatcp!(
    "/* accept.enqueue */ {}
SELECT 'fetch', value->>'id', 'due', $2, NULL, 0, 0, NULL, $2 FROM json_each($1) AS announced
WHERE CAST(value->>'rank' AS BIGINT) >= 2 AND EXISTS (SELECT 1 FROM recordings WHERE id = value->>'id' AND state = 'announced')
ON CONFLICT (kind, subject) DO NOTHING",
    StoredWork::INSERT_INTO
);

/// The sending end of the queue of announcements. Clones share one queue.
#[derive(Clone)]
pub struct Acceptor(GroupSender<Announcement>);

/// The receiving end of the queue. The task [`Committer::run`] drains it.
pub struct Committer {
    db: Db,
    queue: GroupReceiver<Announcement>,
}

/// Creates both ends of the queue.
pub fn channel(db: Db) -> (Acceptor, Committer) {
    let (sender, queue) = group_commit::channel();
    (Acceptor(sender), Committer { db, queue })
}

impl Acceptor {
    /// Returns when the announcement is durable. Repeated announcements and announcements in any
    /// order are accepted: known facts are only added to.
    ///
    /// # Errors
    /// [`Error::Unstorable`] if the announcement contains U+0000. [`Error::Unavailable`] otherwise:
    /// the announcement is not durable, and the source should send it again.
    pub async fn accept(&self, announcement: Announcement) -> Result<(), Error> {
        self.0.send(announcement).await
    }
}

impl Committer {
    /// Commits batches until every [`Acceptor`] is dropped and the queue is empty.
    pub async fn run(&self, now: impl Fn() -> Timestamp + Send + Sync) {
        let announcing = Announcing { db: &self.db, now };
        self.queue.run(&announcing).await;
    }
}

struct Announcing<'a, N> {
    db: &'a Db,
    now: N,
}

impl<N: Fn() -> Timestamp + Send + Sync> GroupCommit<Announcement> for Announcing<'_, N> {
    async fn commit(&self, batch: &[&Announcement]) -> Result<(), CommitFailure> {
        let now = (self.now)();
        self.db
            .unit("accept.commit", async |mut unit| {
                unit.without_entry("what is announced is told when it is sealed");
                share_names(&mut unit, batch).await?;
                announce(&mut unit, batch, Then::Fetch, now).await?;
                crash::point("accept.before_commit");
                Ok::<_, Error>(())
            })
            .await?;
        crash::point("accept.after_commit");
        Ok(())
    }
}

/// What becomes of complete announcements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The source is asked for the content.
    Fetch,
    /// The same unit seals it.
    Seal,
}

/// Locks the accounts and conversations of announcements until the unit ends, before any row: a
/// revocation that is begun meanwhile sees what they date back, or is seen by it.
///
/// # Errors
/// Any database error.
pub async fn share_names(unit: &mut Unit, told: &[&Announcement]) -> Result<(), Error> {
    let accounts: BTreeSet<&AccountSid> =
        told.iter().map(|told| told.source_ref.account()).collect();
    let of = |told: &&Announcement| {
        let call = told.call.clone().map(Conversation::Call);
        let conference = told.conference.clone().map(Conversation::Conference);
        call.into_iter()
            .chain(conference)
            .chain(told.thread.clone())
            .collect::<Vec<_>>()
    };
    let conversations: BTreeSet<Conversation> = told.iter().flat_map(of).collect();
    let conversations: Vec<Conversation> = conversations.into_iter().collect();
    parties::share(unit, accounts, &conversations).await
}

/// Has revocations reach what later news dated to before them. What is not sealed yet is checked when
/// it is.
async fn reach_again(unit: &mut Unit, told: &[Arg<'_>], now: Timestamp) -> Result<(), Error> {
    let rows = unit.fetch_all(DATED, told).await?;
    let ids = rows.iter().map(|row| row.parse("recordings", "id", "id"));
    let ids: Vec<RecordingId> = ids.collect::<Result<_, Error>>()?;
    if ids.is_empty() {
        return Ok(());
    }
    let dated = recordings::find_all(unit, &ids).await?;
    let earliest = dated.iter().map(|recording| recording.collected_at).min();
    match earliest {
        Some(earliest) if revocations::is_any_since(unit, earliest).await? => {
            revocations::reach_again_dated(unit, &dated, now).await
        }
        _ => Ok(()),
    }
}

/// Adds announcements to the catalogue. The unit holds the names of their conversations
/// ([`share_names`]).
///
/// # Errors
/// [`Error::Unstorable`] if one of them contains U+0000; any database error.
pub async fn announce(
    unit: &mut Unit,
    announcements: &[&Announcement],
    then: Then,
    now: Timestamp,
) -> Result<(), Error> {
    let document = document(announcements.iter().copied());
    let args = [Arg::Text(&document), Arg::Int(now.as_millis())];
    unit.execute(ANNOUNCE, &args).await?;
    reach_again(unit, &args[..1], now).await?;
    if then == Then::Fetch {
        unit.execute(ENQUEUE, &args).await?;
    }
    let refused = unit.fetch_all(REFUSED, &args[..1]).await?;
    let refused = refused
        .iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect::<Result<Vec<RecordingId>, Error>>()?;
    if !refused.is_empty() {
        // A recording that the source still announces may still exist there, or can be deleted only
        // now that it is complete.
        work::begin_anew(unit, WorkKind::DeleteAtSource, &refused, now).await?;
        unit.audit_all(
            refused
                .iter()
                .map(|id| NewEntry::recording_refused(now, *id)),
        );
    }
    let told = announcements
        .iter()
        .filter(|announcement| announcement.heard_by == DiscoveredBy::Callback)
        .count();
    unit.count("recvault_callbacks_accepted_total", told as u64);
    Ok(())
}

/// Builds one JSON object with a member for each recording. Several announcements of one recording
/// are merged by the same rules by which `ANNOUNCE` merges an announcement into a row, so that the
/// result does not depend on which of them share a transaction.
fn document<'a>(announcements: impl Iterator<Item = &'a Announcement>) -> String {
    #[derive(serde::Serialize)]
    struct Ranked<'a> {
        #[serde(flatten)]
        announcement: Cow<'a, Announcement>,
        // Text, because `->>` gives an integer on one database and text on the other.
        rank: String,
        state: &'static str,
    }
    let mut told: BTreeMap<RecordingId, Cow<'_, Announcement>> = BTreeMap::new();
    for announcement in announcements {
        told.entry(announcement.id)
            .and_modify(|known| add(known.to_mut(), announcement))
            .or_insert(Cow::Borrowed(announcement));
    }
    let ranked = told.into_iter().map(|(id, announcement)| {
        let (rank, state) = announcement.rank();
        (
            id,
            Ranked {
                announcement,
                rank: rank.to_string(),
                state,
            },
        )
    });
    serde_json::to_string(&ranked.collect::<BTreeMap<_, _>>())
        .expect("ids and plain values always have a JSON form")
}

/// Merges a later announcement: a status of a higher rank, and facts that were not known. Tier and
/// policy stay those of the first announcement.
fn add(known: &mut Announcement, later: &Announcement) {
    if later.rank().0 > known.rank().0 {
        known.source_status.clone_from(&later.source_status);
        known.error_code = later.error_code;
    }
    known.call = known.call.take().or_else(|| later.call.clone());
    known.conference = known.conference.take().or_else(|| later.conference.clone());
    known.thread = known.thread.take().or_else(|| later.thread.clone());
    known.author = known.author.take().or_else(|| later.author.clone());
    known.files = known.files.max(later.files);
    known.source = known.source.take().or_else(|| later.source.clone());
    known.duration_s = known.duration_s.or(later.duration_s);
    known.channels = known.channels.or(later.channels);
    known.started_at = known.started_at.into_iter().chain(later.started_at).min();
    known.encryption = known.encryption.take().or_else(|| later.encryption.clone());
    if known.labels.is_empty() {
        known.labels.clone_from(&later.labels);
    }
}
