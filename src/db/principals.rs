//! Persons and services that act. Rows are never removed: the audit log names them by their id.

use const_format::formatcp;

use super::{
    error::Error,
    table::{TableRow as _, table},
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

table! {
    "principals" { subject: Some("id") }

    /// A principal, as the operator sees them.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
    pub struct PrincipalRow {
        key {
            /// Their id.
            pub id: PrincipalId = "id",
        }
        /// A person or a service.
        pub kind: PrincipalKind = "kind",
        /// Who vouches for the subject: [`LOCAL`], else an OIDC issuer.
        pub issuer: PrincipalIssuer = "issuer",
        /// What the issuer calls them; with the issuer, unique.
        pub subject: PrincipalSubject = "subject",
        /// What lists show.
        pub label: String = "label",
        /// When they were first named.
        pub created_at: Timestamp = "created_at",
    }
}

const COLUMNS: &str = PrincipalRow::COLUMNS;

/// The principal whom this issuer calls so; entered as given if there is none yet. One statement,
/// so that two processes that name somebody at the same time name one principal.
pub async fn find_or_insert(tx: &mut Tx, wanted: &PrincipalRow) -> Result<PrincipalRow, Error> {
    const SQL: &str = formatcp!(
        "/* principals.find_or_insert */ {}
        ON CONFLICT (issuer, subject) DO UPDATE SET label = principals.label RETURNING {COLUMNS}",
        PrincipalRow::INSERT
    );
    let mut rows = tx.insert_returning(SQL, wanted).await?;
    rows.pop().ok_or_else(Error::no_row)
}

/// One principal.
pub async fn find(tx: &mut Tx, id: PrincipalId) -> Result<Option<PrincipalRow>, Error> {
    const SQL: &str =
        formatcp!("/* principals.find */ SELECT {COLUMNS} FROM principals WHERE id = $1");
    tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await
}

/// The principal whom this issuer calls so.
pub async fn find_named(
    tx: &mut Tx,
    issuer: &str,
    subject: &str,
) -> Result<Option<PrincipalRow>, Error> {
    const SQL: &str = formatcp!(
        "/* principals.find_named */ SELECT {COLUMNS} FROM principals WHERE issuer = $1 AND subject = $2"
    );
    tx.fetch_row(SQL, &[Arg::Text(issuer), Arg::Text(subject)])
        .await
}

/// The principal named so at the command line.
pub async fn find_local(
    tx: &mut Tx,
    subject: &PrincipalSubject,
) -> Result<Option<PrincipalRow>, Error> {
    find_named(tx, LOCAL, subject.as_str()).await
}

/// All of them, oldest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<PrincipalRow>, Error> {
    const SQL: &str =
        formatcp!("/* principals.list */ SELECT {COLUMNS} FROM principals ORDER BY created_at, id");
    tx.fetch_rows(SQL, &[]).await
}
