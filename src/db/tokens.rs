//! Bearer tokens, as hashes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::Error,
    news::{self, ChangeNotice},
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::{
    access::Principal,
    id::{PrincipalId, TokenId},
    name::{Label, Role},
    sid::AccountSid,
    time::Timestamp,
};

/// A token as the operator sees it; the token itself is not here.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Whose credential it is.
    pub principal: PrincipalId,
    /// The operator's own name for it.
    pub label: String,
    /// What its bearer is.
    pub roles: Vec<Role>,
    /// Whose recordings its bearer may know; empty: all.
    pub accounts: Vec<AccountSid>,
    /// What conditions of the policy may look at.
    pub attributes: BTreeMap<Label, BTreeSet<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when it is refused.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl TokenRow {
    /// Who the bearer is.
    pub fn principal(&self) -> Principal {
        Principal {
            id: self.principal,
            credential: self.id,
            roles: self.roles.iter().cloned().collect(),
            accounts: self.accounts.iter().cloned().collect(),
            attributes: self.attributes.clone(),
        }
    }

    /// Whether it opens anything at `now`.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

const COLUMNS: &str =
    "id, principal_id, label, roles, accounts, attributes, created_at, expires_at, revoked_at";

/// Enters a token by the hash of its secret.
pub async fn insert(tx: &mut Tx, token: &TokenRow, hash: &str) -> Result<(), Error> {
    const SQL: &str = "/* tokens.insert */
        INSERT INTO tokens (id, hash, label, roles, accounts, attributes, created_at, expires_at, principal_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = [
        Arg::Text(&token.id.to_string()),
        Arg::Text(hash),
        Arg::Text(&token.label),
        Arg::Text(&json(&token.roles)),
        Arg::Text(&json(&token.accounts)),
        Arg::Text(&json(&token.attributes)),
        Arg::Int(token.created_at.as_millis()),
        Arg::Int(token.expires_at.as_millis()),
        Arg::Text(&token.principal.to_string()),
    ];
    tx.execute(SQL, &args).await.map(|_| ())
}

/// The principal of a living token, by the hash of its secret. The look-up is by a hash of 256
/// random bits, so its timing tells nothing.
pub async fn authenticate(
    tx: &mut Tx,
    hash: &str,
    now: Timestamp,
) -> Result<Option<Principal>, Error> {
    let sql = format!("/* tokens.authenticate */ SELECT {COLUMNS} FROM tokens WHERE hash = $1");
    let row = tx
        .fetch_first(&sql, &[Arg::Text(hash)])
        .await?
        .map(|row| token(&row))
        .transpose()?;
    Ok(row
        .filter(|token| token.lives(now))
        .map(|token| token.principal()))
}

/// The principal behind a token id, if the token still lives.
pub async fn living(tx: &mut Tx, id: TokenId, now: Timestamp) -> Result<Option<Principal>, Error> {
    let sql = format!("/* tokens.living */ SELECT {COLUMNS} FROM tokens WHERE id = $1");
    let row = tx
        .fetch_first(&sql, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| token(&row))
        .transpose()?;
    Ok(row
        .filter(|token| token.lives(now))
        .map(|token| token.principal()))
}

/// Whose a token is, or was.
pub async fn principal_of(tx: &mut Tx, id: TokenId) -> Result<Option<PrincipalId>, Error> {
    const SQL: &str = "/* tokens.principal_of */ SELECT id, principal_id FROM tokens WHERE id = $1";
    tx.fetch_first(SQL, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| row.parse("tokens", "principal_id", "id"))
        .transpose()
}

/// All tokens, oldest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<TokenRow>, Error> {
    let sql = format!("/* tokens.list */ SELECT {COLUMNS} FROM tokens ORDER BY created_at, id");
    tx.fetch_all(&sql, &[]).await?.iter().map(token).collect()
}

/// Revokes a token; the commit rings, so that its streams end. Whose it was; `None` if there is none, or it already was.
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

/// Revokes every token of a principal that was not revoked yet. Which.
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

fn token(row: &Row) -> Result<TokenRow, Error> {
    const T: &str = "tokens";
    Ok(TokenRow {
        id: row.parse(T, "id", "id")?,
        principal: row.parse(T, "principal_id", "id")?,
        label: row.text("label")?,
        roles: row.json(T, "roles", "id")?,
        accounts: row.json(T, "accounts", "id")?,
        attributes: row.json(T, "attributes", "id")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.maybe_time("revoked_at")?,
    })
}

fn json(values: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(values).expect("names and SIDs always have a JSON form")
}
