//! The catalogue: recordings and their artefacts.

mod beside;
mod filter;
mod stored;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use const_format::{concatcp, formatcp};

pub use self::beside::{Beside, written_by};
pub use self::filter::{RecordingFilter, RecordingSort, SubjectFilter, list};
pub(super) use self::stored::{COLUMNS, StoredRecording, recording};
use super::{
    error::Error,
    news::{self, ChangeNotice},
    table::{TableRow as _, table},
    tx::{Arg, Tx, set},
};
use crate::model::{
    artefact::{Artefact, Leg},
    id::{ObjectId, RecordingId, SubjectId},
    media::MediaKind,
    name::{Label, LegName, Tier},
    recording::{Recording, RecordingState},
    sid::AccountSid,
    subject::Conversation,
    text::LabelValue,
    time::Timestamp,
};

table! {
    "artefacts" {
        subject: Some("recording_id"),
        left_out: Some(("inline", "pack IS NOT NULL")),
    }

    /// A sealed artefact of a recording, as stored in the catalogue.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SealedArtefact {
        key {
            /// The recording.
            pub recording: RecordingId = "recording_id",
            /// The leg whose audio it contains and whose key seals it.
            pub leg: Leg = "leg",
            /// The kind of artefact.
            pub artefact: Artefact = "artefact",
        }
        /// Its name in the store; `None` for a small artefact, whose ciphertext is in the row.
        pub object: Option<ObjectId> = "object_id",
        /// The ciphertext of a small artefact; otherwise empty.
        pub inline: Bytes = "inline",
        /// Plaintext bytes.
        pub plain_len: u64 = "plain_len",
        /// Ciphertext bytes.
        pub sealed_len: u64 = "sealed_len",
        /// SHA-256 of the ciphertext, lower-case hex.
        pub sealed_sha256: String = "sealed_sha256",
        /// Sealed segment length in bytes.
        pub segment: u32 = "segment",
        /// The content type sent to players.
        pub content_type: String = "content_type",
        /// The pack that has the ciphertext of a small artefact, too.
        pub pack: Option<i64> = "pack",
        /// Where it begins in the pack.
        pub pack_at: Option<u64> = "pack_at",
    }
}

/// Returns one recording.
pub async fn find(tx: &mut Tx, id: RecordingId) -> Result<Option<Recording>, Error> {
    let sql = format!("/* recordings.find */ SELECT {COLUMNS} FROM recordings WHERE id = $1");
    tx.fetch_first(&sql, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| recording(&row))
        .transpose()
}

