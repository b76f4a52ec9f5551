//! Quarantine: recordings without the evidence of consent that they need wait for it, and are let
//! go of when it does not come.
//!
//! Owns what new evidence changes, and the sweep. Refuses to know what counts as evidence: `policy`
//! says that.
//!
//! INVARIANTS
//! - A mark on a row opens nothing. Each decision looks at the statements themselves; the mark says
//!   when a recording is shredded.
//! - What closes a recording by the word of somebody who may not revoke lets go of nothing: a
//!   quarantine has an end only while evidence is missing without their word, too. [`end_of`] is the
//!   one place that says so.

use std::sync::Arc;

use super::shredding::Shredding;
use crate::{
    db::{
        Db, Unit, consents,
        outbox::OutboxKind,
        quarantine::{self, Bearing},
    },
    evidence::{NewEntry, ShredReason},
    flow::{
        clock::TrustedClock, erasure::shredding::units::Undurable, error::Error,
        units::unit_with_keys,
    },
    model::{actor::Initiator, id::RecordingId, recording::Recording, time::Timestamp},
    policy::{self, Consents, Permit, PermitAction, Rulebook, action},
    vault::{Cause, OnHold, ShredOutcome, Vault},
};

/// Recordings looked at in one unit of work.
const PAGE: i64 = 200;

/// How far the recordings on which something new bears were looked at.
#[derive(Clone, Copy, Debug)]
pub(in crate::flow) enum QuarantineProgress {
    /// Those in quarantine, after this one.
    Waiting(Option<RecordingId>),
    /// Those that are in none, after this one.
    Released(Option<RecordingId>),
}

/// What new evidence changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// Recordings released from quarantine.
    pub released: u64,
    /// Recordings put in quarantine.
    pub quarantined: u64,
    /// Those whose streams were not ended in this process yet.
    #[serde(skip)]
    heard: Vec<RecordingId>,
}

/// What new evidence bears on, who brought it, and whether it may say no.
#[derive(Clone, Debug)]
pub(in crate::flow) struct ConsentChange {
    pub(in crate::flow) bearing: Bearing,
    pub(in crate::flow) actor: Initiator,
    pub(in crate::flow) narrows: bool,
    pub(in crate::flow) deadline: Deadline,
}

/// Whether recordings are shredded some day because of what is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Deadline {
    /// Not therefore: who tells may not revoke. What they put in quarantine is closed, and waits
    /// for evidence, for who may revoke to say the same, or for the end of its retention.
    None,
    /// What is put in quarantine now has one.
    New,
    /// The same, and what waits without one gets it if it is not covered without the word of those
    /// who may not revoke: it was said by the person, or by somebody who may.
    Confirmed,
}

impl Deadline {
    /// What somebody tells with this permit has, once they may also revoke.
    pub(in crate::flow) fn by<A: PermitAction>(permit: &Permit<A>) -> Self {
        match permit.also(action::Revoke) {
            Some(_) => Self::Confirmed,
            None => Self::None,
        }
    }
}

/// The end of a quarantine that has none: 4000-01-01T00:00:00Z.
const WITHOUT_END: Timestamp = Timestamp::from_millis(64_060_588_800_000);

/// When the quarantine ends of a recording that is not covered: at `ends`, or not at all if it would
/// be covered by `vouched`, which is what was told without those who may not revoke.
pub(in crate::flow) fn end_of(
    vouched: Option<&Consents>,
    recording: &Recording,
    ends: Timestamp,
    now: Timestamp,
) -> Timestamp {
    if vouched.is_some_and(|consents| policy::covers_recording(consents, recording, now)) {
        WITHOUT_END
    } else {
        ends
    }
}

/// What a sweep of the quarantine did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineSwept {
    /// Recordings for which evidence was there after all.
    pub released: u64,
    /// Recordings shredded because it was not.
    pub shredded: u64,
}

/// Recordings that wait for a consent.
pub struct Quarantine {
    vault: Vault,
    db: Db,
    rulebook: Arc<Rulebook>,
    clock: Arc<TrustedClock>,
    shredding: Arc<Shredding>,
}

impl Quarantine {
    pub(in crate::flow) fn new(
        vault: Vault,
        db: Db,
        rulebook: Arc<Rulebook>,
        clock: Arc<TrustedClock>,
        shredding: Arc<Shredding>,
    ) -> Self {
        Self {
            vault,
            db,
            rulebook,
            clock,
            shredding,
        }
    }

    /// Where to begin; `None` if no version of the policy knows a quarantine.
    pub(in crate::flow) fn first_step(&self) -> Option<QuarantineProgress> {
        (!policy::quarantining(&self.rulebook).is_empty())
            .then_some(QuarantineProgress::Waiting(None))
    }

