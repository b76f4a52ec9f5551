//! Statements of consent.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Error,
    tx::{Arg, Tx, set},
};
use crate::model::{
    actor::Actor,
    consent::{Statement, Whom},
    id::ConsentId,
    name::LegName,
};

/// A statement with what only its keeper needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// The statement.
    pub statement: Statement,
    /// Address and reference to the evidence, sealed; empty if there is neither.
    pub evidence: Vec<u8>,
    /// Who told the vault.
    pub recorded_by: Actor,
}

/// Those of these statements that are there.
pub async fn known(tx: &mut Tx, ids: &[ConsentId]) -> Result<BTreeSet<ConsentId>, Error> {
    const SQL: &str = "/* consents.known */ SELECT id FROM consents WHERE id IN (SELECT key FROM json_each($1))";
    let rows = tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await?;
    rows.iter().map(|row| row.parse("consents", "id", "id")).collect()
}

/// Enters those of these statements that are not there; which.
pub async fn insert_new(tx: &mut Tx, rows: &[ConsentRow]) -> Result<BTreeSet<ConsentId>, Error> {
    const SQL: &str = "/* consents.insert */
        INSERT INTO consents (id, subject, conversation, leg, purposes, answer, method, disclosure, policy_version, evidence, said_at,
          recorded_at, recorded_by)";
    let ids: Vec<ConsentId> = rows.iter().map(|row| row.statement.id).collect();
    let known = known(tx, &ids).await?;
    let fresh: BTreeMap<ConsentId, &ConsentRow> =
        rows.iter().rev().map(|row| (row.statement.id, row)).filter(|(id, _)| !known.contains(id)).collect();
    let texts: Vec<_> = fresh.values().map(|row| Texts::of(row)).collect();
    let args: Vec<Arg<'_>> = fresh.values().zip(&texts).flat_map(|(row, texts)| row.args(texts)).collect();
    tx.insert_all(SQL, 13, &args).await?;
    Ok(fresh.into_keys().collect())
}

/// What is text in a row and not in a statement.
struct Texts {
    id: String,
    subject: Option<String>,
    purposes: String,
    recorded_by: String,
}

impl Texts {
    fn of(row: &ConsentRow) -> Self {
        let subject = match &row.statement.whom {
            Whom::Subject(subject) => Some(subject.to_string()),
            Whom::Leg(..) => None,
        };
        let purposes = serde_json::to_string(&row.statement.purposes).expect("names have a JSON form");
        Self { id: row.statement.id.to_string(), subject, purposes, recorded_by: row.recorded_by.to_string() }
    }
}

impl ConsentRow {
    fn args<'a>(&'a self, texts: &'a Texts) -> [Arg<'a>; 13] {
        let said = &self.statement;
        let (conversation, leg) = match &said.whom {
            Whom::Subject(_) => (None, None),
            Whom::Leg(conversation, leg) => (Some(conversation.as_str()), leg.as_ref().map(LegName::as_str)),
        };
        [
            Arg::Text(&texts.id),
            Arg::MaybeText(texts.subject.as_deref()),
            Arg::MaybeText(conversation),
            Arg::MaybeText(leg),
            Arg::Text(&texts.purposes),
            Arg::Text(said.answer.as_str()),
            Arg::Text(said.method.as_str()),
            Arg::MaybeText(said.disclosure.as_deref()),
            Arg::MaybeText(said.policy_version.as_deref()),
            Arg::Bytes(&self.evidence),
            Arg::Int(said.at.as_millis()),
            Arg::Int(said.recorded_at.as_millis()),
            Arg::Text(&texts.recorded_by),
        ]
    }
}
