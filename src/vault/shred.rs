//! Shredding, step one: fence, destroyed key, entry and receipt in one transaction; then the bytes.
//! What a hold keeps is not shredded.
//!
//! What step one does not reach: a copy of the ledger from before it, together with the root key of
//! the same epoch, still opens the recording. The receipt says so until the epoch has turned (see
//! `epoch`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, Inner, Vault};
use crate::{
    evidence::{HeldCopy, NewEntry, Receipt, Removal, Shred, ShredReason},
    ledger::{
        self, Tx, Unit, details, holds, keys,
        marks::Marked,
        recordings, revocations,
        shreds::{self, NewFence, NewReceipt, NextReceipt},
        transcripts, waiting,
        work::{self, Lease, WorkKind},
    },
    model::{
        actor::Initiator,
        artefact::Leg,
        crash,
        id::{ReceiptId, RecordingId, RevocationId},
        recording::{Recording, State},
        revocation::Outcome,
        time::Timestamp,
    },
    policy::Permit,
};

/// Recordings shredded in one unit: so many that what a commit costs does not count, so few that
/// others who write wait for some ten milliseconds.
const UNIT: usize = 200;
/// Recordings whose keys are looked up by one query.
const LOOKED_UP: usize = 2000;

/// A shred that stands.
#[derive(Clone, Debug)]
pub struct Shredded {
    /// The recording.
    pub recording: RecordingId,
    /// Its receipt.
    pub receipt: ReceiptId,
    /// The receipt in its signed form.
    pub jws: String,
    /// When it was fenced.
    pub fenced_at: Timestamp,
    /// Whether this call did it; false when it was done before.
    pub is_new: bool,
}

/// What came of letting go of recordings.
#[derive(Clone, Debug, Default)]
pub struct LetGo {
    /// Those that are shredded, in the order in which they were named, each once.
    pub shredded: Vec<Shredded>,
    /// Those that a hold keeps.
    pub held: Vec<RecordingId>,
}

/// What was let go of here, and is not known to be in the store. Nobody is told of it before it is:
/// [`Vault::durable`] gives it out.
#[derive(Debug)]
#[must_use = "a shred is told to nobody before a restore would find it"]
pub struct Undurable(Result<LetGo, Error>);

impl Undurable {
    /// Both together, in their order; the first failure, if one failed.
    pub fn and(self, more: Self) -> Self {
        let (mut all, more) = match (self.0, more.0) {
            (Ok(all), Ok(more)) => (all, more),
            (Err(error), _) | (_, Err(error)) => return Self(Err(error)),
        };
        all.shredded.extend(more.shredded);
        all.held.extend(more.held);
        Self(Ok(all))
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Self(Ok(LetGo::default()))
    }

    /// Those that a hold keeps, of which nothing was let go of.
    ///
    /// # Errors
    /// What failed.
    pub fn kept(self) -> Result<Vec<RecordingId>, Error> {
        self.0.map(|done| done.held)
    }
}

/// Where a long shred says how many recordings it has dealt with, one unit after another.
pub type SayCount<'a> = &'a (dyn Fn(usize) + Send + Sync);

/// In whose name recordings are let go of, why, and what becomes of those that a hold keeps.
#[derive(Clone, Copy)]
pub(super) struct Cause<'a> {
    pub(super) actor: Initiator,
    pub(super) reason: &'a ShredReason,
    /// Whether they are closed, to be shredded when the hold ends; otherwise nothing happens to
    /// them.
    pub(super) closes_held: bool,
    /// The revocation that is told what came of each.
    pub(super) revocation: Option<RevocationId>,
}

impl Vault {
    /// Shreds recordings, some hundreds in each unit of work. When this returns, no key of them
    /// exists in the ledger and nothing of them opens. Shredding twice is shredding once: those
    /// that were shredded before come back with their receipts. Nothing happens to those that a
    /// hold keeps.
    ///
    /// It gives out nothing: the ledger's errors come with [`Self::durable`], too. What was
    /// committed by then stays shredded, and to call this again is to go on.
    pub async fn shred_all(
        &self,
        permit: &Permit,
        recordings: &[Recording],
        reason: &ShredReason,
    ) -> Undurable {
        let cause = Cause {
            actor: permit.initiator(),
            reason,
            closes_held: false,
            revocation: None,
        };
        self.let_go_of(cause, recordings, &|_| {}).await
    }

