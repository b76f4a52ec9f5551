//! Closing: recordings that a revocation does not shred are closed to the revoked purposes, by
//! statements of consent.
//!
//! Owns the units of work that close recordings and record the evidence, and the statements made
//! for the revoking people. Refuses to find the recordings.

use std::collections::BTreeSet;

use super::Revocations;
use crate::{
    db::{
        self, Tx, Unit,
        consents::{self, ConsentRow},
        holds,
        outbox::OutboxKind,
        parties::Vouched,
        revocations::{self, OutcomeCounts, Revocation},
    },
    evidence::{
        CountedKind, NewEntry,
        revocation::{RevocationReach, RevocationReceipt, RevocationState, digest_of},
    },
    flow::{erasure::shredding::units::SayCount, error::Error},
    model::{
        actor::Initiator,
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, ReceiptId, RecordingId, VaultId},
        name::Purpose,
        recording::{Recording, RecordingState},
        revocation::{Authorship, RevocationOutcome, Target},
        sid::AccountSid,
        subject::Conversation,
        time::Timestamp,
    },
    policy::Rulebook,
    vault,
};

/// Recordings closed in one unit.
const UNIT: usize = 500;

impl Revocations {
    /// Closes these recordings to the purposes of the revocation.
    ///
    /// # Errors
    /// Any database error; committed batches stay, and another call continues.
    pub(super) async fn close_to(
        &self,
        revocation: &Revocation,
        recordings: &[Recording],
        say: SayCount<'_>,
    ) -> Result<(), Error> {
        for some in recordings.chunks(UNIT) {
            let unit = self.vault.unit("revoke.close_to", async |mut unit| {
                let now = self.clock.now();
                closing(&mut unit, revocation, some, now).await?;
                Ok::<_, vault::Error>(())
            });
            unit.await?;
            say(some.len());
        }
        Ok(())
    }
}

/// Builds the receipt for a whole revocation.
pub(super) fn receipt_of(
    vault: VaultId,
    revocation: &Revocation,
    kinds: Vec<CountedKind>,
    receipts: &[ReceiptId],
    now: Timestamp,
) -> RevocationReceipt {
    let counts = OutcomeCounts::of(&kinds);
    RevocationReceipt {
        vault,
        id: revocation.id,
        issued_at_s: now.as_millis().div_euclid(1000),
        reach: match revocation.target {
            Target::Subject(_) => RevocationReach::Subject,
            Target::Recording(_) => RevocationReach::Recording,
            Target::Account(_) => RevocationReach::Account,
            Target::Conversation(_) | Target::Place(..) => RevocationReach::Conversation,
        },
        limited: !revocation.accounts.is_empty(),
        purposes: revocation.purposes.clone(),
        reason: revocation.reason.clone(),
        revoked_at: revocation.revoked_at,
        shredded: counts.shredded,
        held: counts.held,
        closed: counts.closed,
        kinds,
        receipts_sha256: digest_of(receipts),
        state: RevocationState::after(counts.held),
    }
}

/// Closes a recording that is about to be sealed, and whose row is locked, for the revocations that
/// cover it. Adds the audit entries to the unit. Returns the revocation for which it must not be
/// kept at all, if there is one.
///
/// # Errors
/// The database's.
pub(in crate::flow) async fn close_arriving(
    unit: &mut Unit,
    rulebook: &Rulebook,
    recording: &Recording,
    now: Timestamp,
) -> Result<Option<Revocation>, vault::Error> {
    let id = recording.id;
    let covering = revocations::covering(unit, recording).await?;
    if covering.is_empty() {
        return Ok(None);
    }
    let is_held = holds::purposes(unit, &[id]).await?.contains_key(&id);
    let mut closed = revocations::closed(unit, &[id]).await?;
    let mut closed = closed.remove(&id).unwrap_or_default();
    for revocation in covering {
        closed.extend(revocation.purposes.iter().cloned());
        let received = revocations::received(unit, &revocation, &[id]).await?;
        let authorship = authorship_in(&received, id);
        match lets_go(rulebook, &revocation, recording, authorship, &closed, now) {
            false => closing(unit, &revocation, std::slice::from_ref(recording), now).await?,
            true if is_held => hold(unit, &revocation, id, now).await?,
            true => return Ok(Some(revocation)),
        }
    }
    Ok(None)
}

