//! Consent: who took part in a conversation, and what they said about it.
//!
//! Owns how statements come in, and what follows from them at once: who was waiting for them is
//! released, who has withdrawn is let go of. Refuses to know what a statement is worth for a
//! decision. INVARIANT: an address is turned into a keyed hash before anything is looked up or
//! written, and is kept only sealed.

pub(super) mod call;
pub(super) mod correction;
pub(super) mod effects;
mod fields;
mod import;
pub(super) mod message;
mod participants;
pub(super) mod parties;
mod statement;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use aws_lc_rs::digest;
use serde_json::json;

use self::effects::Effects;
use super::{
    bells::Bells,
    erasure::quarantine::{ConsentChange, Deadline, Settled},
    error::Error,
    page::{self, Page},
};
use crate::{
    db::{
        Db,
        consents::{self, ConsentRow},
        outbox::OutboxKind,
        parties::Vouched,
        quarantine::{self, Bearing},
    },
    evidence::NewEntry,
    model::{
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, SubjectId},
        name::LegName,
        subject::{Address, Conversation},
        text::Reference,
        time::{Clock, Timestamp},
    },
    policy::{Permit, Rulebook, action},
    vault::Vault,
};
pub use call::{CONSENT_STEP_LIMIT, Instruction, Over, Then};
pub use import::{ImportFormat, MAX_FILE, MAX_STATEMENTS, StatementFaults};
pub use statement::{About, FieldFault, NewStatement};

/// Statements that stand.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Their ids, in their order.
    pub ids: Vec<ConsentId>,
    /// How many of them were not known before.
    pub fresh: usize,
    /// What followed from them.
    pub settled: Settled,
}

/// What a file of statements would do, or did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Imported {
    /// Statements in it.
    pub statements: usize,
    /// How many of them were not known before.
    pub fresh: usize,
    /// What followed from them.
    #[serde(flatten)]
    pub settled: Settled,
}

/// What people said, and what follows from it.
pub struct ConsentRegister {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    bells: Bells,
    effects: Effects,
}

