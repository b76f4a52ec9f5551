//! Requests for the approval of a second person. Rows are never removed: the text of a
//! justification becomes unreadable when the recording's key is destroyed.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table, texts},
    tx::{Arg, Tx, set},
};
use crate::model::{
    id::{ApprovalId, PrincipalId, RecordingId},
    name::{Purpose, Tier},
    sid::AccountSid,
    time::Timestamp,
    word::{UnknownWord, unknown},
};

/// The stage of a request.
#[derive(
    Clone,
    Copy,
    Debug,
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
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = unknown::<Self>)]
#[schema(rename_all = "lowercase")]
pub enum ApprovalState {
    /// No decision yet.
    Requested,
    /// Another person approved.
    Approved,
    /// Another person refused, or withdrew the approval.
    Refused,
}

recvault_core::word_set!(ApprovalState);

texts!(as_str: ApprovalState);

table! {
    "approvals" { subject: Some("recording_id") }

    /// A row of `approvals`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ApprovalRow {
        key {
            /// The id of the request.
            pub id: ApprovalId = "id",
        }
        /// The recording.
        pub recording: RecordingId = "recording_id",
        /// The principal who asks.
        pub requested_by: PrincipalId = "principal_id",
        /// The requested purpose.
        pub purpose: Purpose = "purpose",
        /// The justification in the principal's words, sealed.
        pub justification: Vec<u8> = "justification",
        /// The stage of the request.
        pub stage: ApprovalState = "state",
        /// When the request was made.
        pub requested_at: Timestamp = "requested_at",
        /// When the request expires, or, once it is approved, the approval.
        pub expires_at: Timestamp = "expires_at",
        /// When it was decided.
        pub decided_at: Option<Timestamp> = "decided_at",
        /// The principal who decided.
        pub decided_by: Option<PrincipalId> = "decided_by",
    }
}

/// Which requests to list.
#[derive(Clone, Debug, Default)]
pub struct ApprovalFilter {
    /// Only requests at this stage.
    pub stage: Option<ApprovalState>,
    /// Only requests that have not expired at this time.
    pub living_at: Option<Timestamp>,
    /// Only for recordings of these accounts; empty means all.
    pub accounts: BTreeSet<AccountSid>,
    /// Only for recordings of these tiers; `None` means all.
    pub tiers: Option<Vec<Tier>>,
    /// Only requests that come after this one in the listing, oldest first.
    pub after: Option<(Timestamp, ApprovalId)>,
}

const COLUMNS: &str = ApprovalRow::COLUMNS;

/// Inserts a request.
pub async fn insert(tx: &mut Tx, row: &ApprovalRow) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* approvals.insert */ {}", ApprovalRow::INSERT);
    tx.insert_row(SQL, row, &[]).await.map(|_| ())
}

/// Returns a request by its id.
pub async fn find(tx: &mut Tx, id: ApprovalId) -> Result<Option<ApprovalRow>, Error> {
    const SQL: &str =
        formatcp!("/* approvals.find */ SELECT {COLUMNS} FROM approvals WHERE id = $1");
    tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await
}

/// Returns the newest undecided request of this principal for this recording and purpose that has
/// not expired.
pub async fn find_waiting(
    tx: &mut Tx,
    recording: RecordingId,
    principal: PrincipalId,
    purpose: &Purpose,
    now: Timestamp,
) -> Result<Option<ApprovalRow>, Error> {
    const SQL: &str = formatcp!(
        "/* approvals.find_waiting */ SELECT {COLUMNS} FROM approvals
         WHERE recording_id = $1 AND principal_id = $2 AND purpose = $3 AND state = 'requested' AND expires_at > $4
         ORDER BY requested_at DESC, id LIMIT 1"
    );
    let recording = recording.to_string();
    let principal = principal.to_string();
    let args = [
        Arg::Text(&recording),
        Arg::Text(&principal),
        Arg::Text(purpose.as_str()),
        Arg::Int(now.as_millis()),
    ];
    tx.fetch_row(SQL, &args).await
}

/// Returns the approvals that let this principal open these recordings for this purpose, and when
/// they expire. Of several for one recording, the one that expires last.
pub async fn standing_all(
    tx: &mut Tx,
    recordings: &[RecordingId],
    principal: PrincipalId,
    purpose: &Purpose,
    now: Timestamp,
) -> Result<BTreeMap<RecordingId, (ApprovalId, Timestamp)>, Error> {
    const SQL: &str = formatcp!(
        "/* approvals.standing_all */ SELECT {COLUMNS} FROM approvals
        WHERE recording_id IN (SELECT key FROM json_each($1)) AND principal_id = $2 AND purpose = $3
          AND state = 'approved' AND expires_at > $4
        ORDER BY expires_at, id DESC"
    );
    let recordings = set(recordings);
    let principal = principal.to_string();
    let args = [
        Arg::Text(&recordings),
        Arg::Text(&principal),
        Arg::Text(purpose.as_str()),
        Arg::Int(now.as_millis()),
    ];
    let rows: Vec<ApprovalRow> = tx.fetch_rows(SQL, &args).await?;
    // Of several for one recording, the last stays.
    let standing = rows
        .into_iter()
        .map(|row| (row.recording, (row.id, row.expires_at)));
    Ok(standing.collect())
}