/// Returns whether a revocation lets go of a recording that it covers: as a whole, or because no
/// purpose opens it any more when all of these are closed. What others wrote to the person stays,
/// unless the policy says otherwise.
pub(super) fn lets_go(
    rulebook: &Rulebook,
    revocation: &Revocation,
    recording: &Recording,
    authorship: Authorship,
    closed: &BTreeSet<Purpose>,
    now: Timestamp,
) -> bool {
    if recording.state == RecordingState::Shredded {
        return true;
    }
    let may_go = authorship == Authorship::Own || rulebook.shreds_received(recording);
    may_go && (revocation.is_whole() || !rulebook.opens_without(recording, closed, now))
}

/// Returns the part of the revocation's person in a recording.
pub(super) fn authorship_in(
    received: &BTreeSet<RecordingId>,
    recording: RecordingId,
) -> Authorship {
    match received.contains(&recording) {
        true => Authorship::Received,
        false => Authorship::Own,
    }
}

/// Closes a recording to everything but the holds that keep it.
async fn hold(
    unit: &mut Unit,
    revocation: &Revocation,
    recording: RecordingId,
    now: Timestamp,
) -> Result<(), db::Error> {
    // For each of them, even if another has closed it before: each records what it reached.
    let held = [(recording, RevocationOutcome::Held)];
    revocations::enter(unit, revocation.id, &held, now).await?;
    let reason = &revocation.reason;
    let closed = holds::close(unit, &[recording], reason, now).await?;
    if !closed.is_empty() {
        let by = Initiator::Recorded(revocation.actor);
        let id = Some(revocation.id);
        unit.audit(NewEntry::recording_revoked(
            now, by, recording, id, reason, None,
        ));
    }
    Ok(())
}

/// Closes recordings to the purposes of a revocation. Adds the audit entries to the unit.
async fn closing(
    unit: &mut Unit,
    revocation: &Revocation,
    recordings: &[Recording],
    now: Timestamp,
) -> Result<(), db::Error> {
    let ids: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
    let outcomes: Vec<_> = ids
        .iter()
        .map(|id| (*id, RevocationOutcome::Closed))
        .collect();
    if revocations::enter(unit, revocation.id, &outcomes, now).await? == 0 {
        unit.without_entry("a recording that is closed already is no news");
        return Ok(());
    }
    let said = statements(unit, revocation, recordings, now).await?;
    if !said.is_empty() {
        let entered: Vec<ConsentId> = consents::insert_new(unit, &said)
            .await?
            .into_iter()
            .collect();
        unit.to_journal(OutboxKind::Consent, &entered, now);
    }
    revocations::tell(unit).await?;
    unit.to_journal(OutboxKind::Recording, &ids, now);
    let id = Some(revocation.id);
    let reason = &revocation.reason;
    let purposes = Some(&revocation.purposes);
    let by = Initiator::Recorded(revocation.actor);
    unit.audit_all(
        ids.iter().map(|recording| {
            NewEntry::recording_revoked(now, by, *recording, id, reason, purposes)
        }),
    );
    Ok(())
}

/// Returns a person's withdrawal, which applies to all their conversations; `None` if the
/// revocation is limited to some accounts, or is not of a person.
pub(in crate::flow) fn withdrawal(revocation: &Revocation) -> Option<ConsentRow> {
    match revocation.target {
        Target::Subject(subject) if revocation.accounts.is_empty() => Some(said(
            revocation,
            Whom::Subject(subject),
            revocation.revoked_at,
        )),
        _ => None,
    }
}

