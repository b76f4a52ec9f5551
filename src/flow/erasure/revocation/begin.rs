//! The beginning of a revocation: permission and purposes are checked, and one unit makes it
//! durable, after which it completes regardless of interruptions.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Revocations,
    close::{authorship_in, lets_go, withdrawal},
    work::AT_ONCE,
};
use crate::{
    db::{
        self, Unit, consents,
        outbox::OutboxKind,
        parties, recordings,
        revocations::{self, Revocation},
    },
    evidence::{NewEntry, ShredReason},
    flow::error::Error,
    model::{
        consent::{RECORDING, Statement, Whom},
        id::{ConsentId, RecordingId, RevocationId},
        name::Purpose,
        recording::{Recording, RecordingState},
        revocation::Target,
        subject::{Conversation, PartyScope},
        time::Timestamp,
    },
    policy::{Permit, action},
};

/// What a revocation would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RevocationPreview {
    /// These recordings would be shredded.
    pub shred: Vec<RecordingId>,
    /// These are shredded already.
    pub shredded_before: Vec<RecordingId>,
    /// These would be closed to the purposes, and to no other.
    pub close: Vec<RecordingId>,
    /// These would be closed and kept by holds.
    pub hold: Vec<RecordingId>,
}

impl RevocationPreview {
    /// How many recordings it reaches.
    pub fn reached(&self) -> usize {
        self.shred.len() + self.shredded_before.len() + self.close.len() + self.hold.len()
    }
}

impl Revocations {
    /// Begins a revocation. When this returns it is in the database, with the withdrawal of consent
    /// that it implies. The running service continues it; [`Self::go_on`] completes it immediately.
    /// To revoke again is harmless: it also covers recordings collected since.
    ///
    /// A permit that is limited to some accounts reaches their recordings only; then the statement
    /// does not apply to the person's other conversations.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a recording or an account that the permit does not cover;
    /// [`Error::Invalid`] for an unknown purpose, or one that does not rest on consent.
    pub async fn begin(
        &self,
        permit: &Permit<action::Revoke>,
        target: Target,
        purposes: BTreeSet<Purpose>,
        reason: &ShredReason,
    ) -> Result<Revocation, Error> {
        let revocation = self.revocation_of(permit, target, purposes, reason).await?;
        let begun = self.db.unit("begin.begin_revocation", async |mut unit| {
            let now = revocation.revoked_at;
            let until = self.queue.term(&mut unit).await?.until();
            let inserted = revocations::insert(&mut unit, &revocation, until).await?;
            unit.to_journal(OutboxKind::Revocation, &[revocation.id], now);
            if let Some(said) = withdrawal(&revocation) {
                let said: Vec<ConsentId> = consents::insert_new(&mut unit, &[said])
                    .await?
                    .into_iter()
                    .collect();
                unit.to_journal(OutboxKind::Consent, &said, now);
            }
            let id = revocation.id;
            let reach = revocation.target.kind();
            let begun = NewEntry::revocation_begun(
                now,
                permit.initiator(),
                id,
                reach,
                &revocation.purposes,
                reason,
            );
            unit.audit(begun);
            Ok::<_, db::Error>(inserted)
        });
        Ok(begun.await?)
    }

    /// Begins the revocations that follow from withdrawals, in the unit that records these, and
    /// returns their audit entries and ids. They are continued later, by
    /// [`Self::continue_for_a_while`] or the service. A permit that is limited to some accounts
    /// reaches their recordings only, whatever is recorded in the conversation later. The unit
    /// holds the locks of everybody concerned ([`crate::db::name_locks`]).
    ///
    /// # Errors
    /// Any database error.
    pub(in crate::flow) async fn begin_withdrawals(
        &self,
        unit: &mut Unit,
        permit: &Permit<action::Revoke>,
        withdrawals: &[&Statement],
        now: Timestamp,
    ) -> Result<(Vec<NewEntry>, Vec<RevocationId>), Error> {
        let by = permit.initiator();
        let mut entries = Vec::new();
        let mut begun = Vec::new();
        for said in withdrawals {
            let Some(purposes) = self.ended_by(said) else {
                continue;
            };
            let target = target_of(unit, &said.whom).await?;
            let id = RevocationId::random(&mut rand::rng());
            let reason = "consent-withdrawn".parse().expect("it is a code");
            entries.push(NewEntry::revocation_begun(
                now,
                by,
                id,
                target.kind(),
                &purposes,
                &reason,
            ));
            let accounts = permit.accounts().clone();
            let revocation = Revocation {
                id,
                target,
                purposes,
                accounts,
                reason,
                actor: by.actor(),
                revoked_at: now,
                is_done: false,
                cursor: None,
                jws: None,
                finished_at: None,
            };
            let due_at = unit.now().await?;
            revocations::insert(unit, &revocation, due_at).await?;
            begun.push(id);
        }
        unit.to_journal(OutboxKind::Revocation, &begun, now);
        Ok((entries, begun))
    }

    /// Returns the purposes that a withdrawal ends; empty for the whole recording, `None` if none
    /// of the withdrawn purposes rests on consent. Purposes with another basis continue: a
    /// revocation without purposes deletes everything, whatever its basis.
    fn ended_by(&self, said: &Statement) -> Option<BTreeSet<Purpose>> {
        let (book, recording): (_, Purpose) =
            (&self.rulebook, RECORDING.parse().expect("it is a name"));
        if said.is_about(&recording) && book.records_with_consent() {
            return Some(BTreeSet::new());
        }
        let ended: BTreeSet<Purpose> = book
            .resting_on_consent()
            .filter(|purpose| said.is_about(purpose))
            .cloned()
            .collect();
        (!ended.is_empty()).then_some(ended)
    }