impl ConsentRegister {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        bells: Bells,
        effects: Effects,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            bells,
            effects,
        }
    }

    /// Records statements of consent: all of them, or none. What was told before is recognised.
    ///
    /// A statement without a time is of now, and of the policy that is in force now unless it names
    /// another. With a time, it is of the version that it names, or of none.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a permit that does not cover a recording of
    /// a conversation that is named; [`Error::Invalid`] with every fault.
    pub async fn record(
        &self,
        permit: &Permit<action::Consent>,
        statements: Vec<NewStatement>,
    ) -> Result<Recorded, Error> {
        let mut faults = StatementFaults::of("statement");
        for (number, statement) in (1..).zip(&statements) {
            statement
                .check(&self.rulebook, self.clock.now(), false)
                .into_iter()
                .for_each(|fault| faults.add(number, fault));
        }
        faults
            .none()
            .map_err(|faults| Error::Invalid(faults.to_string()))?;
        self.enter(permit, &statements).await
    }

    /// Takes in a file of statements: all of it, or nothing; with `dry_run` only says what would be
    /// recorded. Taking it in again changes nothing.
    ///
    /// # Errors
    /// As [`Self::record`]; each fault names its line.
    pub async fn import(
        &self,
        permit: &Permit<action::Consent>,
        format: ImportFormat,
        bytes: &[u8],
        dry_run: bool,
    ) -> Result<Imported, Error> {
        let (told, mut faults) = import::parse(format, bytes);
        for (line, statement) in &told {
            statement
                .check(&self.rulebook, self.clock.now(), true)
                .into_iter()
                .for_each(|fault| faults.add(*line, fault));
        }
        faults
            .none()
            .map_err(|faults| Error::Invalid(faults.to_string()))?;
        let statements: Vec<NewStatement> =
            told.into_iter().map(|(_, statement)| statement).collect();
        if dry_run {
            let now = self.clock.now();
            let vouched = Vouched::by(permit.also(action::Revoke).as_ref());
            let ids: BTreeSet<ConsentId> = statements
                .iter()
                .map(|told| self.id_of(told, &self.whom(told), &vouched, now))
                .collect();
            let ids: Vec<ConsentId> = ids.into_iter().collect();
            let known = consents::known(&mut self.db.read().await?, &ids).await?;
            return Ok(Imported {
                statements: statements.len(),
                fresh: ids.len() - known.len(),
                settled: Settled::default(),
            });
        }
        let Recorded {
            ids,
            fresh,
            settled,
        } = self.enter(permit, &statements).await?;
        Ok(Imported {
            statements: ids.len(),
            fresh,
            settled,
        })
    }

    /// A page of what somebody said, oldest first, and of what was said at places in conversations that were
    /// theirs. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that does not
    /// cover every account.
    pub async fn of(
        &self,
        permit: &Permit<action::Consent>,
        address: &Address,
        after: Option<(Timestamp, ConsentId)>,
        limit: u16,
    ) -> Result<Page<ConsentRow, (Timestamp, ConsentId)>, Error> {
        everywhere(permit)?;
        let subject = self.vault.subject(address);
        let mut tx = self.db.read().await?;
        let rows = consents::page(&mut tx, subject, after, page::rows(limit)).await?;
        Ok(Page::cut(rows, limit, |last| {
            (last.statement.recorded_at, last.statement.id)
        }))
    }

    async fn enter(
        &self,
        permit: &Permit<action::Consent>,
        told: &[NewStatement],
    ) -> Result<Recorded, Error> {
        if told
            .iter()
            .any(|told| matches!(told.about, About::Person(_)))
        {
            everywhere(permit)?;
        }
        let now = self.clock.now();
        let rows: Vec<ConsentRow> = told
            .iter()
            .map(|told| self.row(permit, told, now))
            .collect();
        let (mut subjects, mut conversations): (BTreeSet<SubjectId>, BTreeSet<Conversation>) =
            Default::default();
        for row in &rows {
            match &row.statement.whom {
                Whom::Subject(subject) => drop(subjects.insert(*subject)),
                Whom::Leg(conversation, _) => drop(conversations.insert(conversation.clone())),
            }
        }
        let narrows = rows.iter().any(|row| row.statement.answer != Answer::Given);
        let news = ConsentChange {
            bearing: Bearing::of(&conversations, &subjects),
            actor: permit.initiator(),
            narrows,
            // A yes confirms nothing of what closed a recording.
            deadline: if narrows {
                Deadline::by(permit)
            } else {
                Deadline::None
            },
        };
        let conversations: Vec<Conversation> = conversations.into_iter().collect();
        let revoke = permit.also(action::Revoke);
        let unit = self.db.unit("consent.enter", async |mut unit| {
            covers(&mut unit, permit, &conversations).await?;
            let fresh = consents::insert_new(&mut unit, &rows).await?;
            let mut told = fresh.clone();
            let said: Vec<&Statement> = rows
                .iter()
                .map(|row| &row.statement)
                .filter(|said| told.remove(&said.id))
                .collect();
            let mut entries: Vec<NewEntry> = said
                .iter()
                .map(|said| NewEntry::consent_recorded(now, permit.initiator(), said))
                .collect();
            let withdrawn: Vec<&Statement> = said
                .into_iter()
                .filter(|said| said.answer == Answer::Withdrawn)
                .collect();
            let (withdrawals, begun) = match (withdrawn.as_slice(), &revoke) {
                ([], _) => Default::default(),
                (_, None) => return Err(no_leave_to_withdraw()),
                (withdrawn, Some(revoke)) => {
                    let revocations = &self.effects.revocations;
                    revocations
                        .begin_withdrawals(&mut unit, revoke, withdrawn, now)
                        .await?
                }
            };
            // Also for statements that were known: whoever tells them again may have been
            // interrupted.
            let (changes, next) = self
                .effects
                .quarantine
                .settle(&mut unit, &news, self.effects.quarantine.first_step(), now)
                .await?;
            let settled = Settled::of(&changes);
            entries.extend(changes);
            entries.extend(withdrawals);
            if !entries.is_empty() {
                unit.to_journal(OutboxKind::Consent, &fresh.iter().collect::<Vec<_>>(), now);
                unit.audit_all(entries);
            }
            Ok::<_, Error>((fresh.len(), settled, next, begun))
        });
        let (fresh, mut settled, next, begun) = unit.await?;
        self.effects
            .quarantine
            .settle_rest(&news, next, &mut settled)
            .await?;
        self.bells.journal.notify_one();
        self.effects.revocations.continue_for_a_while(&begun).await;
        if narrows {
            // A no counts as told only when it is in the store, too: a vault that is rebuilt from
            // there must know of it.
            self.vault.make_durable().await?;
        }
        Ok(Recorded {
            ids: rows.iter().map(|row| row.statement.id).collect(),
            fresh,
            settled,
        })
    }

    fn row(
        &self,
        permit: &Permit<action::Consent>,
        told: &NewStatement,
        now: Timestamp,
    ) -> ConsentRow {
        let whom = self.whom(told);
        let vouched = Vouched::by(permit.also(action::Revoke).as_ref());
        let id = self.id_of(told, &whom, &vouched, now);
        let address = match &told.about {
            About::Person(address) => Some(address.expose()),
            About::Place(..) => None,
        };
        let evidence = match (address, &told.evidence) {
            (None, None) => Vec::new(),
            (address, evidence) => self.vault.seal_evidence(
                id,
                &json!({ "address": address, "evidence": evidence }).to_string(),
            ),
        };
        let statement = Statement {
            id,
            whom,
            purposes: told.purposes.clone(),
            answer: told.answer,
            method: told.method,
            disclosure: told.disclosure.clone(),
            policy_version: self.version_of(told),
            // A clock that is a little ahead of ours means now; what is in the future counts for
            // nothing yet.
            at: told.at.unwrap_or(now).min(now),
            recorded_at: now,
        };
        ConsentRow {
            statement,
            evidence,
            recorded_by: permit.actor(),
            vouched,
        }
    }

    fn whom(&self, told: &NewStatement) -> Whom {
        match &told.about {
            About::Person(address) => Whom::Subject(self.vault.subject(address)),
            About::Place(conversation, leg) => Whom::Leg(conversation.clone(), leg.clone()),
        }
    }

    /// What happens now, happens under the policy in force. Of what happened before, only who tells
    /// it knows.
    fn version_of(&self, told: &NewStatement) -> Option<String> {
        let happens_now = told.at.is_none() && told.method != Method::Import;
        told.policy_version
            .clone()
            .or_else(|| happens_now.then(|| self.rulebook.current().version().to_owned()))
    }

    /// The id that comes of what was told, so that the same told twice is one statement. A no that
    /// is told by who may not revoke, and again by who may, is two.
    fn id_of(
        &self,
        told: &NewStatement,
        whom: &Whom,
        vouched: &Vouched,
        now: Timestamp,
    ) -> ConsentId {
        let (kind, whose, leg) = match whom {
            Whom::Subject(subject) => ("subject", subject.to_string(), ""),
            Whom::Leg(conversation, leg) => (
                "leg",
                conversation.to_string(),
                leg.as_ref().map_or("", LegName::as_str),
            ),
        };
        if let Some(once) = &told.once {
            let vault = self.vault.id();
            return self.vault.statement_id(&[
                vault.as_bytes(),
                b"once",
                once.as_bytes(),
                told.answer.as_str().as_bytes(),
            ]);
        }
        let purposes: Vec<&str> = told
            .purposes
            .iter()
            .map(|purpose| purpose.as_str())
            .collect();
        let vault = self.vault.id();
        let vouched = match told.answer {
            Answer::Given => "",
            Answer::Declined | Answer::Withdrawn => vouched.as_str(),
        };
        let at = told.at.unwrap_or(now).as_millis().to_be_bytes();
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let [version, disclosure] =
            [self.version_of(told), told.disclosure.clone()].map(|one| text(&one));
        let evidence = told
            .evidence
            .as_ref()
            .map(Reference::as_str)
            .unwrap_or_default();
        self.vault.statement_id(&[
            vault.as_bytes(),
            kind.as_bytes(),
            whose.as_bytes(),
            leg.as_bytes(),
            purposes.join(";").as_bytes(),
            told.answer.as_str().as_bytes(),
            told.method.as_str().as_bytes(),
            disclosure.as_bytes(),
            version.as_bytes(),
            evidence.as_bytes(),
            &at,
            vouched.as_bytes(),
        ])
    }
}

