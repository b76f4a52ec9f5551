//! Public keys for verifying the vault's signatures, current and former.
//!
//! Owns their rows. Refuses to know private keys. INVARIANT: no row is ever removed, so that old
//! signatures can always be verified.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::{
    evidence::{KeySet, VerifyingKey},
    model::time::Timestamp,
};

table! {
    "signing_keys" { subject: Some("key_id") }

    /// A public key.
    #[derive(Debug)]
    pub(super) struct SigningKeyRow {
        key {
            /// Its RFC 7638 thumbprint.
            pub key_id: String = "key_id",
        }
        /// The key.
        pub public_key: VerifyingKey = "public_key",
        /// When it was first used for signing.
        pub since: Timestamp = "since",
        /// When another key replaced it; `None` while it signs.
        pub retired_at: Option<Timestamp> = "retired_at",
    }
}

/// Inserts the key that signs from now on.
pub async fn insert(tx: &mut Tx, key: &VerifyingKey, now: Timestamp) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* signing_keys.insert */ {}", SigningKeyRow::INSERT);
    let row = SigningKeyRow {
        key_id: key.key_id().to_owned(),
        public_key: key.clone(),
        since: now,
        retired_at: None,
    };
    tx.insert_row(SQL, &row, &[]).await?;
    Ok(())
}

/// Retires every key but this one: one key signs at a time, also after rows of two timelines were
/// merged. Returns the ids of the retired keys.
pub async fn retire_others(
    tx: &mut Tx,
    key_id: &str,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    const SQL: &str = "/* signing_keys.retire_others */
        UPDATE signing_keys SET retired_at = $2 WHERE key_id <> $1 AND retired_at IS NULL RETURNING key_id";
    let args = [Arg::Text(key_id), Arg::Int(now.as_millis())];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter().map(|row| row.text("key_id")).collect()
}

/// Returns whether a key signs now. At most one does.
pub async fn is_in_force(tx: &mut Tx, key_id: &str) -> Result<bool, Error> {
    const SQL: &str = "/* signing_keys.is_in_force */ SELECT COUNT(*) FROM signing_keys WHERE key_id = $1 AND retired_at IS NULL";
    Ok(tx.fetch_int(SQL, &[Arg::Text(key_id)]).await? > 0)
}

/// Returns all keys, the newest first.
pub async fn all(tx: &mut Tx) -> Result<KeySet, Error> {
    const SQL: &str = formatcp!(
        "/* signing_keys.all */ SELECT {} FROM signing_keys ORDER BY since DESC, key_id",
        SigningKeyRow::COLUMNS
    );
    let rows: Vec<SigningKeyRow> = tx.fetch_rows(SQL, &[]).await?;
    Ok(KeySet::new(rows.into_iter().map(|row| row.public_key)))
}
