//! Grants. A row is a claim; the policy decides again at each opening.

mod filter;

use std::collections::BTreeSet;

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
    grant_object::GrantObject,
    id::{ApprovalId, GrantId, TokenId},
    name::Purpose,
    sid::AccountSid,
    time::Timestamp,
};

table! {
    "grants" {}

    /// A grant.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GrantRow {
        key {
            /// Its id.
            pub id: GrantId = "id",
        }
        /// SHA-256 of its token, lower-case hex.
        pub hash: String = "hash",
        /// What it opens.
        pub object: GrantObject = "object",
        /// The account of that.
        pub account: AccountSid = "account",
        /// The credential to which it was given; the grant ends with it.
        pub token: TokenId = "token_id",
        /// The purpose.
        pub purpose: Purpose = "purpose",
        /// Whether a justification was given.
        pub justified: bool = "justified",
        /// The digest of the policy under which it was given.
        pub policy_digest: String = "policy_digest",
        /// When it was given.
        pub issued_at: Timestamp = "issued_at",
        /// When it expires.
        pub expires_at: Timestamp = "expires_at",
        /// The ticket named in the request.
        pub ticket: Option<Ticket> = "ticket",
        /// Whether it bypassed the approval that the tier requires (break-glass).
        pub break_glass: bool = "break_glass",
        /// When it was first used.
        pub opened_at: Option<Timestamp> = "opened_at",
        /// The approval on which it depends: at first that of its issue, later that of its latest
        /// opening.
        pub approval: Option<ApprovalId> = "approval_id",
        /// When it was ended before its expiry.
        pub ended_at: Option<Timestamp> = "ended_at",
    }
}

table! {
    "grant_approvals" {}

    /// An approval on which a grant over a conversation rests.
    #[derive(Debug)]
    pub(super) struct GrantApproval {
        key {
            grant: GrantId = "grant_id",
            approval: ApprovalId = "approval_id",
        }
    }
}

/// Inserts a grant.
pub async fn insert(tx: &mut Tx, grant: &GrantRow) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* grants.insert */ {}", GrantRow::INSERT);
    tx.insert_row(SQL, grant, &[]).await.map(|_| ())
}

/// Returns the grant with this token hash.
pub async fn find(tx: &mut Tx, hash: &str) -> Result<Option<GrantRow>, Error> {
    const SQL: &str = formatcp!(
        "/* grants.find */ SELECT {} FROM grants WHERE hash = $1",
        GrantRow::COLUMNS
    );
    tx.fetch_row(SQL, &[Arg::Text(hash)]).await
}

/// Returns the grant with this id.
pub async fn find_by_id(tx: &mut Tx, id: GrantId) -> Result<Option<GrantRow>, Error> {
    const SQL: &str = formatcp!(
        "/* grants.find_by_id */ SELECT {} FROM grants WHERE id = $1",
        GrantRow::COLUMNS
    );
    tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await
}

/// Ends a grant. Returns whether it had not ended before. The commit notifies every process through
/// [`news`], so that running streams end.
pub async fn end(tx: &mut Tx, id: GrantId, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str =
        "/* grants.end */ UPDATE grants SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL";
    let args = [Arg::Text(&id.to_string()), Arg::Int(now.as_millis())];
    let ended = tx.execute(SQL, &args).await? == 1;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    Ok(ended)
}

/// Ends every grant that depends on an approval, as [`end`] does, and returns their ids.
pub async fn end_resting_on(
    tx: &mut Tx,
    approval: ApprovalId,
    now: Timestamp,
) -> Result<Vec<GrantId>, Error> {
    const SQL: &str = "/* grants.end_resting_on */
        UPDATE grants SET ended_at = $2
        WHERE (approval_id = $1 OR id IN (SELECT grant_id FROM grant_approvals WHERE approval_id = $1)) AND ended_at IS NULL
        RETURNING id";
    let args = [Arg::Text(&approval.to_string()), Arg::Int(now.as_millis())];
    let rows = tx.fetch_all(SQL, &args).await?;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    rows.iter()
        .map(|row| row.parse("grants", "id", "id"))
        .collect()
}

/// Makes a grant depend on another approval, so that it ends with that one. The caller has locked
/// the approval (`approvals::lock_approved`).
pub async fn rest_on(tx: &mut Tx, id: GrantId, approval: ApprovalId) -> Result<(), Error> {
    const SQL: &str = "/* grants.rest_on */ UPDATE grants SET approval_id = $2 WHERE id = $1";
    let id = id.to_string();
    let args = [Arg::Text(&id), Arg::Text(&approval.to_string())];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// Makes a grant over a conversation depend on these approvals, too, so that it ends with any of
/// them. The caller has locked them (`approvals::lock_approved`).
pub async fn rest_on_each(
    tx: &mut Tx,
    id: GrantId,
    approvals: &BTreeSet<ApprovalId>,
) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* grants.rest_on_each */ {} ON CONFLICT DO NOTHING",
        GrantApproval::INSERT
    );
    for approval in approvals {
        let row = GrantApproval {
            grant: id,
            approval: *approval,
        };
        tx.insert_row(SQL, &row, &[]).await?;
    }
    Ok(())
}

/// Records that a grant is used at `now`. Returns whether this is the first use; if so, its row is
/// locked for the rest of the unit.
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

/// Deletes grants that expired before `before`; the audit log keeps what they were used for.
pub async fn remove_ended(tx: &mut Tx, before: Timestamp) -> Result<u64, Error> {
    const RESTS: &str = "/* grants.remove_rests */
        DELETE FROM grant_approvals WHERE grant_id IN (SELECT id FROM grants WHERE expires_at < $1)";
    const SQL: &str = "/* grants.remove_ended */ DELETE FROM grants WHERE expires_at < $1";
    tx.execute(RESTS, &[Arg::Int(before.as_millis())]).await?;
    tx.execute(SQL, &[Arg::Int(before.as_millis())]).await
}