    /// Looks at up to [`PAGE`] recordings on which the news bear, within the unit that brings them.
    /// The entries are to be appended last; with them comes where to go on, if there is more.
    pub(in crate::flow) async fn settle(
        &self,
        unit: &mut Unit,
        news: &ConsentChange,
        mut step: Option<QuarantineProgress>,
        now: Timestamp,
    ) -> Result<(Vec<NewEntry>, Option<QuarantineProgress>), Error> {
        let mut entries = Vec::new();
        let mut room = PAGE;
        if let Some(QuarantineProgress::Waiting(None)) = step {
            quarantine::wait_for_sealing(unit, &news.bearing).await?;
        }
        while let Some(present) = step
            && room > 0
        {
            let page = match present {
                QuarantineProgress::Waiting(after) => {
                    quarantine::waiting(unit, &news.bearing, after, room).await?
                }
                QuarantineProgress::Released(after) => {
                    let policies = policy::quarantining(&self.rulebook);
                    quarantine::released(unit, &news.bearing, &policies, after, room).await?
                }
            };
            let by = (news.actor, news.deadline);
            entries.extend(self.settle_all(unit, &page, by, now).await?);
            let seen = i64::try_from(page.len()).unwrap_or(i64::MAX);
            let last = page.last().map(|recording| recording.id);
            step = match present {
                QuarantineProgress::Waiting(_) if seen == room => {
                    Some(QuarantineProgress::Waiting(last))
                }
                QuarantineProgress::Waiting(_) if news.narrows => {
                    Some(QuarantineProgress::Released(None))
                }
                QuarantineProgress::Released(_) if seen == room => {
                    Some(QuarantineProgress::Released(last))
                }
                QuarantineProgress::Waiting(_) | QuarantineProgress::Released(_) => None,
            };
            room -= seen;
        }
        Ok((entries, step))
    }

    /// Goes on where the unit that brought the news stopped, one unit after another. An
    /// interruption leaves marks that are behind, never anything open that should be closed. Each time
    /// a unit is committed, the streams end of what it put in quarantine.
    pub(in crate::flow) async fn settle_rest(
        &self,
        news: &ConsentChange,
        mut step: Option<QuarantineProgress>,
        settled: &mut Settled,
    ) -> Result<(), Error> {
        self.shredding
            .interrupt(&std::mem::take(&mut settled.heard));
        while let Some(present) = step {
            let unit = self.db.unit("quarantine.settle_rest", async |mut unit| {
                let (entries, next) = self
                    .settle(&mut unit, news, Some(present), self.clock.now())
                    .await?;
                let settled = Settled::of(&entries);
                unit.audit_all(entries);
                Ok::<_, Error>((settled, next))
            });
            let (more, next) = unit.await?;
            self.shredding.interrupt(&more.heard);
            settled.add(&more);
            step = next;
        }
        Ok(())
    }

    /// Brings the marks on these recordings up to what is known now.
    async fn settle_all(
        &self,
        unit: &mut Unit,
        recordings: &[Recording],
        (actor, deadline): (Initiator, Deadline),
        now: Timestamp,
    ) -> Result<Vec<NewEntry>, Error> {
        if recordings.is_empty() {
            return Ok(Vec::new());
        }
        let known = consents::gather(unit, recordings).await?;
        let is_covered = |recording: &Recording| {
            known
                .get(&recording.id)
                .is_some_and(|consents| policy::covers_recording(consents, recording, now))
        };
        let uncovered = recordings.iter().filter(|recording| !is_covered(recording));
        let uncovered: Vec<Recording> = uncovered.cloned().collect();
        let vouched = consents::gather_vouched(unit, &uncovered).await?;
        let end_of =
            |recording: &Recording, ends| end_of(vouched.get(&recording.id), recording, ends, now);
        let mut changed = Vec::new();
        let mut entries = Vec::new();
        for recording in recordings {
            let (id, Some(period)) = (recording.id, policy::quarantine(recording, &self.rulebook))
            else {
                continue;
            };
            match (recording.quarantine_ends, is_covered(recording)) {
                (Some(_), true) if quarantine::release(unit, id).await? => {
                    entries.push(NewEntry::recording_released(now, actor, id));
                    changed.push(id);
                }
                (Some(WITHOUT_END), false) if deadline != Deadline::Confirmed => {}
                (Some(before), false) => {
                    let ends = match before {
                        WITHOUT_END => now.after(period),
                        before => before,
                    };
                    let ends = end_of(recording, ends);
                    if ends != before {
                        quarantine::set_end(unit, id, ends).await?;
                        entries.push(NewEntry::recording_quarantined(now, actor, id, ends));
                        changed.push(id);
                    }
                }
                (None, false) => {
                    let ends = match deadline {
                        Deadline::None => WITHOUT_END,
                        Deadline::New | Deadline::Confirmed => end_of(recording, now.after(period)),
                    };
                    if quarantine::begin(unit, id, ends).await? {
                        entries.push(NewEntry::recording_quarantined(now, actor, id, ends));
                        changed.push(id);
                    }
                }
                _ => {}
            }
        }
        unit.to_journal(OutboxKind::Recording, &changed, now);
        Ok(entries)
    }

