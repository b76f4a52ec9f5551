//! Consent: the parties of conversations, and their statements.
//!
//! Owns the intake of statements and their immediate effects: recordings that were waiting for
//! consent are released, and recordings whose consent was withdrawn are shredded. Refuses to know
//! the weight of a statement in a decision. INVARIANT: an address is turned into a keyed hash
//! before anything is looked up or written, and is stored only sealed.

pub(super) mod call;
pub(super) mod correction;
pub(super) mod effects;
mod fields;
mod import;
pub(super) mod message;
mod participants;
pub(super) mod parties;
mod scope;
pub(super) mod statement;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use aws_lc_rs::digest;
use serde_json::json;

use self::{
    effects::Effects,
    scope::{covers, everywhere},
};
use super::{
    erasure::quarantine::{ConsentChange, Deadline, Settled},
    error::Error,
    page::{self, Page},
    wakeups::Wakeups,
};
use crate::{
    db::{
        Db,
        consents::{self, ConsentRow},
        name_locks::{self, LockName},
        outbox::OutboxKind,
        parties::Vouched,
        quarantine::AffectedScope,
    },
    evidence::NewEntry,
    model::{
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, SubjectId},
        name::LegName,
        sid::AccountSid,
        subject::{Address, Conversation},
        text::Reference,
        time::{Clock, Timestamp},
    },
    policy::{Permit, Rulebook, action},
    vault::Vault,
};
pub use call::{CONSENT_STEP_LIMIT, CallEnd, Instruction, NextStep};
pub use import::{ImportFormat, MAX_FILE, MAX_STATEMENTS, StatementFaults};
pub use statement::{About, FieldFault, NewStatement};

/// The result of recording statements.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The ids of the statements, in their order.
    pub ids: Vec<ConsentId>,
    /// The number of statements that were not stored before.
    pub fresh: usize,
    /// The effect on quarantine.
    pub settled: Settled,
}

/// The result of an import, or of its dry run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Imported {
    /// The number of statements in the file.
    pub statements: usize,
    /// The number of statements that were not stored before.
    pub fresh: usize,
    /// The ids of those, in a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would_record: Vec<ConsentId>,
    /// The effect on quarantine.
    #[serde(flatten)]
    pub settled: Settled,
}

/// Records statements of consent and applies their effects.
pub struct ConsentRegister {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Clock,
    wakeups: Wakeups,
    effects: Effects,
}

impl ConsentRegister {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Clock,
        wakeups: Wakeups,
        effects: Effects,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            wakeups,
            effects,
        }
    }

    /// Records statements of consent: all of them, or none. Statements that are stored already are
    /// recognised.
    ///
    /// A statement without a time is made now, under the policy in force now unless it names
    /// another. A statement with a time is made under the version that it names, or under none.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the permit does not cover a recording of a named conversation;
    /// [`Error::Invalid`] with every fault.
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

    /// Imports a file of statements: all of it, or nothing. With `dry_run` it only returns what
    /// would be recorded. Importing it again changes nothing.
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
                .map(|told| {
                    let whom = self.whom(told);
                    self.id_of(told, (&whom, permit.accounts()), &vouched, now)
                })
                .collect();
            let ids: Vec<ConsentId> = ids.into_iter().collect();
            let known = consents::known(&mut self.db.read().await?, &ids).await?;
            let mut would_record = ids;
            would_record.retain(|id| !known.contains(id));
            return Ok(Imported {
                statements: statements.len(),
                fresh: would_record.len(),
                would_record,
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
            would_record: Vec::new(),
            settled,
        })
    }

    /// Returns a page of the statements about a person and about the legs of conversations that
    /// were theirs, oldest first. `limit` is 1 to 1000.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a permit that does not cover every account.
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
        let narrows = rows.iter().any(|row| row.statement.answer.is_no());
        let news = ConsentChange {
            bearing: AffectedScope::of(&conversations, &subjects),
            actor: permit.initiator(),
            narrows,
            // A positive statement does not confirm the reason for which a recording was closed.
            deadline: if narrows {
                Deadline::by(permit)
            } else {
                Deadline::None
            },
        };
        let conversations: Vec<Conversation> = conversations.into_iter().collect();
        let revoke = permit.also(action::Revoke);
        let names = rows
            .iter()
            .map(|row| LockName::of_whom(&row.statement.whom));
        let names: BTreeSet<LockName> = names.collect();
        let unit = self.db.unit("consent.enter", async |mut unit| {
            name_locks::take_alone(&mut unit, &names).await?;
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
            // Also for statements that are stored already: an earlier call may have been
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
        self.wakeups.journal.notify_one();
        self.effects.revocations.continue_for_a_while(&begun).await;
        if narrows {
            // A refusal is acknowledged only when it is in the store, too, so that a vault that is
            // rebuilt from the store knows it.
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
        let id = self.id_of(told, (&whom, permit.accounts()), &vouched, now);
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
            // A time slightly ahead of this clock is taken as now, because a statement in the
            // future does not count yet.
            at: told.at.unwrap_or(now).min(now),
            recorded_at: now,
        };
        ConsentRow {
            statement,
            accounts: permit.accounts().clone(),
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

    /// Returns the policy version of a statement: by default the version in force for a statement
    /// made now, and none for an earlier one.
    fn version_of(&self, told: &NewStatement) -> Option<String> {
        let happens_now = told.at.is_none() && told.method != Method::Import;
        told.policy_version
            .clone()
            .or_else(|| happens_now.then(|| self.rulebook.current().version().to_owned()))
    }

    /// Derives the id from the content, so that a repeated statement is stored once. A refusal that
    /// is recorded without and later with the `revoke` action is stored twice.
    fn id_of(
        &self,
        told: &NewStatement,
        (whom, accounts): (&Whom, &BTreeSet<AccountSid>),
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
        // The same words count for fewer recordings if who told them may speak of some accounts only.
        let accounts: Vec<&str> = accounts.iter().map(AccountSid::as_str).collect();
        let accounts = accounts.join(" ");
        if let Some(once) = &told.once {
            let vault = self.vault.id();
            return self.vault.statement_id(&[
                vault.as_bytes(),
                b"once",
                once.as_bytes(),
                told.answer.as_str().as_bytes(),
                accounts.as_bytes(),
            ]);
        }
        let purposes: Vec<&str> = told
            .purposes
            .iter()
            .map(|purpose| purpose.as_str())
            .collect();
        let vault = self.vault.id();
        let vouched = match told.answer {
            Answer::Given | Answer::Informed => "",
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
            accounts.as_bytes(),
        ])
    }
}

/// Returns the digest that identifies the disclosed text in a statement.
pub(in crate::flow) fn disclosed(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// The error of a withdrawal without the `revoke` action: a withdrawal shreds recordings.
fn no_leave_to_withdraw() -> Error {
    Error::Invalid(
        "`answer`: a withdrawal lets go of recordings, and your access does not come with the action `revoke`; nothing was recorded".into(),
    )
}
