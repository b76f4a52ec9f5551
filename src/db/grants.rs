//! Grants given. A row is a claim; the policy decides again at each opening.

mod filter;

use const_format::formatcp;

pub use self::filter::{GrantFilter, GrantState, ListedGrant, list};
use super::{
    error::Error,
    news::{self, ChangeNotice},
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::{
    access::Ticket,
    id::{ApprovalId, GrantId, RecordingId, TokenId},
    name::Purpose,
    time::Timestamp,
};

table! {
    "grants" {}

    /// A grant as it was given.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GrantRow {
        key {
            /// Its id.
            pub id: GrantId = "id",
        }
        /// SHA-256 of its token, lower-case hex.
        pub hash: String = "hash",
        /// For which recording.
        pub recording: RecordingId = "recording_id",
        /// To which credential; the grant ends with it.
        pub token: TokenId = "token_id",
        /// For what.
        pub purpose: Purpose = "purpose",
        /// Whether a justification was given.
        pub justified: bool = "justified",
        /// Under which policy.
        pub policy_digest: String = "policy_digest",
        /// When.
        pub issued_at: Timestamp = "issued_at",
        /// Until when.
        pub expires_at: Timestamp = "expires_at",
        /// The ticket that was named with the request.
        pub ticket: Option<Ticket> = "ticket",
        /// Whether the approval that the tier asks for was broken through.
        pub break_glass: bool = "break_glass",
        /// When it was first used.
        pub opened_at: Option<Timestamp> = "opened_at",
        /// The approval on which it rests: that of its latest opening, before that of its giving.
        pub approval: Option<ApprovalId> = "approval_id",
        /// When somebody ended it.
        pub ended_at: Option<Timestamp> = "ended_at",
    }
}

/// Enters a grant.
pub async fn insert(tx: &mut Tx, grant: &GrantRow) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* grants.insert */ {}", GrantRow::INSERT);
    tx.insert_row(SQL, grant, &[]).await.map(|_| ())
}

/// The grant behind a grant token, by the token's hash.
pub async fn find(tx: &mut Tx, hash: &str) -> Result<Option<GrantRow>, Error> {
    const SQL: &str = formatcp!(
        "/* grants.find */ SELECT {} FROM grants WHERE hash = $1",
        GrantRow::COLUMNS
    );
    tx.fetch_row(SQL, &[Arg::Text(hash)]).await
}

/// The grant with this id.
pub async fn find_by_id(tx: &mut Tx, id: GrantId) -> Result<Option<GrantRow>, Error> {
    const SQL: &str = formatcp!(
        "/* grants.find_by_id */ SELECT {} FROM grants WHERE id = $1",
        GrantRow::COLUMNS
    );
    tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await
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

/// A grant comes to rest on another approval than the one that it was given by, so that it ends
/// with this one. Whoever calls it has locked the approval (`approvals::lock_approved`).
pub async fn rest_on(tx: &mut Tx, id: GrantId, approval: ApprovalId) -> Result<(), Error> {
    const SQL: &str = "/* grants.rest_on */ UPDATE grants SET approval_id = $2 WHERE id = $1";
    let id = id.to_string();
    let args = [Arg::Text(&id), Arg::Text(&approval.to_string())];
    tx.execute(SQL, &args).await.map(|_| ())
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