    /// Returns what a revocation would do if it began now; changes nothing.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub async fn would_revoke(
        &self,
        permit: &Permit<action::Revoke>,
        target: Target,
        purposes: BTreeSet<Purpose>,
        reason: &ShredReason,
    ) -> Result<RevocationPreview, Error> {
        let revocation = self.revocation_of(permit, target, purposes, reason).await?;
        let mut would = RevocationPreview::default();
        let mut cursor = None;
        loop {
            let ids =
                revocations::reached(&mut self.db.read().await?, &revocation, cursor, AT_ONCE)
                    .await?;
            let Some(last) = ids.last() else {
                return Ok(would);
            };
            cursor = Some(*last);
            let (gone, stay) = self.split(&revocation, &ids).await?;
            would
                .close
                .extend(stay.iter().map(|recording| recording.id));
            for recording in gone {
                let outcome = match recording {
                    _ if recording.state == RecordingState::Shredded => &mut would.shredded_before,
                    _ if recording.holds > 0 => &mut would.hold,
                    _ => &mut would.shred,
                };
                outcome.push(recording.id);
            }
        }
    }

    async fn revocation_of(
        &self,
        permit: &Permit<action::Revoke>,
        target: Target,
        purposes: BTreeSet<Purpose>,
        reason: &ShredReason,
    ) -> Result<Revocation, Error> {
        for purpose in purposes
            .iter()
            .filter(|purpose| purpose.as_str() != RECORDING)
        {
            if !self.rulebook.has_purpose(purpose) {
                return Err(Error::Invalid(format!(
                    "`purposes`: the policy has no purpose `{purpose}`; declare it, or name another"
                )));
            }
            if !self.rulebook.rests_on_consent(purpose) {
                let why = "does not rest on consent, so no consent can be withdrawn; to delete the \
                           recordings, revoke without `purposes`";
                return Err(Error::Invalid(format!("`purposes`: `{purpose}` {why}")));
            }
        }
        match &target {
            Target::Recording(id) => {
                let found = recordings::find(&mut self.db.read().await?, *id).await?;
                found
                    .filter(|recording| permit.covers(recording.account()))
                    .ok_or(Error::NotFound)?;
            }
            Target::Account(account) if !permit.covers(account) => return Err(Error::NotFound),
            Target::Account(_) | Target::Subject(_) => {}
            // A conversation is withdrawn by its parties, as a statement of consent.
            Target::Conversation(_) | Target::Place(..) => return Err(Error::NotFound),
        }
        Ok(Revocation {
            id: RevocationId::random(&mut rand::rng()),
            target,
            purposes,
            accounts: permit.accounts().clone(),
            reason: reason.clone(),
            actor: permit.actor(),
            revoked_at: self.clock.now(),
            is_done: false,
            cursor: None,
            jws: None,
            finished_at: None,
        })
    }

    /// Returns the recordings that are to be shredded, and those that are only closed to some
    /// purposes.
    pub(super) async fn split(
        &self,
        revocation: &Revocation,
        ids: &[RecordingId],
    ) -> Result<(Vec<Recording>, Vec<Recording>), Error> {
        /// Recordings looked up by one query.
        const LOOKED_UP: usize = 2000;
        let mut gone = Vec::new();
        let mut stay = Vec::new();
        let now = self.clock.now();
        let mut tx = self.db.read().await?;
        for ids in ids.chunks(LOOKED_UP) {
            let found = recordings::find_all(&mut tx, ids).await?;
            let received = revocations::received(&mut tx, revocation, ids).await?;
            let mut closed = if revocation.is_whole() {
                BTreeMap::new()
            } else {
                revocations::closed(&mut tx, ids).await?
            };
            for recording in found {
                let mut closed = closed.remove(&recording.id).unwrap_or_default();
                closed.extend(revocation.purposes.iter().cloned());
                let authorship = authorship_in(&received, recording.id);
                if lets_go(
                    &self.rulebook,
                    revocation,
                    &recording,
                    authorship,
                    &closed,
                    now,
                ) {
                    gone.push(recording)
                } else {
                    stay.push(recording)
                }
            }
        }
        Ok((gone, stay))
    }
}

/// Returns the target of the revocation that follows from a withdrawal. Who has a place in a thread
/// or chat withdraws what they wrote there, and what they received is closed as for a person. Where a
/// recording has the words of several, or nobody has that place, it is the whole conversation.
async fn target_of(unit: &mut Unit, whom: &Whom) -> Result<Target, Error> {
    let (conversation, leg) = match whom {
        Whom::Subject(subject) => return Ok(Target::Subject(*subject)),
        Whom::Leg(conversation, leg) => (conversation, leg),
    };
    let is_written = matches!(
        conversation,
        Conversation::Thread(_) | Conversation::Chat(_)
    );
    if let Some(leg) = leg.as_ref().filter(|_| is_written) {
        let only = std::slice::from_ref(conversation);
        let named = parties::of(unit, &PartyScope::Every, only).await?;
        if named.values().flatten().any(|party| party.leg == *leg) {
            return Ok(Target::Place(conversation.clone(), leg.clone()));
        }
    }
    Ok(Target::Conversation(conversation.clone()))
}
