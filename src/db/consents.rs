//! Statements of consent, and what they make of recordings.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    error::Error,
    parties,
    row::Row,
    tx::{Arg, Tx, set},
};
use crate::{
    model::{
        actor::Actor,
        consent::{Statement, Whom},
        id::{ConsentId, RecordingId, SubjectId},
        name::LegName,
        recording::Recording,
        subject::{Conversation, Party},
        time::Timestamp,
    },
    policy::Consents,
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

/// Ids looked up by one query.
const LOOKED_UP: usize = 2000;

const COLUMNS: &str = "id, subject, conversation, leg, purposes, answer, method, disclosure, policy_version, said_at, recorded_at";

/// Those of these statements that are there.
pub async fn known(tx: &mut Tx, ids: &[ConsentId]) -> Result<BTreeSet<ConsentId>, Error> {
    const SQL: &str =
        "/* consents.known */ SELECT id FROM consents WHERE id IN (SELECT key FROM json_each($1))";
    let mut known = BTreeSet::new();
    for ids in ids.chunks(LOOKED_UP) {
        for row in tx.fetch_all(SQL, &[Arg::Text(&set(ids))]).await? {
            known.insert(row.parse("consents", "id", "id")?);
        }
    }
    Ok(known)
}

/// Enters those of these statements that are not there; which.
///
/// # Errors
/// [`Error::Conflict`] if somebody else entered one of them meanwhile: the unit is to be repeated,
/// and will find it.
pub async fn insert_new(tx: &mut Tx, rows: &[ConsentRow]) -> Result<BTreeSet<ConsentId>, Error> {
    const SQL: &str = "/* consents.insert */
        INSERT INTO consents (id, subject, conversation, leg, purposes, answer, method, disclosure, policy_version, evidence, said_at,
          recorded_at, recorded_by)";
    let ids: Vec<ConsentId> = rows.iter().map(|row| row.statement.id).collect();
    // Not by `ON CONFLICT`: SQLite asks the triggers first, and they refuse a second row.
    let known = known(tx, &ids).await?;
    let fresh: BTreeMap<ConsentId, &ConsentRow> = rows
        .iter()
        .rev()
        .map(|row| (row.statement.id, row))
        .filter(|(id, _)| !known.contains(id))
        .collect();
    let texts: Vec<_> = fresh.values().map(|row| Texts::of(row)).collect();
    let args: Vec<Arg<'_>> = fresh
        .values()
        .zip(&texts)
        .flat_map(|(row, texts)| row.args(texts))
        .collect();
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
        let purposes =
            serde_json::to_string(&row.statement.purposes).expect("names have a JSON form");
        Self {
            id: row.statement.id.to_string(),
            subject,
            purposes,
            recorded_by: row.recorded_by.to_string(),
        }
    }
}

