//! Statements of consent, and their effect on recordings.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::{
    error::Error,
    parties::{self, PartyNaming, Vouched},
    table::{TableRow, table},
    tx::{Arg, Tx, set},
};
use crate::{
    model::{
        actor::Actor,
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, RecordingId, SubjectId},
        name::{LegName, Purpose},
        recording::Recording,
        sid::AccountSid,
        subject::{Conversation, Party},
        time::Timestamp,
    },
    policy::Consents,
};

/// A statement with the data that only the database needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    /// The statement.
    pub statement: Statement,
    /// The accounts for whose recordings it counts; empty means all. A callback speaks for its own
    /// account only.
    pub accounts: BTreeSet<AccountSid>,
    /// The sealed address and reference to the evidence; empty if there is neither.
    pub evidence: Vec<u8>,
    /// The actor who reported it.
    pub recorded_by: Actor,
    /// The accounts whose recordings a refusal releases for shredding when their quarantine ends.
    pub vouched: Vouched,
}

impl ConsentRow {
    /// Returns whether it counts for the recordings of an account.
    pub fn counts_for(&self, account: &AccountSid) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }
}

/// Ids looked up by one query.
const LOOKED_UP: usize = 2000;

table! {
    "consents" { subject: Some("id"), only_grows: true }

    #[derive(Debug)]
    pub(super) struct StoredConsent {
        key {
            id: ConsentId = "id",
        }
        subject: Option<SubjectId> = "subject",
        conversation: Option<Conversation> = "conversation",
        leg: Option<LegName> = "leg",
        accounts: BTreeSet<AccountSid> = "accounts",
        purposes: BTreeSet<Purpose> = "purposes",
        answer: Answer = "answer",
        method: Method = "method",
        disclosure: Option<String> = "disclosure",
        policy_version: Option<String> = "policy_version",
        evidence: Vec<u8> = "evidence",
        said_at: Timestamp = "said_at",
        recorded_at: Timestamp = "recorded_at",
        recorded_by: Actor = "recorded_by",
        vouched_for: String = "vouched_for",
    }
}

const COLUMNS: &str = StoredConsent::COLUMNS;

/// Returns the statements that are stored.
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

/// Inserts the statements that are not stored yet and returns their ids.
///
/// # Errors
/// [`Error::Conflict`] if another writer inserted one of them meanwhile. A retry of the unit finds
/// it.
pub async fn insert_new(tx: &mut Tx, rows: &[ConsentRow]) -> Result<BTreeSet<ConsentId>, Error> {
    const SQL: &str = formatcp!("/* consents.insert */ {}", StoredConsent::INSERT_INTO);
    let ids: Vec<ConsentId> = rows.iter().map(|row| row.statement.id).collect();
    // Not by `ON CONFLICT`: SQLite runs the triggers first, and they refuse a second row.
    let known = known(tx, &ids).await?;
    let fresh: BTreeMap<ConsentId, &ConsentRow> = rows
        .iter()
        .rev()
        .map(|row| (row.statement.id, row))
        .filter(|(id, _)| !known.contains(id))
        .collect();
    let stored: Vec<_> = fresh
        .values()
        .map(|row| StoredConsent::from(*row))
        .collect();
    tx.insert_rows(SQL, &stored).await?;
    Ok(fresh.into_keys().collect())
}

impl From<&ConsentRow> for StoredConsent {
    fn from(row: &ConsentRow) -> Self {
        let said = row.statement.clone();
        let (subject, conversation, leg) = match said.whom {
            Whom::Subject(subject) => (Some(subject), None, None),
            Whom::Leg(conversation, leg) => (None, Some(conversation), leg),
        };
        Self {
            id: said.id,
            subject,
            conversation,
            leg,
            accounts: row.accounts.clone(),
            purposes: said.purposes,
            answer: said.answer,
            method: said.method,
            disclosure: said.disclosure,
            policy_version: said.policy_version,
            evidence: row.evidence.clone(),
            said_at: said.at,
            recorded_at: said.recorded_at,
            recorded_by: row.recorded_by,
            vouched_for: row.vouched.as_str().to_owned(),
        }
    }
}

impl TryFrom<StoredConsent> for ConsentRow {
    type Error = Error;

    fn try_from(row: StoredConsent) -> Result<Self, Error> {
        let whom = match (row.subject, row.conversation) {
            (Some(subject), _) => Whom::Subject(subject),
            (None, Some(conversation)) => Whom::Leg(conversation, row.leg),
            (None, None) => return Err(StoredConsent::TABLE.inconsistent("conversation", row.id)),
        };
        let statement = Statement {
            id: row.id,
            whom,
            purposes: row.purposes,
            answer: row.answer,
            method: row.method,
            disclosure: row.disclosure,
            policy_version: row.policy_version,
            at: row.said_at,
            recorded_at: row.recorded_at,
        };
        Ok(Self {
            statement,
            accounts: row.accounts,
            evidence: row.evidence,
            recorded_by: row.recorded_by,
            vouched: Vouched::kept(row.vouched_for),
        })
    }
}

