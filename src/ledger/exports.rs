//! What is known about one person, for an export: the recordings that they took part in, and the statements about them.

use super::{
    Error,
    row::Row,
    tx::{Arg, Tx},
};
use crate::model::{
    actor::Actor,
    consent::{Statement, Whom},
    id::{RecordingId, SubjectId},
    subject::Conversation,
};

/// A statement of consent with what is sealed in it.
#[derive(Clone, Debug)]
pub struct SealedStatement {
    /// What was said.
    pub statement: Statement,
    /// What [`crate::vault`] sealed with it; empty if there is nothing.
    pub evidence: Vec<u8>,
    /// Who recorded it.
    pub recorded_by: Actor,
}

/// The recordings of every conversation in which this person has a place, in the order of their ids, after `after`. Of a conference, also what was recorded
/// of their own call.
pub async fn recordings(tx: &mut Tx, subject: SubjectId, after: Option<RecordingId>, limit: i64) -> Result<Vec<RecordingId>, Error> {
    const SQL: &str = "/* exports.recordings */
        SELECT id FROM (
          SELECT recordings.id FROM parties JOIN recordings ON recordings.conference_sid = parties.conversation WHERE parties.subject = $1
          UNION
          SELECT recordings.id FROM parties JOIN recordings ON recordings.call_sid = parties.conversation WHERE parties.subject = $1
        ) AS theirs WHERE id > $2 ORDER BY id LIMIT $3";
    let (subject, after) = (subject.to_string(), after.map(|id| id.to_string()).unwrap_or_default());
    let rows = tx.fetch_all(SQL, &[Arg::Text(&subject), Arg::Text(&after), Arg::Int(limit)]).await?;
    rows.iter().map(|row| row.parse("recordings", "id", "id")).collect()
}

/// Every statement about this person: by name, or about their place in a conversation. In the order in which the vault learnt of them.
pub async fn statements(tx: &mut Tx, subject: SubjectId) -> Result<Vec<SealedStatement>, Error> {
    const SQL: &str = "/* exports.statements */
        SELECT id, subject, conversation, leg, purposes, answer, method, disclosure, policy_version, evidence, said_at, recorded_at, recorded_by
        FROM consents
        WHERE subject = $1
           OR EXISTS (SELECT 1 FROM parties WHERE parties.subject = $1 AND parties.conversation = consents.conversation
                        AND (consents.leg IS NULL OR consents.leg = parties.leg))
        ORDER BY recorded_at, id";
    tx.fetch_all(SQL, &[Arg::Text(&subject.to_string())]).await?.iter().map(statement).collect()
}

fn statement(row: &Row) -> Result<SealedStatement, Error> {
    const T: &str = "consents";
    let subject: Option<SubjectId> = row.maybe_parse(T, "subject", "id")?;
    let conversation: Option<Conversation> = row.maybe_parse(T, "conversation", "id")?;
    let whom = match (subject, conversation) {
        (Some(subject), None) => Whom::Subject(subject),
        (None, Some(conversation)) => Whom::Leg(conversation, row.maybe_parse(T, "leg", "id")?),
        _ => return Err(row.inconsistent(T, "subject", "id")),
    };
    Ok(SealedStatement {
        statement: Statement {
            id: row.parse(T, "id", "id")?,
            whom,
            purposes: row.json(T, "purposes", "id")?,
            answer: row.parse(T, "answer", "id")?,
            method: row.parse(T, "method", "id")?,
            disclosure: row.maybe_text("disclosure")?,
            policy_version: row.maybe_text("policy_version")?,
            at: row.time("said_at")?,
            recorded_at: row.time("recorded_at")?,
        },
        evidence: row.bytes("evidence")?,
        recorded_by: row.parse(T, "recorded_by", "id")?,
    })
}
