//! The catalogue: recordings and their artefacts.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::Error,
    row::Row,
    tx::{Arg, Tx, set},
};
use crate::model::{
    artefact::{Artefact, Leg},
    id::{ObjectId, RecordingId, SubjectId},
    media::{MediaKind, SourceRef},
    name::{Label, Tier},
    recording::{Recording, RecordingState},
    sid::AccountSid,
    subject::Conversation,
    text::LabelValue,
    time::Timestamp,
};

/// A sealed object of a recording, as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedArtefact {
    /// Whose side it is, and with whose key it is sealed.
    pub leg: Leg,
    /// What it is.
    pub artefact: Artefact,
    /// Its name in the store.
    pub object: ObjectId,
    /// Plaintext bytes.
    pub plain_len: u64,
    /// Ciphertext bytes.
    pub sealed_len: u64,
    /// SHA-256 of the ciphertext, lower-case hex.
    pub sealed_sha256: String,
    /// Sealed segment length in bytes.
    pub segment: u32,
    /// What a player should be told.
    pub content_type: String,
}

/// Which recordings to list.
#[derive(Clone, Debug, Default)]
pub struct RecordingFilter {
    /// Only in this state.
    pub state: Option<RecordingState>,
    /// Only of this tier.
    pub tier: Option<Tier>,
    /// Only announced at or after.
    pub since: Option<Timestamp>,
    /// Only announced before.
    pub until: Option<Timestamp>,
    /// Only of these accounts; empty means all.
    pub accounts: BTreeSet<AccountSid>,
    /// Only those that come after this one in the listing, newest first.
    pub after: Option<(Timestamp, RecordingId)>,
}

pub(super) const COLUMNS: &str = "id, kind, state, account, source_sid, call_sid, conference_sid, source, source_status, error_code, duration_s, channels, \
                       tier, policy_version, policy_digest, started_at, announced_at, sealed_at, shredded_at, \
                       collected_at, labels, holds, revoked_at, quarantine_ends, heard_by, encryption";

/// One recording.
pub async fn find(tx: &mut Tx, id: RecordingId) -> Result<Option<Recording>, Error> {
    let sql = format!("/* recordings.find */ SELECT {COLUMNS} FROM recordings WHERE id = $1");
    tx.fetch_first(&sql, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| recording(&row))
        .transpose()
}

/// Those of these recordings that are there, in no order.
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