impl ConsentRow {
    fn args<'a>(&'a self, texts: &'a Texts) -> [Arg<'a>; 13] {
        let said = &self.statement;
        let (conversation, leg) = match &said.whom {
            Whom::Subject(_) => (None, None),
            Whom::Leg(conversation, leg) => (
                Some(conversation.as_str()),
                leg.as_ref().map(LegName::as_str),
            ),
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

/// Every statement about these people, and about these conversations; in no order.
pub async fn find(
    tx: &mut Tx,
    subjects: &[SubjectId],
    conversations: &[Conversation],
) -> Result<Vec<Statement>, Error> {
    if subjects.is_empty() && conversations.is_empty() {
        return Ok(Vec::new());
    }
    // Two halves, each by its own index: a statement is about a person or about a conversation.
    let sql = format!(
        "/* consents.find */
        SELECT {COLUMNS} FROM consents WHERE subject IN (SELECT key FROM json_each($1))
        UNION ALL SELECT {COLUMNS} FROM consents WHERE conversation IN (SELECT key FROM json_each($2))"
    );
    let args = [set(subjects), set(conversations)];
    tx.fetch_all(&sql, &[Arg::Text(&args[0]), Arg::Text(&args[1])])
        .await?
        .iter()
        .map(statement)
        .collect()
}

/// A page of the statements about somebody, and about places in conversations that were theirs;
/// oldest first, after this one.
pub async fn page(
    tx: &mut Tx,
    subject: SubjectId,
    after: Option<(Timestamp, ConsentId)>,
    limit: i64,
) -> Result<Vec<ConsentRow>, Error> {
    let sql = format!(
        "/* consents.page */
        SELECT {COLUMNS}, evidence, recorded_by FROM consents
        WHERE id IN (SELECT id FROM consents WHERE subject = $1
            UNION SELECT consents.id FROM parties JOIN consents ON consents.conversation = parties.conversation
            WHERE parties.subject = $1 AND (consents.leg IS NULL OR consents.leg = parties.leg))
          AND (recorded_at, id) > ($2, $3)
        ORDER BY recorded_at, id LIMIT $4"
    );
    let (at, id) = after.map_or((i64::MIN, String::new()), |(at, id)| {
        (at.as_millis(), id.to_string())
    });
    let args = [
        Arg::Text(&subject.to_string()),
        Arg::Int(at),
        Arg::Text(&id),
        Arg::Int(limit),
    ];
    let rows = tx.fetch_all(&sql, &args).await?;
    let whole = |row: &Row| {
        let recorded_by = row.parse("consents", "recorded_by", "id")?;
        Ok(ConsentRow {
            statement: statement(row)?,
            evidence: row.bytes("evidence")?,
            recorded_by,
        })
    };
    rows.iter().map(whole).collect()
}

/// For each of these recordings its parties, and every statement that may bear on them. The parties
/// are those of its conference, if any of them are named, and otherwise those of its call: a call
/// is one leg of a conference.
pub async fn gather(
    tx: &mut Tx,
    recordings: &[Recording],
) -> Result<BTreeMap<RecordingId, Consents>, Error> {
    let of = |recording: &Recording| -> Vec<Conversation> { recording.conversations().collect() };
    let conversations: BTreeSet<Conversation> = recordings.iter().flat_map(of).collect();
    let conversations: Vec<Conversation> = conversations.into_iter().collect();
    let mut named = BTreeMap::new();
    for conversations in conversations.chunks(LOOKED_UP) {
        named.extend(parties::of(tx, conversations).await?);
    }
    let subjects: BTreeSet<SubjectId> = named
        .values()
        .flatten()
        .filter_map(|party: &Party| party.subject)
        .collect();
    let subjects: Vec<SubjectId> = subjects.into_iter().collect();
    let mut said: BTreeMap<Whose, Vec<Statement>> = BTreeMap::new();
    for statement in find(tx, &subjects, &conversations).await? {
        said.entry(Whose::of(&statement))
            .or_default()
            .push(statement);
    }
    let consents = |recording: &Recording| {
        let conversations = of(recording);
        let parties = conversations
            .iter()
            .find_map(|conversation| named.get(conversation))
            .cloned()
            .unwrap_or_default();
        let theirs: BTreeSet<SubjectId> =
            parties.iter().filter_map(|party| party.subject).collect();
        let keys = theirs
            .into_iter()
            .map(Whose::Subject)
            .chain(conversations.into_iter().map(Whose::Conversation));
        let statements = keys
            .filter_map(|key| said.get(&key))
            .flatten()
            .cloned()
            .collect();
        (
            recording.id,
            Consents {
                parties,
                statements,
            },
        )
    };
    Ok(recordings.iter().map(consents).collect())
}

/// By what a statement is found.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Subject(SubjectId),
    Conversation(Conversation),
}

impl Whose {
    fn of(statement: &Statement) -> Self {
        match &statement.whom {
            Whom::Subject(subject) => Self::Subject(*subject),
            Whom::Leg(conversation, _) => Self::Conversation(conversation.clone()),
        }
    }
}

fn statement(row: &Row) -> Result<Statement, Error> {
    const T: &str = "consents";
    let subject: Option<SubjectId> = row.maybe_parse(T, "subject", "id")?;
    let whom = match subject {
        Some(subject) => Whom::Subject(subject),
        None => {
            let conversation = row
                .maybe_parse(T, "conversation", "id")?
                .ok_or_else(|| row.inconsistent(T, "conversation", "id"))?;
            Whom::Leg(conversation, row.maybe_parse(T, "leg", "id")?)
        }
    };
    Ok(Statement {
        id: row.parse(T, "id", "id")?,
        whom,
        purposes: row.json(T, "purposes", "id")?,
        answer: row.parse(T, "answer", "id")?,
        method: row.parse(T, "method", "id")?,
        disclosure: row.maybe_text("disclosure")?,
        policy_version: row.maybe_text("policy_version")?,
        at: row.time("said_at")?,
        recorded_at: row.time("recorded_at")?,
    })
}
