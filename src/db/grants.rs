//! Grants given. A row is a claim; the policy decides again at each opening.

use super::{
    error::Error,
    news::{self, ChangeNotice},
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::{
    access::Ticket,
    id::{ApprovalId, GrantId, RecordingId, TokenId},
    name::Purpose,
    time::Timestamp,
};

/// A grant as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Its id.
    pub id: GrantId,
    /// For which recording.
    pub recording: RecordingId,
    /// To which credential; the grant ends with it.
    pub token: TokenId,
    /// For what.
    pub purpose: Purpose,
    /// Whether a justification was given.
    pub justified: bool,
    /// The ticket that was named with the request.
    pub ticket: Option<Ticket>,
    /// Whether the approval that the tier asks for was broken through.
    pub break_glass: bool,
    /// Under which policy.
    pub policy_digest: String,
    /// When.
    pub issued_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was first used.
    pub opened_at: Option<Timestamp>,
    /// The approval on which it rests.
    pub approval: Option<ApprovalId>,
    /// When somebody ended it.
    pub ended_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, recording_id, token_id, purpose, justified, ticket, break_glass, policy_digest, issued_at, expires_at, opened_at, \
                       approval_id, ended_at";

/// Enters a grant by the hash of its token.
pub async fn insert(tx: &mut Tx, grant: &GrantRow, hash: &str) -> Result<(), Error> {
    const SQL: &str = "/* grants.insert */
        INSERT INTO grants (id, hash, recording_id, token_id, purpose, justified, ticket, break_glass, policy_digest, issued_at, expires_at, approval_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let approval = grant.approval.map(|id| id.to_string());
    let args = [
        Arg::Text(&grant.id.to_string()),
        Arg::Text(hash),
        Arg::Text(&grant.recording.to_string()),
        Arg::Text(&grant.token.to_string()),
        Arg::Text(grant.purpose.as_str()),
        Arg::Int(grant.justified.into()),
        Arg::MaybeText(grant.ticket.as_ref().map(Ticket::as_str)),
        Arg::Int(grant.break_glass.into()),
        Arg::Text(&grant.policy_digest),
        Arg::Int(grant.issued_at.as_millis()),
        Arg::Int(grant.expires_at.as_millis()),
        Arg::MaybeText(approval.as_deref()),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// The grant behind a grant token, by the token's hash.
pub async fn find(tx: &mut Tx, hash: &str) -> Result<Option<GrantRow>, Error> {
    let sql = format!("/* grants.find */ SELECT {COLUMNS} FROM grants WHERE hash = $1");
    tx.fetch_first(&sql, &[Arg::Text(hash)])
        .await?
        .map(|row| grant(&row))
        .transpose()
}

/// The grant with this id.
pub async fn find_by_id(tx: &mut Tx, id: GrantId) -> Result<Option<GrantRow>, Error> {
    let sql = format!("/* grants.find_by_id */ SELECT {COLUMNS} FROM grants WHERE id = $1");
    tx.fetch_first(&sql, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| grant(&row))
        .transpose()
}

fn grant(row: &Row) -> Result<GrantRow, Error> {
    const T: &str = "grants";
    Ok(GrantRow {
        id: row.parse(T, "id", "id")?,
        recording: row.parse(T, "recording_id", "id")?,
        token: row.parse(T, "token_id", "id")?,
        purpose: row.parse(T, "purpose", "id")?,
        justified: row.int("justified")? == 1,
        ticket: row.maybe_parse(T, "ticket", "id")?,
        break_glass: row.int("break_glass")? == 1,
        policy_digest: row.text("policy_digest")?,
        issued_at: row.time("issued_at")?,
        expires_at: row.time("expires_at")?,
        opened_at: row.maybe_time("opened_at")?,
        approval: row.maybe_parse(T, "approval_id", "id")?,
        ended_at: row.maybe_time("ended_at")?,
    })
}

/// Ends a grant. Whether it was not ended before. The commit rings in every process that follows
/// the [`news`], so that running streams end.
pub async fn end(tx: &mut Tx, id: GrantId, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "/* grants.end */ UPDATE grants SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    let args = [Arg::Text(&id.to_string()), Arg::Int(now.as_millis())];
    let ended = tx.execute(SQL, &args).await? == 1;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    Ok(ended)
}

/// Ends every grant that rests on an approval, as [`end`] does. Which.
pub async fn end_resting_on(
    tx: &mut Tx,
    approval: ApprovalId,
    now: Timestamp,
) -> Result<Vec<GrantId>, Error> {
    const SQL: &str = "/* grants.end_resting_on */
        UPDATE grants SET ended_at = $2 WHERE approval_id = $1 AND ended_at IS NULL RETURNING id";
    let args = [Arg::Text(&approval.to_string()), Arg::Int(now.as_millis())];
    let rows = tx.fetch_all(SQL, &args).await?;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    rows.iter()
        .map(|row| row.parse("grants", "id", "id"))
        .collect()
}

/// A grant is used, at `now`. Whether for the first time; locks its row for the rest of the unit if
/// so.
pub async fn open(tx: &mut Tx, id: GrantId, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "/* grants.open */ UPDATE grants SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL";
    Ok(tx
        .execute(
            SQL,
            &[Arg::Text(&id.to_string()), Arg::Int(now.as_millis())],
        )
        .await?
        == 1)
}

/// Forgets grants that ended before `before`; the audit log keeps what they were used for.
pub async fn remove_ended(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    const SQL: &str = "/* grants.remove_ended */ DELETE FROM grants WHERE expires_at < $1";
    tx.execute(SQL, &[Arg::Int(before.as_millis())]).await
}