/// A page of recordings, newest announced first.
pub async fn list(
    tx: &mut Tx,
    filter: &RecordingFilter,
    limit: i64,
) -> Result<Vec<Recording>, Error> {
    let accounts = set(&filter.accounts);
    let after = filter
        .after
        .map(|(at, id)| (at.as_millis(), id.to_string()));
    let mut clauses: Vec<(&str, Arg<'_>)> = Vec::new();
    if let Some(state) = filter.state {
        clauses.push(("state = $", Arg::Text(state.as_str())));
    }
    if let Some(tier) = &filter.tier {
        clauses.push(("tier = $", Arg::Text(tier.as_str())));
    }
    if let Some(since) = filter.since {
        clauses.push(("announced_at >= $", Arg::Int(since.as_millis())));
    }
    if let Some(until) = filter.until {
        clauses.push(("announced_at < $", Arg::Int(until.as_millis())));
    }
    if !filter.accounts.is_empty() {
        clauses.push((
            "account IN (SELECT key FROM json_each($",
            Arg::Text(&accounts),
        ));
    }
    if let Some((at, id)) = &after {
        clauses.push(("announced_at <= $", Arg::Int(*at)));
        clauses.push(("(announced_at, id) < ($", Arg::Int(*at)));
        clauses.push(("", Arg::Text(id)));
    }
    // Only constant clauses are put together, and every value is bound: the planner sees exactly
    // the filters in use and walks an index.
    let mut sql = format!("/* recordings.list */ SELECT {COLUMNS} FROM recordings WHERE true");
    for (at, (clause, _)) in clauses.iter().enumerate() {
        let number = at + 1;
        match *clause {
            "" => sql.push_str(&format!(", ${number})")),
            clause if clause.contains("json_each") => {
                sql.push_str(&format!(" AND {clause}{number}))"))
            }
            clause => sql.push_str(&format!(" AND {clause}{number}")),
        }
    }
    sql.push_str(&format!(
        " ORDER BY announced_at DESC, id DESC LIMIT ${}",
        clauses.len() + 1
    ));
    let args: Vec<Arg<'_>> = clauses
        .iter()
        .map(|(_, arg)| *arg)
        .chain([Arg::Int(limit)])
        .collect();
    tx.fetch_all(&sql, &args)
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// How many recordings are in each state.
pub async fn count_by_state(tx: &mut Tx) -> Result<Vec<(RecordingState, i64)>, Error> {
    const SQL: &str = "/* recordings.count_by_state */ SELECT state, COUNT(*) AS n FROM recordings GROUP BY state ORDER BY state";
    tx.fetch_all(SQL, &[])
        .await?
        .iter()
        .map(|row| Ok((row.parse("recordings", "state", "state")?, row.int("n")?)))
        .collect()
}

/// An announced recording becomes sealed; locks its row for the rest of the unit. The tier it is
/// in.
///
/// # Errors
/// [`Error::Stale`] if it is not announced any more: another worker sealed it, or it was tombstoned
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

/// Locks the row of a sealed recording for the rest of the unit, without a change. The tier it is
/// in.
///
/// # Errors
/// [`Error::Stale`] if it is not sealed, or not any more.
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

/// The recordings of a conversation, in no order. Those of a conference are its own, and not those
/// of the calls in it.
pub async fn of_conversation(
    tx: &mut Tx,
    conversation: &Conversation,
) -> Result<Vec<Recording>, Error> {
    let clause = match conversation {
        Conversation::Call(_) => "call_sid = $1 AND conference_sid IS NULL",
        Conversation::Conference(_) => "conference_sid = $1",
        // No recording has a column for these.
        Conversation::Thread(_) | Conversation::Room(_) | Conversation::Session(_) => {
            return Ok(Vec::new());
        }
    };
    let sql =
        format!("/* recordings.of_conversation */ SELECT {COLUMNS} FROM recordings WHERE {clause}");
    tx.fetch_all(&sql, &[Arg::Text(conversation.as_str())])
        .await?
        .iter()
        .map(recording)
        .collect()
}

/// The people that are known to have taken part in a conversation.
pub async fn subjects_in(
    tx: &mut Tx,
    conversation: &Conversation,
) -> Result<BTreeSet<SubjectId>, Error> {
    const SQL: &str = "/* recordings.subjects_in */ SELECT conversation, subject FROM parties WHERE conversation = $1 AND subject IS NOT NULL";
    let rows = tx
        .fetch_all(SQL, &[Arg::Text(conversation.as_str())])
        .await?;
    rows.iter()
        .map(|row| row.parse("parties", "subject", "conversation"))
        .collect()
}

/// Recordings become shredded; locks their rows for the rest of the unit. Those of them that were
/// not shredded before, and that no hold keeps.
pub async fn mark_shredded(
    tx: &mut Tx,
    ids: &[RecordingId],
    now: Timestamp,
) -> Result<BTreeSet<RecordingId>, Error> {
    // PostgreSQL locks rows in the order in which it meets them: two units on the same recordings
    // must not meet them in two orders.
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

/// A recording goes from one tier to another; locks its row for the rest of the unit.
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
    .await
}

/// Gives labels new values, or takes them away; locks the recording's row for the rest of the unit
/// if anything changes. The labels that changed.
///
/// # Errors
/// [`Error::Stale`] if it is shredded; [`Error::Conflict`] if somebody else changed its labels just
/// now.
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

/// Enters a sealed object.
pub async fn insert_artefact(
    tx: &mut Tx,
    id: RecordingId,
    sealed: &SealedArtefact,
) -> Result<(), Error> {
    const SQL: &str = "/* recordings.insert_artefact */
        INSERT INTO artefacts (recording_id, leg, artefact, object_id, plain_len, sealed_len, sealed_sha256, segment, content_type)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = [
        Arg::Text(&id.to_string()),
        Arg::Text(sealed.leg.as_str()),
        Arg::Text(&sealed.artefact.word()),
        Arg::Text(&sealed.object.to_string()),
        Arg::Int(sealed.plain_len.try_into().unwrap_or(i64::MAX)),
        Arg::Int(sealed.sealed_len.try_into().unwrap_or(i64::MAX)),
        Arg::Text(&sealed.sealed_sha256),
        Arg::Int(sealed.segment.into()),
        Arg::Text(&sealed.content_type),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Enters a sealed object in the place of an older one of the same leg and artefact, if there is one: that one's
/// name in the store.
pub async fn replace_artefact(
    tx: &mut Tx,
    id: RecordingId,
    sealed: &SealedArtefact,
) -> Result<Option<ObjectId>, Error> {
    const SQL: &str = "/* recordings.take_artefact */
        DELETE FROM artefacts WHERE recording_id = $1 AND leg = $2 AND artefact = $3 RETURNING recording_id, object_id";
    let args = [
        Arg::Text(&id.to_string()),
        Arg::Text(sealed.leg.as_str()),
        Arg::Text(&sealed.artefact.word()),
    ];
    let older = tx
        .fetch_first(SQL, &args)
        .await?
        .map(|row| row.parse("artefacts", "object_id", "recording_id"))
        .transpose()?;
    insert_artefact(tx, id, sealed).await?;
    Ok(older)
}

/// The sealed objects of a recording.
pub async fn artefacts(tx: &mut Tx, id: RecordingId) -> Result<Vec<SealedArtefact>, Error> {
    const SQL: &str = "/* recordings.artefacts */
        SELECT recording_id, leg, artefact, object_id, plain_len, sealed_len, sealed_sha256, segment, content_type
        FROM artefacts WHERE recording_id = $1 ORDER BY leg, artefact";
    tx.fetch_all(SQL, &[Arg::Text(&id.to_string())])
        .await?
        .iter()
        .map(|row| {
            Ok(SealedArtefact {
                leg: row.parse("artefacts", "leg", "recording_id")?,
                artefact: row.parse("artefacts", "artefact", "recording_id")?,
                object: row.parse("artefacts", "object_id", "recording_id")?,
                plain_len: row.number("artefacts", "plain_len", "recording_id")?,
                sealed_len: row.number("artefacts", "sealed_len", "recording_id")?,
                sealed_sha256: row.text("sealed_sha256")?,
                segment: row.number("artefacts", "segment", "recording_id")?,
                content_type: row.text("content_type")?,
            })
        })
        .collect()
}

/// Forgets the sealed objects of a recording, after their bytes are removed.
pub async fn remove_artefacts(tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
    const SQL: &str =
        "/* recordings.remove_artefacts */ DELETE FROM artefacts WHERE recording_id = $1";
    tx.execute(SQL, &[Arg::Text(&id.to_string())])
        .await
        .map(|_| ())
}

/// Whether any recording has this object: an object that none has is an orphan.
pub async fn has_object(tx: &mut Tx, object: ObjectId) -> Result<bool, Error> {
    const SQL: &str =
        "/* recordings.has_object */ SELECT COUNT(*) FROM artefacts WHERE object_id = $1";
    Ok(tx.fetch_int(SQL, &[Arg::Text(&object.to_string())]).await? > 0)
}

/// What the source calls it. The row says the kind, too, for whoever asks for one kind: the two
/// must agree.
fn source_ref(row: &Row) -> Result<SourceRef, Error> {
    const T: &str = "recordings";
    let account = row.parse(T, "account", "id")?;
    let source_ref = SourceRef::parse(account, &row.text("source_sid")?)
        .map_err(|_| row.inconsistent(T, "source_sid", "id"))?;

    let kind: MediaKind = row.parse(T, "kind", "id")?;
    if kind == source_ref.kind() {
        Ok(source_ref)
    } else {
        Err(row.inconsistent(T, "kind", "id"))
    }
}

pub(super) fn recording(row: &Row) -> Result<Recording, Error> {
    const T: &str = "recordings";
    Ok(Recording {
        id: row.parse(T, "id", "id")?,
        state: row.parse(T, "state", "id")?,
        source_ref: source_ref(row)?,
        call: row.maybe_parse(T, "call_sid", "id")?,
        conference: row.maybe_parse(T, "conference_sid", "id")?,
        source: row.maybe_text("source")?,
        source_status: row.text("source_status")?,
        error_code: row.maybe_int("error_code")?,
        duration_s: row.maybe_int("duration_s")?,
        channels: row.maybe_int("channels")?,
        tier: row.parse(T, "tier", "id")?,
        policy_version: row.text("policy_version")?,
        policy_digest: row.text("policy_digest")?,
        started_at: row.maybe_time("started_at")?,
        announced_at: row.time("announced_at")?,
        sealed_at: row.maybe_time("sealed_at")?,
        shredded_at: row.maybe_time("shredded_at")?,
        collected_at: row.time("collected_at")?,
        labels: row.json(T, "labels", "id")?,
        holds: row.int("holds")?,
        revoked_at: row.maybe_time("revoked_at")?,
        quarantine_ends: row.maybe_time("quarantine_ends")?,
        heard_by: row.parse(T, "heard_by", "id")?,
        encryption: row.maybe_json(T, "encryption", "id")?,
    })
}
