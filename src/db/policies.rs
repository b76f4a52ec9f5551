//! Policy files that were published or in force in this vault, byte for byte.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::time::Timestamp;

table! {
    "policies" { subject: Some("digest") }

    /// One policy file.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PolicyRow {
        key {
            /// SHA-256 of the file, lower-case hex.
            pub digest: String = "digest",
        }
        /// The version that the file states.
        pub version: String = "version",
        /// The text of the file.
        pub source: String = "source",
        /// When a process first ran with it; `None` if none has yet.
        pub in_force_at: Option<Timestamp> = "in_force_at",
        /// The signed statement of its publication; `None` if the file was in force before policies
        /// were signed.
        pub jws: Option<String> = "jws",
    }
}

const COLUMNS: &str = PolicyRow::COLUMNS;

/// Stores a policy file with its statement. A file that is stored already gets the statement if it
/// has none. Returns whether anything changed.
///
/// # Errors
/// [`Error::Stale`] if another file has the same version: a published version is never changed.
pub async fn publish(
    tx: &mut Tx,
    digest: &str,
    version: &str,
    source: &str,
    jws: &str,
) -> Result<bool, Error> {
    const NEW: &str = formatcp!(
        "/* policies.publish */ {} ON CONFLICT DO NOTHING",
        PolicyRow::INSERT
    );
    const SIGN: &str =
        "/* policies.sign */ UPDATE policies SET jws = $2 WHERE digest = $1 AND jws IS NULL";
    const KNOWN: &str = "/* policies.known */ SELECT COUNT(*) FROM policies WHERE digest = $1";
    let row = PolicyRow {
        digest: digest.to_owned(),
        version: version.to_owned(),
        source: source.to_owned(),
        in_force_at: None,
        jws: Some(jws.to_owned()),
    };
    if tx.insert_row(NEW, &row, &[]).await? == 1 {
        return Ok(true);
    }
    match tx.fetch_int(KNOWN, &[Arg::Text(digest)]).await? {
        1 => Ok(tx
            .execute(SIGN, &[Arg::Text(digest), Arg::Text(jws)])
            .await?
            == 1),
        _ => Err(Error::Stale(
            "the policy file was changed without a new `version`: a published version never \
             changes, so give the file a new `version`",
        )),
    }
}

/// Records that a process runs with this file. Returns whether it is the first one.
pub async fn put_in_force(tx: &mut Tx, digest: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* policies.put_in_force */ UPDATE policies SET in_force_at = $2 WHERE digest = $1 AND in_force_at IS NULL";
    Ok(tx
        .execute(SQL, &[Arg::Text(digest), Arg::Int(now.as_millis())])
        .await?
        == 1)
}

/// Returns the file with this version.
pub async fn find(tx: &mut Tx, version: &str) -> Result<Option<PolicyRow>, Error> {
    const SQL: &str =
        formatcp!("/* policies.find */ SELECT {COLUMNS} FROM policies WHERE version = $1");
    tx.fetch_row(SQL, &[Arg::Text(version)]).await
}

/// Returns all files: in the order in which they came into force, then those that have not yet.
pub async fn all(tx: &mut Tx) -> Result<Vec<PolicyRow>, Error> {
    const SQL: &str = formatcp!(
        "/* policies.all */ SELECT {COLUMNS} FROM policies
        ORDER BY CASE WHEN in_force_at IS NULL THEN 1 ELSE 0 END, in_force_at, digest"
    );
    tx.fetch_rows(SQL, &[]).await
}