/// Locks an approval for the rest of the unit, so that it cannot be withdrawn concurrently.
///
/// # Errors
/// [`Error::Stale`] if it was withdrawn.
pub async fn lock_approved(tx: &mut Tx, id: ApprovalId) -> Result<(), Error> {
    const SQL: &str = "/* approvals.lock_approved */ UPDATE approvals SET state = 'approved' WHERE id = $1 AND state = 'approved'";
    tx.lock_one(
        SQL,
        &[Arg::Text(&id.to_string())],
        "the approval was taken back meanwhile",
    )
    .await
}

const LIST: &str = formatcp!(
    "/* approvals.list */ SELECT {}, recordings.tier FROM approvals JOIN recordings ON recordings.id = approvals.recording_id
     WHERE recordings.state = 'sealed'",
    ApprovalRow::QUALIFIED
);

/// Returns requests for sealed recordings, oldest first.
pub async fn list(
    tx: &mut Tx,
    filter: &ApprovalFilter,
    limit: i64,
) -> Result<Vec<(ApprovalRow, Tier)>, Error> {
    let accounts = set(&filter.accounts);
    let tiers = filter.tiers.as_ref().map(set);
    let after = filter
        .after
        .map(|(at, id)| (at.as_millis(), id.to_string()));
    let mut sql = LIST.to_owned();
    let mut clauses: Vec<(&str, Arg<'_>)> = Vec::new();
    if let Some(stage) = filter.stage {
        clauses.push((" AND approvals.state = $?", Arg::Text(stage.as_str())));
    }
    if let Some(now) = filter.living_at {
        clauses.push((" AND approvals.expires_at > $?", Arg::Int(now.as_millis())));
    }
    if !filter.accounts.is_empty() {
        clauses.push((
            " AND recordings.account IN (SELECT key FROM json_each($?))",
            Arg::Text(&accounts),
        ));
    }
    if let Some(tiers) = &tiers {
        clauses.push((
            " AND recordings.tier IN (SELECT key FROM json_each($?))",
            Arg::Text(tiers),
        ));
    }
    if let Some((at, id)) = &after {
        clauses.push((" AND (approvals.requested_at > $?", Arg::Int(*at)));
        clauses.push((" OR approvals.requested_at = $?", Arg::Int(*at)));
        clauses.push((" AND approvals.id > $?)", Arg::Text(id)));
    }
    clauses.push((
        " ORDER BY approvals.requested_at, approvals.id LIMIT $?",
        Arg::Int(limit),
    ));
    // Only constant clauses are concatenated, and every value is bound.
    for (at, (text, _)) in clauses.iter().enumerate() {
        sql.push_str(&text.replace("$?", &format!("${}", at + 1)));
    }
    let args: Vec<Arg<'_>> = clauses.iter().map(|(_, arg)| *arg).collect();
    let rows = tx.fetch_all(&sql, &args).await?;
    rows.iter()
        .map(|row| {
            Ok((
                ApprovalRow::of(row)?,
                row.parse("recordings", "tier", "id")?,
            ))
        })
        .collect()
}

/// Moves a request that has not expired from one stage to another and locks its row for the rest of
/// the unit.
///
/// # Errors
/// [`Error::Stale`] if the request is at another stage by now, or has expired.
pub async fn decide(
    tx: &mut Tx,
    id: ApprovalId,
    (from, to): (ApprovalState, ApprovalState),
    by: PrincipalId,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = "/* approvals.decide */
        UPDATE approvals SET state = $3, decided_by = $4, decided_at = $5, expires_at = $6
        WHERE id = $1 AND state = $2 AND expires_at > $5";
    let id = id.to_string();
    let by = by.to_string();
    let args = [
        Arg::Text(&id),
        Arg::Text(from.as_str()),
        Arg::Text(to.as_str()),
        Arg::Text(&by),
        Arg::Int(now.as_millis()),
        Arg::Int(expires_at.as_millis()),
    ];
    tx.execute_one(
        SQL,
        &args,
        "the request for approval was decided meanwhile, or is over",
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::ApprovalState;
    use crate::samples::{json_has_the_words, words_are};

    #[test]
    fn a_stage_has_one_word_everywhere() {
        words_are::<ApprovalState>("requested approved refused");
        json_has_the_words::<ApprovalState>();
    }
}
