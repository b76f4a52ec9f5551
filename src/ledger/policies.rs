//! Policy files that were in force here, byte for byte.

use super::{
    Error,
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
}

/// Keeps a policy file. False if it was there already.
///
/// # Errors
/// [`Error::Stale`] if another file has the same version: a published version is never changed.
pub async fn keep(tx: &mut Tx, policy: &PolicyRow, now: Timestamp) -> Result<bool, Error> {
    const SQL: &str = "/* policies.keep */
        INSERT INTO policies (digest, version, source, in_force_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    let args = [Arg::Text(&policy.digest), Arg::Text(&policy.version), Arg::Text(&policy.source), Arg::Int(now.as_millis())];
    if tx.execute(SQL, &args).await? == 1 {
        return Ok(true);
    }
    const KNOWN: &str = "/* policies.known */ SELECT COUNT(*) FROM policies WHERE digest = $1";
    match tx.fetch_int(KNOWN, &[Arg::Text(&policy.digest)]).await? {
        1 => Ok(false),
        _ => Err(Error::Stale("the policy file was changed without a new `version`: a version that was in force is never another file")),
    }
}

/// All of them, oldest first.
pub async fn all(tx: &mut Tx) -> Result<Vec<PolicyRow>, Error> {
    const SQL: &str = "/* policies.all */ SELECT digest, version, source FROM policies ORDER BY in_force_at, digest";
    tx.fetch_all(SQL, &[])
        .await?
        .iter()
        .map(|row| Ok(PolicyRow { digest: row.text("digest")?, version: row.text("version")?, source: row.text("source")? }))
        .collect()
}
