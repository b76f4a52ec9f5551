//! Persons and services that act. Rows are never removed, because the audit log refers to their
//! ids.

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

/// The issuer of principals that are named at the command line. No OIDC issuer has this name:
/// theirs begin with `https://`.
pub const LOCAL: &str = "local";

table! {
    "principals" { subject: Some("id") }

    /// A principal as shown to the operator.
    #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
    pub struct PrincipalRow {
        key {
            /// The id of the principal.
            pub id: PrincipalId = "id",
        }
        /// A person or a service.
        pub kind: PrincipalKind = "kind",
        /// The issuer of the subject: [`LOCAL`], or an OIDC issuer.
        pub issuer: PrincipalIssuer = "issuer",
        /// The issuer's name for the principal; unique per issuer.
        pub subject: PrincipalSubject = "subject",
        /// The name that lists show.
        pub label: String = "label",
        /// When the principal was first named.
        pub created_at: Timestamp = "created_at",
    }
}

const COLUMNS: &str = PrincipalRow::COLUMNS;

/// Returns the principal with this issuer and subject, and inserts it if there is none yet. A
/// single statement, so that two processes that name the same principal concurrently create one
/// row.
pub async fn find_or_insert(tx: &mut Tx, wanted: &PrincipalRow) -> Result<PrincipalRow, Error> {
    const SQL: &str = formatcp!(
        "/* principals.find_or_insert */ {}
        ON CONFLICT (issuer, subject) DO UPDATE SET label = principals.label RETURNING {COLUMNS}",
        PrincipalRow::INSERT
    );
    let mut rows = tx.insert_returning(SQL, wanted).await?;
    rows.pop().ok_or_else(Error::no_row)
}

/// Returns one principal.
pub async fn find(tx: &mut Tx, id: PrincipalId) -> Result<Option<PrincipalRow>, Error> {
    const SQL: &str =
        formatcp!("/* principals.find */ SELECT {COLUMNS} FROM principals WHERE id = $1");
    tx.fetch_row(SQL, &[Arg::Text(&id.to_string())]).await
}

/// Returns the principal with this issuer and subject.
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

/// Returns the principal with this name at the command line.
pub async fn find_local(
    tx: &mut Tx,
    subject: &PrincipalSubject,
) -> Result<Option<PrincipalRow>, Error> {
    find_named(tx, LOCAL, subject.as_str()).await
}

/// Returns all principals, oldest first.
pub async fn list(tx: &mut Tx) -> Result<Vec<PrincipalRow>, Error> {
    const SQL: &str =
        formatcp!("/* principals.list */ SELECT {COLUMNS} FROM principals ORDER BY created_at, id");
    tx.fetch_rows(SQL, &[]).await
}