    /// Shreds recordings as [`Self::shred_all`], and closes those that a hold keeps: they are
    /// shredded when the last hold ends.
    pub async fn shred_or_close(
        &self,
        permit: &Permit,
        recordings: &[Recording],
        reason: &ShredReason,
    ) -> Undurable {
        let cause = Cause {
            actor: permit.initiator(),
            reason,
            closes_held: true,
            revocation: None,
        };
        self.let_go_of(cause, recordings, &|_| {}).await
    }

    /// What became of a shred, once the store knows of it.
    ///
    /// # Errors
    /// [`Error::NotDurable`] while the store cannot be written: it is shredded nevertheless, and
    /// becomes durable by itself; what failed before.
    pub async fn durable(&self, shred: Undurable) -> Result<LetGo, Error> {
        // Also where it failed: which of them are fenced by now is not known, and those are to be
        // found by a restore.
        self.make_durable().await?;
        shred.0
    }

    /// Sees to it that the store knows everything that this process has done so far.
    ///
    /// # Errors
    /// [`Error::NotDurable`] while the store cannot be written; the ledger's.
    pub async fn make_durable(&self) -> Result<(), Error> {
        match self.journal().await {
            Ok(_) => Ok(()),
            Err(Error::Store(error)) => Err(Error::NotDurable(error.to_string())),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn let_go_of(
        &self,
        cause: Cause<'_>,
        recordings: &[Recording],
        say: SayCount<'_>,
    ) -> Undurable {
        Undurable(self.fence_all(cause, recordings, say).await)
    }

    async fn fence_all(
        &self,
        cause: Cause<'_>,
        recordings: &[Recording],
        say: SayCount<'_>,
    ) -> Result<LetGo, Error> {
        let mut done = BTreeMap::new();
        let mut held = Vec::new();
        for some in self.by_leaf(recordings).await?.chunks(UNIT) {
            let let_go = self
                .0
                .unit("shred.fence", async |mut unit| {
                    self.fence(&mut unit, cause, some).await
                })
                .await?;
            crash::point("shred.after_commit");
            say(some.len());
            done.extend(
                let_go
                    .shredded
                    .into_iter()
                    .map(|shredded| (shredded.recording, shredded)),
            );
            held.extend(let_go.held);
        }
        Ok(LetGo {
            shredded: recordings
                .iter()
                .filter_map(|recording| done.remove(&recording.id))
                .collect(),
            held,
        })
    }

    /// The recordings, each once. If they take more than one unit, those with their keys on one
    /// leaf page stand together, so that it is written once for all of them.
    async fn by_leaf<'a>(&self, recordings: &'a [Recording]) -> Result<Vec<&'a Recording>, Error> {
        let mut leaves = BTreeMap::new();
        if recordings.len() > UNIT {
            let mut tx = self.0.ledger.read().await?;
            for some in recordings.chunks(LOOKED_UP) {
                let ids: Vec<RecordingId> = some.iter().map(|recording| recording.id).collect();
                leaves.extend(
                    keys::find_entries(&mut tx, &ids, Leg::All)
                        .await?
                        .into_iter()
                        .map(|(id, entry)| (id, entry.place.page)),
                );
            }
        }
        let ordered: BTreeMap<_, _> = recordings
            .iter()
            .map(|recording| ((leaves.get(&recording.id), recording.id), recording))
            .collect();
        Ok(ordered.into_values().collect())
    }