/// Returns the recordings with these ids that exist, in no order.
pub async fn find_all(tx: &mut Tx, ids: &[RecordingId]) -> Result<Vec<Recording>, Error> {
    let sql = format!(
        "/* recordings.find_all */ SELECT {COLUMNS} FROM recordings WHERE id IN (SELECT key FROM json_each($1))"
    );
    tx.fetch_all(&sql, &[Arg::Text(&set(ids))])
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// Returns the number of recordings in each state.
pub async fn count_by_state(tx: &mut Tx) -> Result<Vec<(RecordingState, i64)>, Error> {
    const SQL: &str = "/* recordings.count_by_state */ SELECT state, COUNT(*) AS n FROM recordings GROUP BY state ORDER BY state";
    tx.fetch_all(SQL, &[])
        .await?
        .iter()
        .map(|row| Ok((row.parse("recordings", "state", "state")?, row.int("n")?)))
        .collect()
}

/// Marks an announced recording as sealed and locks its row for the rest of the unit. Returns its
/// tier.
///
/// # Errors
/// [`Error::Stale`] if it is no longer announced: another worker sealed it, or it was tombstoned
/// meanwhile.
pub async fn mark_sealed(tx: &mut Tx, id: RecordingId, now: Timestamp) -> Result<Tier, Error> {
    const SQL: &str = "/* recordings.mark_sealed */
        UPDATE recordings SET state = 'sealed', sealed_at = $2, encryption = NULL WHERE id = $1 AND state = 'announced' RETURNING id, tier";
    let row = tx
        .fetch_first(
            SQL,
            &[Arg::Text(&id.to_string()), Arg::Int(now.as_millis())],
        )
        .await?;
    row.ok_or(Error::Stale(
        "the recording is not waiting to be sealed any more",
    ))?
    .parse("recordings", "tier", "id")
}

/// Marks those of these recordings as sealed that are announced, and locks their rows for the rest
/// of the unit. Returns them as they are now.
pub async fn mark_all_sealed(
    tx: &mut Tx,
    ids: &[RecordingId],
    now: Timestamp,
) -> Result<Vec<Recording>, Error> {
    const SQL: &str = formatcp!(
        "/* recordings.mark_all_sealed */
        UPDATE recordings SET state = 'sealed', sealed_at = $2
        WHERE id IN (SELECT key FROM json_each($1)) AND state = 'announced' RETURNING {COLUMNS}"
    );
    let rows = tx
        .fetch_all(SQL, &[Arg::Text(&set(ids)), Arg::Int(now.as_millis())])
        .await?;
    rows.iter().map(recording).collect()
}

/// Sets how many files belong to a message, if the source now names more.
pub async fn set_files(tx: &mut Tx, id: RecordingId, files: i64) -> Result<(), Error> {
    const SQL: &str =
        "/* recordings.set_files */ UPDATE recordings SET files = $2 WHERE id = $1 AND files < $2";
    let files = files.clamp(0, i64::from(u8::MAX));
    tx.execute(SQL, &[Arg::Text(&id.to_string()), Arg::Int(files)])
        .await
        .map(|_| ())
}

/// Sets the thread of a message whose announcement did not name one.
pub async fn set_thread(tx: &mut Tx, id: RecordingId, thread: &Conversation) -> Result<(), Error> {
    const SQL: &str = "/* recordings.set_thread */ UPDATE recordings SET thread = $2 WHERE id = $1 AND thread IS NULL";
    let args = [Arg::Text(&id.to_string()), Arg::Text(thread.as_str())];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Notes that a recording was removed at the source by somebody else. Returns false if that is known,
/// or it is shredded.
pub async fn set_removed(tx: &mut Tx, id: RecordingId, at: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* recordings.set_removed */
        UPDATE recordings SET removed_at = $2 WHERE id = $1 AND removed_at IS NULL AND state <> 'shredded'";
    let args = [Arg::Text(&id.to_string()), Arg::Int(at.as_millis())];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Dates an account's recordings of a conversation back to its beginning, so that whoever was in it
/// can revoke what was made of it later.
pub async fn begin_by(
    tx: &mut Tx,
    account: &AccountSid,
    conversation: &Conversation,
    kind: MediaKind,
    began: Option<Timestamp>,
) -> Result<(), Error> {
    const SQL: &str = "/* recordings.begin_by */
        UPDATE recordings SET started_at = began.began_at, collected_at = began.began_at
        FROM (SELECT MIN(collected_at) AS began_at FROM (SELECT collected_at FROM recordings WHERE thread = $1 AND account = $4
          UNION ALL SELECT CAST($3 AS BIGINT) AS collected_at) AS all_of_it) AS began
        WHERE thread = $1 AND account = $4 AND kind = $2 AND state = 'announced' AND collected_at > began.began_at";
    let args = [
        Arg::Text(conversation.as_str()),
        Arg::Text(kind.as_str()),
        Arg::MaybeInt(began.map(Timestamp::as_millis)),
        Arg::Text(account.as_str()),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Notes whom a composition shows or lets hear. Returns whether that is news.
pub async fn set_shown(
    tx: &mut Tx,
    id: RecordingId,
    legs: &BTreeSet<LegName>,
) -> Result<bool, Error> {
    const SQL: &str = "/* recordings.set_shown */
        UPDATE recordings SET shows = $2 WHERE id = $1 AND state = 'announced' AND (shows IS NULL OR shows <> $2)";
    let legs = serde_json::to_string(legs).expect("names have a JSON form");
    let args = [Arg::Text(&id.to_string()), Arg::Text(&legs)];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Moves a message to another thread, in which its author has another leg. Returns whether it was
/// elsewhere.
pub async fn move_to_thread(
    tx: &mut Tx,
    id: RecordingId,
    thread: &Conversation,
    author: &LegName,
) -> Result<bool, Error> {
    const SQL: &str = "/* recordings.move_to_thread */
        UPDATE recordings SET thread = $2, author = $3 WHERE id = $1 AND state <> 'shredded' AND (thread IS NULL OR thread <> $2)";
    let args = [
        Arg::Text(&id.to_string()),
        Arg::Text(thread.as_str()),
        Arg::Text(author.as_str()),
    ];
    Ok(tx.execute(SQL, &args).await? == 1)
}

/// Returns the newest message of a thread that is in quarantine.
pub async fn newest_waiting(
    tx: &mut Tx,
    thread: &Conversation,
) -> Result<Option<Recording>, Error> {
    const SQL: &str = concatcp!(
        "/* recordings.newest_waiting */ SELECT ",
        COLUMNS,
        " FROM recordings
        WHERE thread = $1 AND state = 'sealed' AND quarantine_ends IS NOT NULL
        ORDER BY collected_at DESC, id DESC LIMIT 1"
    );
    let rows = tx.fetch_all(SQL, &[Arg::Text(thread.as_str())]).await?;
    rows.first().map(recording).transpose()
}

/// Returns those of these recordings that are sealed and have fewer files than the source named.
pub async fn lacking_files(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeSet<RecordingId>, Error> {
    const SQL: &str = "/* recordings.lacking_files */
        SELECT id FROM recordings WHERE id IN (SELECT key FROM json_each($1)) AND state = 'sealed' AND files > 0
          AND files > (SELECT COUNT(*) FROM artefacts WHERE recording_id = recordings.id AND artefact LIKE 'media/%')";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Locks the row of a sealed recording for the rest of the unit, without a change. Returns its
/// tier.
///
/// # Errors
/// [`Error::Stale`] if it is not sealed, or no longer.
pub async fn lock_sealed(tx: &mut Tx, id: RecordingId) -> Result<Tier, Error> {
    const SQL: &str = "/* recordings.lock_sealed */ UPDATE recordings SET state = 'sealed' WHERE id = $1 AND state = 'sealed'";
    const TIER: &str = "/* recordings.tier */ SELECT id, tier FROM recordings WHERE id = $1";
    let args = [Arg::Text(&id.to_string())];
    tx.lock_one(SQL, &args, "the recording is not sealed, or not any more")
        .await?;
    let row = tx.fetch_first(TIER, &args).await?;
    row.ok_or(Error::Stale("the recording is not there"))?
        .parse("recordings", "tier", "id")
}

/// Returns the recordings of a conversation, in no order. For a conference, the recordings of its
/// calls are not included.
pub async fn of_conversation(
    tx: &mut Tx,
    conversation: &Conversation,
) -> Result<Vec<Recording>, Error> {
    let clause = match conversation {
        Conversation::Call(_) => "call_sid = $1 AND conference_sid IS NULL",
        Conversation::Conference(_) => "conference_sid = $1",
        Conversation::Thread(_)
        | Conversation::Chat(_)
        | Conversation::Room(_)
        | Conversation::Session(_) => "thread = $1",
    };
    let sql =
        format!("/* recordings.of_conversation */ SELECT {COLUMNS} FROM recordings WHERE {clause}");
    tx.fetch_all(&sql, &[Arg::Text(conversation.as_str())])
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// Returns whether every recording of a thread, chat, session or room is shredded.
pub async fn is_all_shredded(tx: &mut Tx, conversation: &Conversation) -> Result<bool, Error> {
    const SQL: &str = "/* recordings.is_all_shredded */
        SELECT id FROM recordings WHERE thread = $1 AND state <> 'shredded' LIMIT 1";
    let left = tx
        .fetch_first(SQL, &[Arg::Text(conversation.as_str())])
        .await?;
    Ok(left.is_none())
}

/// Returns whether every recording of a room, chat or thread that this participant made is shredded.
pub async fn is_all_of_author_shredded(
    tx: &mut Tx,
    conversation: &Conversation,
    author: &LegName,
) -> Result<bool, Error> {
    const SQL: &str = "/* recordings.is_all_of_author_shredded */
        SELECT id FROM recordings WHERE thread = $1 AND author = $2 AND state <> 'shredded' LIMIT 1";
    let args = [Arg::Text(conversation.as_str()), Arg::Text(author.as_str())];
    Ok(tx.fetch_first(SQL, &args).await?.is_none())
}

/// Returns the known parties of a conversation, as they count for the recordings of an account.
pub async fn subjects_in(
    tx: &mut Tx,
    account: &AccountSid,
    conversation: &Conversation,
) -> Result<BTreeSet<SubjectId>, Error> {
    const SQL: &str = "/* recordings.subjects_in */
        SELECT conversation, subject FROM parties WHERE conversation = $1 AND account IN ('*', $2) AND subject IS NOT NULL";
    let args = [
        Arg::Text(conversation.as_str()),
        Arg::Text(account.as_str()),
    ];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter()
        .map(|row| row.parse("parties", "subject", "conversation"))
        .collect()
}

/// Marks recordings as shredded and locks their rows for the rest of the unit. Returns those that
/// were not shredded before and have no hold.
pub async fn mark_shredded(
    tx: &mut Tx,
    ids: &[RecordingId],
    now: Timestamp,
) -> Result<BTreeSet<RecordingId>, Error> {
    // PostgreSQL locks rows in the order in which it reads them: two units on the same recordings
    // must not lock them in different orders.
    const LOCK: &str = "/* recordings.lock */
        SELECT id FROM recordings WHERE id IN (SELECT key FROM json_each($1)) ORDER BY id FOR NO KEY UPDATE";
    const SQL: &str = "/* recordings.mark_shredded */
        UPDATE recordings SET state = 'shredded', shredded_at = $2, quarantine_ends = NULL, encryption = NULL
        WHERE id IN (SELECT key FROM json_each($1)) AND state <> 'shredded' AND holds = 0 RETURNING id";
    let members = set(ids);
    if tx.is_postgres() && ids.len() > 1 {
        tx.execute(LOCK, &[Arg::Text(&members)]).await?;
    }
    let rows = tx
        .fetch_all(SQL, &[Arg::Text(&members), Arg::Int(now.as_millis())])
        .await?;
    rows.iter()
        .map(|row| row.parse("recordings", "id", "id"))
        .collect()
}

/// Moves a recording from one tier to another and locks its row for the rest of the unit.
///
/// # Errors
/// [`Error::Stale`] if it is shredded, or in another tier by now.
pub async fn set_tier(tx: &mut Tx, id: RecordingId, from: &Tier, to: &Tier) -> Result<(), Error> {
    const SQL: &str = "/* recordings.set_tier */
        UPDATE recordings SET tier = $3 WHERE id = $1 AND tier = $2 AND state <> 'shredded'";
    let args = [
        Arg::Text(&id.to_string()),
        Arg::Text(from.as_str()),
        Arg::Text(to.as_str()),
    ];
    tx.execute_one(
        SQL,
        &args,
        "the recording is shredded, or in another tier by now",
    )
    .await?;
    // The new tier may require more of a listener.
    news::tell(tx, ChangeNotice::Tombstone).await
}

/// Sets or removes labels; locks the recording's row for the rest of the unit if anything changes.
/// Returns the labels that changed.
///
/// # Errors
/// [`Error::Stale`] if it is shredded; [`Error::Conflict`] if another writer changed its labels
/// concurrently.
pub async fn change_labels(
    tx: &mut Tx,
    id: RecordingId,
    changes: &BTreeMap<Label, Option<LabelValue>>,
) -> Result<BTreeSet<Label>, Error> {
    const FIND: &str = "/* recordings.find_labels */ SELECT id, labels FROM recordings WHERE id = $1 AND state <> 'shredded'";
    const SQL: &str = "/* recordings.change_labels */
        UPDATE recordings SET labels = $3 WHERE id = $1 AND labels = $2 AND state <> 'shredded'";
    let id = id.to_string();
    let row = tx
        .fetch_first(FIND, &[Arg::Text(&id)])
        .await?
        .ok_or(Error::Stale("the recording is shredded"))?;
    let (before, mut labels) = (
        row.text("labels")?,
        row.json::<BTreeMap<Label, String>>("recordings", "labels", "id")?,
    );
    let mut changed = BTreeSet::new();
    for (label, value) in changes {
        let old = match value {
            Some(value) => labels.insert(label.clone(), value.to_string()),
            None => labels.remove(label),
        };
        if old.as_deref() != value.as_ref().map(LabelValue::as_str) {
            changed.insert(label.clone());
        }
    }
    if !changed.is_empty() {
        let after = serde_json::to_string(&labels).expect("texts have a JSON form");
        let touched = tx
            .execute(
                SQL,
                &[Arg::Text(&id), Arg::Text(&before), Arg::Text(&after)],
            )
            .await?;
        if touched != 1 {
            return Err(Error::Conflict);
        }
    }
    Ok(changed)
}

/// Returns the sealed artefacts of a recording.
pub async fn artefacts(tx: &mut Tx, id: RecordingId) -> Result<Vec<SealedArtefact>, Error> {
    const SQL: &str = formatcp!(
        "/* recordings.artefacts */ SELECT {} FROM artefacts WHERE recording_id = $1 ORDER BY leg, artefact",
        SealedArtefact::COLUMNS
    );
    tx.fetch_rows(SQL, &[Arg::Text(&id.to_string())]).await
}

/// Returns the text of each of these recordings that has one, of all legs together: of an edited
/// message in its latest state.
pub async fn latest_texts(
    tx: &mut Tx,
    ids: &[RecordingId],
) -> Result<BTreeMap<RecordingId, SealedArtefact>, Error> {
    const SQL: &str = formatcp!(
        "/* recordings.latest_texts */ SELECT {} FROM artefacts
        WHERE recording_id IN (SELECT key FROM json_each($1)) AND leg = $2
          AND (artefact = 'transcript' OR artefact LIKE 'transcript/%')",
        SealedArtefact::COLUMNS
    );
    let ids = set(ids);
    let args = [Arg::Text(&ids), Arg::Text(Leg::All.as_str())];
    let found: Vec<SealedArtefact> = tx.fetch_rows(SQL, &args).await?;
    let mut latest: BTreeMap<RecordingId, SealedArtefact> = BTreeMap::new();
    for sealed in found {
        let is_later = latest
            .get(&sealed.recording)
            .is_none_or(|known| known.artefact.edited_at() < sealed.artefact.edited_at());
        if is_later {
            latest.insert(sealed.recording, sealed);
        }
    }
    Ok(latest)
}

/// Deletes the rows of a recording's sealed artefacts, after their bytes are removed.
pub async fn remove_artefacts(tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
    const SQL: &str =
        "/* recordings.remove_artefacts */ DELETE FROM artefacts WHERE recording_id = $1";
    tx.execute(SQL, &[Arg::Text(&id.to_string())])
        .await
        .map(|_| ())
}

/// Returns whether any recording has this object, or it is a pack; otherwise it is an orphan.
pub async fn has_object(tx: &mut Tx, object: ObjectId) -> Result<bool, Error> {
    const SQL: &str = "/* recordings.has_object */
        SELECT (SELECT COUNT(*) FROM artefacts WHERE object_id = $1) + (SELECT COUNT(*) FROM packs WHERE object_id = $1)
          + (SELECT COUNT(*) FROM shared_rows WHERE object_id = $1)";
    Ok(tx.fetch_int(SQL, &[Arg::Text(&object.to_string())]).await? > 0)
}
