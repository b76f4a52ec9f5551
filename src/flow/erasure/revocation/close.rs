//! Closing: what a revocation does to recordings that it does not destroy. They are closed to the
//! purposes that were revoked, by statements of consent.
//!
//! Owns the units of work in which that becomes true together with its evidence, and what is said
//! for the people whom a revocation speaks for. Refuses to find out what is reached.

use std::collections::BTreeSet;

use super::Revocations;
use crate::{
    db::{
        self, Tx, Unit,
        consents::{self, ConsentRow},
        holds,
        outbox::OutboxKind,
        parties::Vouched,
        revocations::{self, Counts, Revocation},
    },
    evidence::{
        NewEntry,
        revocation::{RevocationReach, RevocationReceipt, RevocationState, digest_of},
    },
    flow::{erasure::shredding::units::SayCount, error::Error},
    model::{
        actor::Initiator,
        consent::{Answer, Method, Statement, Whom},
        id::{ConsentId, ReceiptId, RecordingId, VaultId},
        recording::Recording,
        revocation::{RevocationOutcome, Target},
        subject::Conversation,
        time::Timestamp,
    },
    vault,
};

/// Recordings closed in one unit.
const UNIT: usize = 500;

impl Revocations {
    /// Closes what a revocation reaches to the purposes that it names.
    ///
    /// # Errors
    /// The database's; what was committed by then stays, and to call this again is to go on.
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

/// What the signed receipt for the whole of a revocation says.
pub(super) fn receipt_of(
    vault: VaultId,
    revocation: &Revocation,
    counts: Counts,
    receipts: &[ReceiptId],
    now: Timestamp,
) -> RevocationReceipt {
    RevocationReceipt {
        vault,
        id: revocation.id,
        issued_at_s: now.as_millis().div_euclid(1000),
        reach: match revocation.target {
            Target::Subject(_) => RevocationReach::Subject,
            Target::Recording(_) => RevocationReach::Recording,
            Target::Account(_) => RevocationReach::Account,
            Target::Conversation(_) => RevocationReach::Conversation,
        },
        limited: !revocation.accounts.is_empty(),
        purposes: revocation.purposes.clone(),
        reason: revocation.reason.clone(),
        revoked_at: revocation.revoked_at,
        shredded: counts.shredded,
        held: counts.held,
        closed: counts.closed,
        receipts_sha256: digest_of(receipts),
        state: RevocationState::after(counts.held),
    }
}

/// A recording is about to be sealed, and its row is locked: revocations that came meanwhile
/// close it. The entries that tell of it.
///
/// # Errors
/// [`vault::Error::Gone`] if it is not to be kept at all.
pub(in crate::flow) async fn close_arriving(
    unit: &mut Unit,
    recording: &Recording,
    now: Timestamp,
) -> Result<(), vault::Error> {
    for revocation in revocations::covering(unit, recording).await? {
        if revocation.is_whole() {
            let holds = holds::purposes(unit, &[recording.id]).await?;
            if !holds.contains_key(&recording.id) {
                return Err(vault::Error::Gone);
            }
            // Of each of them, also where another has closed it before: each tells what it reached.
            let held = [(recording.id, RevocationOutcome::Held)];
            revocations::enter(unit, revocation.id, &held, now).await?;
            let closed = holds::close(unit, &[recording.id], &revocation.reason, now).await?;
            if !closed.is_empty() {
                let by = Initiator::Recorded(revocation.actor);
                let id = Some(revocation.id);
                let reason = &revocation.reason;
                unit.audit(NewEntry::recording_revoked(
                    now,
                    by,
                    recording.id,
                    id,
                    reason,
                    None,
                ));
            }
            continue;
        }
        closing(unit, &revocation, std::slice::from_ref(recording), now).await?;
    }
    Ok(())
}

/// Closes recordings to the purposes of a revocation; the entries that tell of it, to be
/// appended last.
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

/// The withdrawal by a person themselves, which speaks for them in every conversation; `None` where
/// the revocation reaches only what is of some accounts, and where it is not a person's.
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

/// What has to be said so that these recordings are closed: by everybody in their conversations or,
/// where a revocation of a person reaches only some accounts, by them at their places in these
/// conversations.
async fn statements(
    tx: &mut Tx,
    revocation: &Revocation,
    recordings: &[Recording],
    now: Timestamp,
) -> Result<Vec<ConsentRow>, db::Error> {
    // Said already, by the person or at their place in the conversation.
    if withdrawal(revocation).is_some() || matches!(revocation.target, Target::Conversation(_)) {
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
            let legs = revocations::legs(tx, subject, &conversations).await?;
            legs.into_iter()
                .map(|(conversation, leg)| Whom::Leg(conversation, Some(leg)))
                .collect()
        }
        _ => conversations
            .into_iter()
            .map(|conversation| Whom::Leg(conversation, None))
            .collect(),
    };
    Ok(whom
        .into_iter()
        .map(|whom| said(revocation, whom, now))
        .collect())
}

/// A later yes counts for what is collected after `at`, and for nothing before.
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
        evidence: Vec::new(),
        recorded_by: revocation.actor,
        vouched: Vouched::of_accounts(&revocation.accounts),
    }
}