/// Returns every statement about these people or conversations, in no order, for whichever account
/// it counts.
pub async fn find(
    tx: &mut Tx,
    subjects: &[SubjectId],
    conversations: &[Conversation],
) -> Result<Vec<ConsentRow>, Error> {
    // Two halves, each with its own index: a statement is about a person or about a conversation.
    const SQL: &str = formatcp!(
        "/* consents.find */
        SELECT {COLUMNS} FROM consents WHERE subject IN (SELECT key FROM json_each($1))
        UNION ALL SELECT {COLUMNS} FROM consents WHERE conversation IN (SELECT key FROM json_each($2))"
    );
    if subjects.is_empty() && conversations.is_empty() {
        return Ok(Vec::new());
    }
    let args = [set(subjects), set(conversations)];
    tx.fetch_rows(SQL, &[Arg::Text(&args[0]), Arg::Text(&args[1])])
        .await?
        .into_iter()
        .map(|row: StoredConsent| ConsentRow::try_from(row))
        .collect()
}

/// Returns a page of the statements about a person, and about the legs of conversations that were
/// theirs, oldest first, after the given one.
pub async fn page(
    tx: &mut Tx,
    subject: SubjectId,
    after: Option<(Timestamp, ConsentId)>,
    limit: i64,
) -> Result<Vec<ConsentRow>, Error> {
    const SQL: &str = formatcp!(
        "/* consents.page */
        SELECT {COLUMNS} FROM consents
        WHERE id IN (SELECT id FROM consents WHERE subject = $1
            UNION SELECT consents.id FROM parties JOIN consents ON consents.conversation = parties.conversation
            WHERE parties.subject = $1 AND (consents.leg IS NULL OR consents.leg = parties.leg)
              AND (parties.account = '*' OR consents.accounts = '[]' OR consents.accounts LIKE '%' || parties.account || '%'))
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
    let rows: Vec<StoredConsent> = tx.fetch_rows(SQL, &args).await?;
    rows.into_iter().map(ConsentRow::try_from).collect()
}

/// Returns, for each recording, its parties and every statement that may apply to them. The parties
/// are those of the recording's conference, if any are named, and otherwise those of its call: a
/// call is one leg of a conference.
pub async fn gather(
    tx: &mut Tx,
    recordings: &[Recording],
) -> Result<BTreeMap<RecordingId, Consents>, Error> {
    gather_those(tx, recordings, |_, _| true).await
}

/// Like [`gather`], but ignores parties and refusals that came from callers without the `revoke`
/// action. A recording that is uncovered even so may be shredded.
pub async fn gather_vouched(
    tx: &mut Tx,
    recordings: &[Recording],
) -> Result<BTreeMap<RecordingId, Consents>, Error> {
    gather_those(tx, recordings, |vouched, recording| {
        vouched.is_for(recording.account())
    })
    .await
}

async fn gather_those(
    tx: &mut Tx,
    recordings: &[Recording],
    counts: impl Fn(&Vouched, &Recording) -> bool,
) -> Result<BTreeMap<RecordingId, Consents>, Error> {
    let of = |recording: &Recording| -> Vec<Conversation> { recording.conversations().collect() };
    let conversations: BTreeSet<Conversation> = recordings.iter().flat_map(of).collect();
    let conversations: Vec<Conversation> = conversations.into_iter().collect();
    let mut named = BTreeMap::new();
    for conversations in conversations.chunks(LOOKED_UP) {
        named.extend(parties::namings(tx, conversations).await?);
    }
    let subjects: BTreeSet<SubjectId> = named
        .values()
        .flatten()
        .filter_map(|named: &PartyNaming| named.party.subject)
        .collect();
    let subjects: Vec<SubjectId> = subjects.into_iter().collect();
    let mut said: BTreeMap<Whose, Vec<ConsentRow>> = BTreeMap::new();
    for row in find(tx, &subjects, &conversations).await? {
        said.entry(Whose::of(&row.statement)).or_default().push(row);
    }
    let consents = |recording: &Recording| {
        let conversations = of(recording);
        let parties: Vec<Party> = conversations
            .iter()
            .filter_map(|conversation| named.get(conversation))
            .map(|named| {
                let counted = named.iter().filter(|named| {
                    named.scope.is_for(recording.account())
                        && recording.is_of(&named.party)
                        && counts(&named.vouched, recording)
                });
                parties::together(counted.cloned())
            })
            .find(|parties: &Vec<Party>| !parties.is_empty())
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
            .filter(|row| row.counts_for(recording.account()))
            .filter(|row| !row.statement.answer.is_no() || counts(&row.vouched, recording))
            .map(|row| row.statement.clone())
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

/// The key by which a statement is found.
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