/// The digest by which a statement names the text that was disclosed.
fn disclosed(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// A withdrawal lets go of recordings.
fn no_leave_to_withdraw() -> Error {
    Error::Invalid(
        "`answer`: a withdrawal lets go of recordings, and your access does not come with the action `revoke`; nothing was recorded".into(),
    )
}

/// What is said of a person holds in every account; who may know of some only must not say it.
fn everywhere(permit: &Permit<action::Consent>) -> Result<(), Error> {
    if permit.accounts().is_empty() {
        return Ok(());
    }
    Err(Error::Invalid(
        "`subject`: a person spans all accounts, and your access does not cover all of them; name \
         `call` and `leg`"
            .into(),
    ))
}

/// Whether the permit covers what is known of these conversations: of one that nobody has recorded
/// yet, nobody's account is known.
async fn covers(
    tx: &mut crate::db::Tx,
    permit: &Permit<action::Consent>,
    conversations: &[Conversation],
) -> Result<(), Error> {
    if permit.accounts().is_empty() || conversations.is_empty() {
        return Ok(());
    }
    let accounts = quarantine::accounts_of(tx, conversations).await?;
    if accounts.iter().all(|account| permit.covers(account)) {
        Ok(())
    } else {
        Err(Error::NotFound)
    }
}