    /// The recordings that [`Self::sweep`] would shred now.
    ///
    /// # Errors
    /// The database's.
    pub async fn would_shred(&self) -> Result<Vec<RecordingId>, Error> {
        let now = self.clock.now();
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let mut tx = self.db.read().await?;
            let page = quarantine::over(&mut tx, now, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            after = Some(last.id);
            let known = consents::gather(&mut tx, &page).await?;
            let vouched = consents::gather_vouched(&mut tx, &page).await?;
            let goes = |recording: &&Recording| {
                let is_covered = known
                    .get(&recording.id)
                    .is_some_and(|consents| policy::covers_recording(consents, recording, now));
                let ends = recording.quarantine_ends.unwrap_or(WITHOUT_END);
                !is_covered
                    && policy::quarantine(recording, &self.rulebook).is_some()
                    && end_of(vouched.get(&recording.id), recording, ends, now) <= now
            };
            found.extend(page.iter().filter(goes).map(|recording| recording.id));
        }
    }

    /// Looks once more at every recording whose quarantine is over, releases those for which the
    /// evidence is there, and shreds the others. What a hold keeps waits for its end.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not believed; the database's. What was shredded stays so,
    /// and the next sweep goes on.
    pub async fn sweep(&self) -> Result<QuarantineSwept, Error> {
        let permit = Permit::of_vault(action::Shred);
        let reason: ShredReason = "no-consent".parse().expect("it is a code");
        let mut swept = QuarantineSwept::default();
        let mut after = None;
        let mut all = Undurable::nothing();
        loop {
            let now = self.clock.believed().await?.at();
            let vault = &self.vault;
            // One unit decides and shreds: evidence that comes beside it is seen by it, or comes too
            // late.
            let unit = unit_with_keys(&self.db, vault, "quarantine.sweep", async |mut unit| {
                let page = quarantine::due(&mut unit, now, after, PAGE).await?;
                let Some(last) = page.last().map(|last| last.id) else {
                    unit.abandon();
                    return Ok(None);
                };
                let author = (Initiator::Vault, Deadline::New);
                let entries = self
                    .settle_all(&mut unit, &page, author, self.clock.now())
                    .await?;
                // Released, or kept without an end. And of a recording whose policy is not at hand
                // nobody knows what it needs.
                let settled: Vec<_> = entries.iter().filter_map(NewEntry::recording).collect();
                let is_due = |recording: &Recording| {
                    !settled.contains(&recording.id)
                        && policy::quarantine(recording, &self.rulebook).is_some()
                };
                let due: Vec<Recording> = page.into_iter().filter(is_due).collect();
                let released = Settled::of(&entries).released;
                let mut done = ShredOutcome::default();
                if !due.is_empty() {
                    let batch: Vec<&Recording> = due.iter().collect();
                    let cause = Cause::permitted(&permit, &reason);
                    done = vault.shred(&mut unit, &batch, cause, OnHold::Keep).await?;
                }
                if entries.is_empty() && !done.is_news {
                    unit.abandon();
                }
                unit.audit_all(entries);
                Ok::<_, Error>(Some((last, released, due, done)))
            });
            let Some((last, released, due, done)) = unit.await? else {
                swept.shredded = self.shredding.tell(all).await?.shredded.len() as u64;
                return Ok(swept);
            };
            after = Some(last);
            swept.released += released;
            if !due.is_empty() {
                all = all.and(self.shredding.done(&due, done));
            }
        }
    }
}

impl Settled {
    pub(in crate::flow) fn of(entries: &[NewEntry]) -> Self {
        use crate::evidence::AuditEvent;
        let of = |event| entries.iter().filter(move |entry| entry.event() == event);
        let quarantined = of(AuditEvent::RecordingQuarantined);
        let heard: Vec<RecordingId> = quarantined.filter_map(NewEntry::recording).collect();
        Self {
            released: of(AuditEvent::RecordingReleased).count() as u64,
            quarantined: heard.len() as u64,
            heard,
        }
    }

    fn add(&mut self, more: &Self) {
        self.released += more.released;
        self.quarantined += more.quarantined;
    }
}
