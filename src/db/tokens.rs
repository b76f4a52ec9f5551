//! Bearer tokens, as hashes.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::{
    error::Error,
    news::{self, ChangeNotice},
    table::{TableRow as _, table},
    tx::{Arg, Tx},
};
use crate::model::{
    access::Principal,
    id::{PrincipalId, TokenId},
    name::{Label, Role},
    sid::AccountSid,
    time::Timestamp,
};

table! {
    "tokens" { subject: Some("id") }

    /// A token as shown to the operator; the secret itself is not stored.
    #[derive(Clone, Debug, serde::Serialize)]
    pub struct TokenRow {
        key {
            /// Its id.
            pub id: TokenId = "id",
        }
        /// The SHA-256 of its secret, which is never shown.
        #[serde(skip)]
        pub hash: String = "hash",
        /// The operator's own name for it.
        pub label: String = "label",
        /// The roles of its bearer.
        pub roles: Vec<Role> = "roles",
        /// The accounts whose recordings its bearer may know; empty means all.
        pub accounts: Vec<AccountSid> = "accounts",
        /// When it was made.
        pub created_at: Timestamp = "created_at",
        /// When it expires.
        pub expires_at: Timestamp = "expires_at",
        /// When it was revoked.
        pub revoked_at: Option<Timestamp> = "revoked_at",
        /// Attributes that conditions of the policy may examine.
        pub attributes: BTreeMap<Label, BTreeSet<String>> = "attributes",
        /// The principal whose credential it is.
        pub principal: PrincipalId = "principal_id",
    }
}

impl TokenRow {
    /// Returns the bearer as a principal.
    pub fn principal(&self) -> Principal {
        Principal {
            id: self.principal,
            credential: self.id,
            roles: self.roles.iter().cloned().collect(),
            accounts: self.accounts.iter().cloned().collect(),
            attributes: self.attributes.clone(),
        }
    }

    /// Returns whether the token is valid at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

const COLUMNS: &str = TokenRow::COLUMNS;

/// Inserts a token.
pub async fn insert(tx: &mut Tx, token: &TokenRow) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* tokens.insert */ {}", TokenRow::INSERT);
    tx.insert_row(SQL, token, &[]).await.map(|_| ())
}

/// Returns the principal of a valid token, by the hash of its secret. The look-up uses a hash of
/// 256 random bits, so its timing reveals nothing.
pub async fn authenticate(
    tx: &mut Tx,
    hash: &str,
    now: Timestamp,
) -> Result<Option<Principal>, Error> {
    const SQL: &str =
        formatcp!("/* tokens.authenticate */ SELECT {COLUMNS} FROM tokens WHERE hash = $1");
    let row: Option<TokenRow> = tx.fetch_row(SQL, &[Arg::Text(hash)]).await?;
    Ok(row
        .filter(|token| token.lives(now))
        .map(|token| token.principal()))
}

/// Returns the principal of a token id, if the token is still valid.
pub async fn living(tx: &mut Tx, id: TokenId, now: Timestamp) -> Result<Option<Principal>, Error> {
    const SQL: &str = formatcp!("/* tokens.living */ SELECT {COLUMNS} FROM tokens WHERE id = $1");
    let row: Option<TokenRow> = tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await?;
    Ok(row
        .filter(|token| token.lives(now))
        .map(|token| token.principal()))
}

/// Returns the principal of a token, valid or not.
pub async fn principal_of(tx: &mut Tx, id: TokenId) -> Result<Option<PrincipalId>, Error> {
    const SQL: &str = "/* tokens.principal_of */ SELECT id, principal_id FROM tokens WHERE id = $1";
    tx.fetch_first(SQL, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| row.parse("tokens", "principal_id", "id"))
        .transpose()
}

/// Returns all tokens, oldest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<TokenRow>, Error> {
    const SQL: &str =
        formatcp!("/* tokens.list */ SELECT {COLUMNS} FROM tokens ORDER BY created_at, id");
    tx.fetch_rows(SQL, &[]).await
}

/// Revokes a token; the commit notifies other processes, so that its streams end. Returns its
/// principal; `None` if there is no such token or it was revoked before.
pub async fn revoke(
    tx: &mut Tx,
    id: TokenId,
    now: Timestamp,
) -> Result<Option<PrincipalId>, Error> {
    const SQL: &str = "/* tokens.revoke */
        UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id, principal_id";
    let args = [Arg::Text(&id.to_string()), Arg::Int(now.as_millis())];
    let revoked = tx.fetch_first(SQL, &args).await?;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    revoked
        .map(|row| row.parse("tokens", "principal_id", "id"))
        .transpose()
}

/// Revokes every token of a principal that is not revoked yet, and returns their ids.
pub async fn revoke_all(
    tx: &mut Tx,
    principal: PrincipalId,
    now: Timestamp,
) -> Result<Vec<TokenId>, Error> {
    const SQL: &str = "/* tokens.revoke_all */
        UPDATE tokens SET revoked_at = $2 WHERE principal_id = $1 AND revoked_at IS NULL RETURNING id";
    let args = [Arg::Text(&principal.to_string()), Arg::Int(now.as_millis())];
    let revoked = tx.fetch_all(SQL, &args).await?;
    news::tell(tx, ChangeNotice::Tombstone).await?;
    revoked
        .iter()
        .map(|row| row.parse("tokens", "id", "id"))
        .collect()
}
