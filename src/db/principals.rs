//! Persons and services that act. Rows are never removed: the audit log names them by their id.

use super::{
    error::Error,
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::{
    access::PrincipalKind,
    id::PrincipalId,
    text::{PrincipalIssuer, PrincipalSubject},
    time::Timestamp,
};

/// The issuer of those who are named at the command line. No OIDC issuer is called so: these are
/// addresses that begin with `https://`.
pub const LOCAL: &str = "local";

/// A principal, as the operator sees them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PrincipalRow {
    /// Their id.
    pub id: PrincipalId,
    /// A person or a service.
    pub kind: PrincipalKind,
    /// Who vouches for the subject: [`LOCAL`], else an OIDC issuer.
    pub issuer: PrincipalIssuer,
    /// What the issuer calls them; with the issuer, unique.
    pub subject: PrincipalSubject,
    /// What lists show.
    pub label: String,
    /// When they were first named.
    pub created_at: Timestamp,
}

const COLUMNS: &str = "id, kind, issuer, subject, label, created_at";

/// The principal whom this issuer calls so; entered as given if there is none yet. One statement,
/// so that two processes that name somebody at the same time name one principal.
pub async fn find_or_insert(tx: &mut Tx, wanted: &PrincipalRow) -> Result<PrincipalRow, Error> {
    let sql = format!(
        "/* principals.find_or_insert */
        INSERT INTO principals (id, kind, issuer, subject, label, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (issuer, subject) DO UPDATE SET label = principals.label RETURNING {COLUMNS}"
    );
    let args = [
        Arg::Text(&wanted.id.to_string()),
        Arg::Text(wanted.kind.as_str()),
        Arg::Text(wanted.issuer.as_str()),
        Arg::Text(wanted.subject.as_str()),
        Arg::Text(&wanted.label),
        Arg::Int(wanted.created_at.as_millis()),
    ];
    let row = tx.fetch_first(&sql, &args).await?;
    principal(&row.ok_or(Error::Stale("the query gave no row"))?)
}

/// One principal.
pub async fn find(tx: &mut Tx, id: PrincipalId) -> Result<Option<PrincipalRow>, Error> {
    let sql = format!("/* principals.find */ SELECT {COLUMNS} FROM principals WHERE id = $1");
    tx.fetch_first(&sql, &[Arg::Text(&id.to_string())])
        .await?
        .map(|row| principal(&row))
        .transpose()
}

/// The principal named so at the command line.
pub async fn find_local(
    tx: &mut Tx,
    subject: &PrincipalSubject,
) -> Result<Option<PrincipalRow>, Error> {
    let sql = format!(
        "/* principals.find_local */ SELECT {COLUMNS} FROM principals WHERE issuer = $1 AND subject = $2"
    );
    let args = [Arg::Text(LOCAL), Arg::Text(subject.as_str())];
    tx.fetch_first(&sql, &args)
        .await?
        .map(|row| principal(&row))
        .transpose()
}

/// All of them, oldest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<PrincipalRow>, Error> {
    let sql =
        format!("/* principals.list */ SELECT {COLUMNS} FROM principals ORDER BY created_at, id");
    tx.fetch_all(&sql, &[])
        .await?
        .iter()
        .map(principal)
        .collect()
}

fn principal(row: &Row) -> Result<PrincipalRow, Error> {
    const T: &str = "principals";
    Ok(PrincipalRow {
        id: row.parse(T, "id", "id")?,
        kind: row.parse(T, "kind", "id")?,
        issuer: row.parse(T, "issuer", "id")?,
        subject: row.parse(T, "subject", "id")?,
        label: row.text("label")?,
        created_at: row.time("created_at")?,
    })
}