    /// One unit. Rows are locked in the same order as by every other: recordings, pages, the rest,
    /// and the head of the audit log last.
    async fn fence(
        &self,
        unit: &mut Unit,
        cause: Cause<'_>,
        recordings: &[&Recording],
    ) -> Result<LetGo, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let all: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
        let fresh = recordings::mark_shredded(unit, &all, now).await?;
        let (fresh, old): (Vec<&Recording>, Vec<&Recording>) = recordings
            .iter()
            .copied()
            .partition(|recording| fresh.contains(&recording.id));
        let mut done = earlier(unit, &old).await?;
        let closed = if cause.closes_held {
            holds::close(unit, &done.held, cause.reason, now).await?
        } else {
            BTreeSet::new()
        };
        if fresh.is_empty() && closed.is_empty() && cause.revocation.is_none() {
            unit.abandon();
            return Ok(done);
        }
        let ids: Vec<RecordingId> = fresh.iter().map(|recording| recording.id).collect();
        let mut destroyed = vault.destroy_keys(unit, &ids, Leg::All).await?;
        details::remove(unit, &ids).await?;
        let cleared = waiting::clear_of(unit, &ids).await?;
        if !cleared.is_empty() {
            unit.mark(Marked::Conversation, &cleared, now);
        }
        work::cancel(unit, WorkKind::FetchMedia, &ids).await?;
        work::enqueue(unit, WorkKind::DeleteCiphertext, &ids, now).await?;
        transcripts::forget(unit, &ids).await?;
        // Anew: a deletion after sealing may wait for its day, or be under way with nothing to say
        // to a receipt.
        work::begin_anew(unit, WorkKind::DeleteAtSource, &ids, now).await?;
        if let Some(revocation) = cause.revocation {
            let shredded = done
                .shredded
                .iter()
                .map(|shredded| shredded.recording)
                .chain(ids.iter().copied());
            let outcomes = shredded
                .map(|id| (id, Outcome::Shredded))
                .chain(done.held.iter().map(|id| (*id, Outcome::Held)));
            revocations::enter(unit, revocation, &outcomes.collect::<Vec<_>>(), now).await?;
            unit.mark(Marked::Recording, &all, now);
        } else {
            let changed: Vec<RecordingId> = ids.iter().chain(&closed).copied().collect();
            unit.mark(Marked::Recording, &changed, now);
        }
        revocations::settle(unit, &ids, now).await?;

        let named: Vec<ReceiptId> = ids
            .iter()
            .map(|_| ReceiptId::random(&mut rand::rng()))
            .collect();
        let entry = |(id, receipt): (&RecordingId, &ReceiptId)| {
            NewEntry::shred_fenced(now, cause.actor, *id, *receipt, cause.reason)
        };
        let closing = |id: &RecordingId| {
            NewEntry::recording_revoked(now, cause.actor, *id, cause.revocation, cause.reason, None)
        };
        let entries: Vec<NewEntry> = ids
            .iter()
            .zip(&named)
            .map(entry)
            .chain(closed.iter().map(closing))
            .collect();
        if entries.is_empty() {
            unit.without_entry("what was let go of before is counted with this revocation, too");
        }
        let first = unit.audit_now(entries).await?;
        let mut fences = Vec::with_capacity(ids.len());
        let mut receipts = Vec::with_capacity(ids.len());
        for ((recording, receipt), seq) in fresh.into_iter().zip(named).zip(first..) {
            let id = recording.id;
            let fingerprint = destroyed.remove(&recording.id);
            let had_key = fingerprint.is_some();
            fences.push(NewFence {
                recording: id,
                receipt,
                seq,
                fingerprint,
            });
            let shred = Shred {
                vault: vault.id,
                receipt,
                recording,
                reason: cause.reason.clone(),
                fenced_at: now,
                audit_seq: seq,
            };
            let claims = Receipt::of(shred, copies(had_key, now), now);
            let jws = claims.sign(&vault.signer);
            receipts.push(NewReceipt {
                id: receipt,
                recording: id,
                state: claims.state().as_str(),
                jws: jws.clone(),
                had_key,
            });
            done.shredded.push(Shredded {
                recording: id,
                receipt,
                jws,
                fenced_at: now,
                is_new: true,
            });
        }
        if !fences.is_empty() {
            shreds::insert_fences(unit, &fences, now).await?;
            shreds::insert_receipts(unit, &receipts, now).await?;
        }
        crash::point("shred.before_commit");
        Ok(done)
    }

    /// Removes the ciphertext of a shredded recording, and its receipt says so. May be run again
    /// after any interruption.
    ///
    /// # Errors
    /// The store's or the ledger's; the work stays due.
    pub async fn remove(&self, lease: &Lease<RecordingId>) -> Result<(), Error> {
        let vault = &*self.0;
        let id = lease.subject;
        let (_, receipt) = shreds::find_fence(&mut vault.ledger.read().await?, id)
            .await?
            .ok_or(Error::Gone)?;
        let artefacts = recordings::artefacts(&mut vault.ledger.read().await?, id).await?;
        for artefact in &artefacts {
            vault.store.delete(artefact.object).await?;
        }
        crash::point("remove.after_delete");
        vault
            .unit("shred.close", async |mut unit| {
                self.close(&mut unit, lease, receipt).await
            })
            .await
    }

    async fn close(
        &self,
        unit: &mut Unit,
        lease: &Lease<RecordingId>,
        receipt: ReceiptId,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let id = lease.subject;
        let now = vault.clock.now();
        work::finish(unit, lease).await?;
        recordings::remove_artefacts(unit, id).await?;
        vault
            .settle(
                unit,
                receipt,
                HeldCopy::Ciphertext(Removal::Removed(now)),
                now,
            )
            .await?;
        unit.mark(Marked::Recording, &[id], now);
        unit.audit(NewEntry::shred_bytes_removed(now, id, receipt));
        crash::point("remove.before_done");
        Ok(())
    }
}

