//! Quarantine: recordings that need evidence of consent wait for it, and are shredded if it does
//! not arrive.
//!
//! Owns the effects of new evidence, and the sweep. Refuses to know what counts as evidence:
//! `policy` decides that.
//!
//! INVARIANTS
//! - A mark on a row opens nothing. Each decision reads the statements themselves; the mark says
//!   when a recording is shredded.
//! - A recording that is closed only by data from callers without the `revoke` action is not
//!   shredded: a quarantine has an end only if evidence is missing without that data, too. Only
//!   [`end_of`] decides that.

use std::sync::Arc;

use super::shredding::Shredding;
use crate::{
    db::{
        Db, Unit, consents,
        outbox::OutboxKind,
        quarantine::{self, AffectedScope},
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

/// Recordings processed in one unit of work.
const PAGE: i64 = 200;

/// The progress through the recordings that a change affects.
#[derive(Clone, Copy, Debug)]
pub(in crate::flow) enum QuarantineProgress {
    /// Recordings in quarantine, after this one.
    Waiting(Option<RecordingId>),
    /// Recordings not in quarantine, after this one.
    Released(Option<RecordingId>),
}

/// The result of new evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Settled {
    /// Recordings released from quarantine.
    pub released: u64,
    /// Recordings put in quarantine.
    pub quarantined: u64,
    /// Recordings whose streams in this process are still to be ended.
    #[serde(skip)]
    heard: Vec<RecordingId>,
}

/// New evidence: its scope, its author, and whether it may close recordings.
#[derive(Clone, Debug)]
pub(in crate::flow) struct ConsentChange {
    pub(in crate::flow) bearing: AffectedScope,
    pub(in crate::flow) actor: Initiator,
    pub(in crate::flow) narrows: bool,
    pub(in crate::flow) deadline: Deadline,
}

/// Whether a quarantine that begins because of the change has an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Deadline {
    /// No end, because the author may not revoke. The recording is closed, and waits for evidence,
    /// for a confirmation by a caller with `revoke`, or for the end of its retention.
    None,
    /// A new quarantine has an end.
    New,
    /// The same, and an existing quarantine without end gets one if the recording is not covered
    /// even without data from callers without `revoke`.
    Confirmed,
}

impl Deadline {
    /// Returns the deadline for a change that is reported with this permit.
    pub(in crate::flow) fn by<A: PermitAction>(permit: &Permit<A>) -> Self {
        match permit.also(action::Revoke) {
            Some(_) => Self::Confirmed,
            None => Self::None,
        }
    }
}

/// The stored end of a quarantine without end: 4000-01-01T00:00:00Z.
const WITHOUT_END: Timestamp = Timestamp::from_millis(64_060_588_800_000);

/// Returns the end of the quarantine of a recording that is not covered: `ends`, or no end if it is
/// covered by `vouched`, the consents without data from callers without `revoke`.
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

/// The result of a sweep of the quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuarantineSwept {
    /// Recordings that were released because evidence had arrived.
    pub released: u64,
    /// Recordings that were shredded because it had not.
    pub shredded: u64,
}

/// Updates and sweeps quarantines.
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

    /// Returns the start of the progress; `None` if no version of the policy has a quarantine.
    pub(in crate::flow) fn first_step(&self) -> Option<QuarantineProgress> {
        (!policy::quarantining(&self.rulebook).is_empty())
            .then_some(QuarantineProgress::Waiting(None))
    }

    /// Updates up to [`PAGE`] recordings affected by the change, within the unit that records it.
    /// Returns the audit entries for the unit, and where to continue, if there are more.
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

    /// Continues where the unit that recorded the change stopped, one unit after another. An
    /// interruption leaves outdated marks, but never opens a recording that should be closed. After
    /// each commit the streams of newly quarantined recordings end.
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

    /// Updates the marks on these recordings.
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

    /// Checks every recording whose quarantine has ended once more, releases those with evidence,
    /// and shreds the others. Held recordings wait for the end of the hold.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the clock is not trusted; any database error. Shredded recordings
    /// stay shredded, and the next sweep continues.
    pub async fn sweep(&self) -> Result<QuarantineSwept, Error> {
        let permit = Permit::of_vault(action::Shred);
        let reason: ShredReason = "no-consent".parse().expect("it is a code");
        let mut swept = QuarantineSwept::default();
        let mut after = None;
        let mut all = Undurable::nothing();
        loop {
            let now = self.clock.believed().await?.at();
            let vault = &self.vault;
            // One unit decides and shreds: concurrent evidence is seen by it, or comes too late.
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
                // These were released, or are kept without an end. If the policy of a recording is
                // not available, its need for consent is unknown.
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
