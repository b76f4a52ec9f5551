//! Policy files that were published or in force here, byte for byte.

use super::{
    error::Error,
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::time::Timestamp;

/// One policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// SHA-256 of the file, lower-case hex.
    pub digest: String,
    /// As the file names itself.
    pub version: String,
    /// The file.
    pub source: String,
    /// The signed statement of its publication; `None` if it was in force before policies were
    /// signed.
    pub jws: Option<String>,
    /// When a process first ran with it; `None` if none did yet.
    pub in_force_at: Option<Timestamp>,
}

const COLUMNS: &str = "digest, version, source, jws, in_force_at";

/// Keeps a policy file with its statement; one that is kept already gets the statement if it has
/// none. False if there was nothing to do.
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
    const NEW: &str = "/* policies.publish */
        INSERT INTO policies (digest, version, source, in_force_at, jws) VALUES ($1, $2, $3, 0, $4) ON CONFLICT DO NOTHING";
    const SIGN: &str =
        "/* policies.sign */ UPDATE policies SET jws = $2 WHERE digest = $1 AND jws IS NULL";
    const KNOWN: &str = "/* policies.known */ SELECT COUNT(*) FROM policies WHERE digest = $1";
    if tx
        .execute(
            NEW,
            &[
                Arg::Text(digest),
                Arg::Text(version),
                Arg::Text(source),
                Arg::Text(jws),
            ],
        )
        .await?
        == 1
    {
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

/// A process runs with this file now. False if one did before.
pub async fn put_in_force(tx: &mut Tx, digest: &str, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* policies.put_in_force */ UPDATE policies SET in_force_at = $2 WHERE digest = $1 AND in_force_at = 0";
    Ok(tx
        .execute(SQL, &[Arg::Text(digest), Arg::Int(now.as_millis())])
        .await?
        == 1)
}

/// The file with this version.
pub async fn find(tx: &mut Tx, version: &str) -> Result<Option<PolicyRow>, Error> {
    let sql = format!("/* policies.find */ SELECT {COLUMNS} FROM policies WHERE version = $1");
    tx.fetch_first(&sql, &[Arg::Text(version)])
        .await?
        .map(|row| policy(&row))
        .transpose()
}

/// All of them: in the order in which they came into force, and then those that did not yet.
pub async fn all(tx: &mut Tx) -> Result<Vec<PolicyRow>, Error> {
    let sql = format!(
        "/* policies.all */ SELECT {COLUMNS} FROM policies ORDER BY CASE in_force_at WHEN 0 THEN 1 ELSE 0 END, in_force_at, digest"
    );
    tx.fetch_all(&sql, &[]).await?.iter().map(policy).collect()
}

fn policy(row: &Row) -> Result<PolicyRow, Error> {
    Ok(PolicyRow {
        digest: row.text("digest")?,
        version: row.text("version")?,
        source: row.text("source")?,
        jws: row.maybe_text("jws")?,
        in_force_at: Some(row.time("in_force_at")?).filter(|at| at.as_millis() != 0),
    })
}