impl Inner {
    /// Signs a receipt again after something became of one of its copies; of the others it says
    /// what it said before.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        receipt: ReceiptId,
        copy: HeldCopy,
        now: Timestamp,
    ) -> Result<(), Error> {
        let jws = shreds::find_receipt(tx, receipt)
            .await?
            .ok_or(Error::Gone)?;
        let settled = Receipt::verify(&jws, &self.key_set())
            .map_err(|_| Error::Gone)?
            .settled(copy, now);
        let next = NextReceipt {
            id: receipt,
            state: settled.state().as_str(),
            jws: settled.sign(&self.signer),
            before: &jws,
        };
        Ok(shreds::replace_receipts(tx, &[next]).await?)
    }
}

/// What stands of recordings that were not marked: the shreds from before, and those that a hold
/// keeps.
async fn earlier(tx: &mut Tx, recordings: &[&Recording]) -> Result<LetGo, Error> {
    if recordings.is_empty() {
        return Ok(LetGo::default());
    }
    let ids: Vec<RecordingId> = recordings.iter().map(|recording| recording.id).collect();
    let found = shreds::find_fences(tx, &ids).await?;
    let shredded = |(recording, fenced_at, receipt, jws)| Shredded {
        recording,
        receipt,
        jws,
        fenced_at,
        is_new: false,
    };
    let shredded: Vec<Shredded> = found.into_iter().map(shredded).collect();
    let fenced: BTreeSet<RecordingId> =
        shredded.iter().map(|shredded| shredded.recording).collect();
    let left: Vec<RecordingId> = ids.into_iter().filter(|id| !fenced.contains(id)).collect();
    let found = if left.is_empty() {
        Vec::new()
    } else {
        recordings::find_all(tx, &left).await?
    };
    // There is no such recording, or it lost its fence.
    if found.len() != left.len()
        || found
            .iter()
            .any(|recording| recording.state == State::Shredded)
    {
        return Err(Error::Gone);
    }
    // The last hold was lifted between two statements.
    if found.iter().any(|recording| recording.holds == 0) {
        return Err(ledger::Error::Conflict.into());
    }
    Ok(LetGo {
        shredded,
        held: left,
    })
}

/// What a new receipt says: the key is destroyed, and everything else is still to be removed, here
/// and at the source.
fn copies(had_key: bool, fenced_at: Timestamp) -> Vec<HeldCopy> {
    let held = [
        HeldCopy::KeyEntry {
            destroyed_at: fenced_at,
        },
        HeldCopy::Ciphertext(Removal::Pending),
    ];
    held.into_iter()
        .filter(|_| had_key)
        .chain([HeldCopy::Source(Removal::Pending)])
        .collect()
}