/// Returns the statements that close these recordings: of every party of their conversations or, if
/// a person's revocation is limited to some accounts, of the person's legs in these conversations.
async fn statements(
    tx: &mut Tx,
    revocation: &Revocation,
    recordings: &[Recording],
    now: Timestamp,
) -> Result<Vec<ConsentRow>, db::Error> {
    // Stated already, by the person or for the leg of the conversation.
    if withdrawal(revocation).is_some() || revocation.target.conversation().is_some() {
        return Ok(Vec::new());
    }
    let conversations: BTreeSet<Conversation> = match revocation.target {
        Target::Subject(_) => recordings
            .iter()
            .flat_map(Recording::conversations)
            .collect(),
        _ => recordings
            .iter()
            .filter_map(Recording::conversation)
            .collect(),
    };
    let whom: Vec<Whom> = match revocation.target {
        Target::Subject(subject) => {
            let conversations: Vec<Conversation> = conversations.into_iter().collect();
            let accounts = recordings.iter().map(Recording::account).cloned().collect();
            let legs = revocations::legs(tx, subject, &conversations, &accounts).await?;
            legs.into_iter()
                .map(|(conversation, leg)| Whom::Leg(conversation, Some(leg)))
                .collect()
        }
        _ => conversations
            .into_iter()
            .map(|conversation| Whom::Leg(conversation, None))
            .collect(),
    };
    // What another account calls by the same id is another conversation.
    let accounts_in = |conversation: &Conversation| -> BTreeSet<AccountSid> {
        let is_in = |recording: &&Recording| {
            recording
                .conversations()
                .any(|other| other == *conversation)
        };
        let all = recordings.iter().filter(is_in);
        all.map(|recording| recording.account().clone()).collect()
    };
    let whom: Vec<(Whom, BTreeSet<AccountSid>)> = whom
        .into_iter()
        .map(|whom| {
            let accounts = match &whom {
                Whom::Leg(conversation, _) => accounts_in(conversation),
                Whom::Subject(_) => revocation.accounts.clone(),
            };
            (whom, accounts)
        })
        .collect();
    // A thread has many messages, which are closed some at a time.
    let conversations: Vec<Conversation> = whom
        .iter()
        .filter_map(|(whom, _)| match whom {
            Whom::Leg(conversation, _) => Some(conversation.clone()),
            Whom::Subject(_) => None,
        })
        .collect();
    let known = consents::find(tx, &[], &conversations).await?;
    let is_said = |whom: &Whom, accounts: &BTreeSet<AccountSid>| {
        known.iter().any(|row| {
            let said = &row.statement;
            said.whom == *whom
                && accounts.iter().all(|account| row.counts_for(account))
                && said.answer == Answer::Withdrawn
                && said.purposes == revocation.purposes
                && said.at >= revocation.revoked_at
        })
    };
    Ok(whom
        .into_iter()
        .filter(|(whom, accounts)| !is_said(whom, accounts))
        .map(|(whom, accounts)| ConsentRow {
            accounts,
            ..said(revocation, whom, now)
        })
        .collect())
}

/// Creates the withdrawal. A later positive statement counts for recordings collected after it
/// only.
fn said(revocation: &Revocation, whom: Whom, at: Timestamp) -> ConsentRow {
    let statement = Statement {
        id: ConsentId::random(&mut rand::rng()),
        whom,
        purposes: revocation.purposes.clone(),
        answer: Answer::Withdrawn,
        method: Method::Import,
        disclosure: None,
        policy_version: None,
        at: revocation.revoked_at,
        recorded_at: at,
    };
    ConsentRow {
        statement,
        accounts: revocation.accounts.clone(),
        evidence: Vec::new(),
        recorded_by: revocation.actor,
        vouched: Vouched::of_accounts(&revocation.accounts),
    }
}
