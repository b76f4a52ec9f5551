//! Comparison of recordings that Twilio lists with those of the vault, in batches.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::try_join_all;

use super::{
    ReconcileFailure, Reconciliation,
    step::{ReconcileAction, ReconcileTerms, VaultRecord, may_begin, step},
};
use crate::{
    db::{
        self, recordings,
        work::{self, WorkKind, WorkStatus},
    },
    flow::error::Error,
    model::{
        id::RecordingId,
        media::{MediaKind, SourceRef},
        reconciled::Reconciled,
        recording::{DiscoveredBy, Recording},
    },
    twilio::{Account, RecordingCallback, rest::RecordingResource},
};

/// The most announcements that share a commit.
const BATCH: usize = 200;
/// The source of recordings for which Twilio sends no callbacks.
const TRUNK: &str = "Trunking";

/// A running comparison.
pub(in crate::flow) struct Comparison<'a> {
    reconciliation: &'a Reconciliation,
    pub(in crate::flow) account: &'a Account,
    /// Whether an operator asked.
    by_hand: bool,
    /// Whether nothing is to be changed.
    dry_run: bool,
    pub(in crate::flow) found: ReconcileFindings,
}

/// The findings so far.
#[derive(Debug, Default)]
pub(in crate::flow) struct ReconcileFindings {
    pub(in crate::flow) counts: Reconciled,
    pub(in crate::flow) ghosts: BTreeSet<RecordingId>,
    /// Which recordings those are, in a dry run.
    pub(in crate::flow) would: WouldReconcile,
    /// Seconds of audio and film to be fetched because of it, as far as Twilio reports them.
    pub(in crate::flow) seconds: u64,
    /// The same in bytes.
    pub(in crate::flow) bytes: u64,
}

/// What a comparison would do, by recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct WouldReconcile {
    /// These would be announced.
    pub announce: Vec<RecordingId>,
    /// Of these, more would be told, or their work asked for again.
    pub advance: Vec<RecordingId>,
    /// These would be deleted at the source.
    pub erase: Vec<RecordingId>,
}

impl WouldReconcile {
    /// Whether it names nothing, as it does where something is done.
    pub fn is_empty(&self) -> bool {
        self.announce.is_empty() && self.advance.is_empty() && self.erase.is_empty()
    }

    fn note(&mut self, id: RecordingId, step: ReconcileAction) {
        match step {
            ReconcileAction::Nothing | ReconcileAction::Ghost => {}
            ReconcileAction::Announce => self.announce.push(id),
            ReconcileAction::Advance | ReconcileAction::Fetch => self.advance.push(id),
            ReconcileAction::Erase => self.erase.push(id),
        }
    }
}

/// The actions for a page.
#[derive(Default)]
struct Plan {
    tell: Vec<RecordingCallback>,
    fetch: Vec<RecordingId>,
    erase: Vec<RecordingId>,
}

/// What the vault has of a page.
pub(super) struct KnownPage {
    recordings: HashMap<RecordingId, Recording>,
    fetch: BTreeMap<RecordingId, WorkStatus>,
    erase: BTreeMap<RecordingId, WorkStatus>,
    files: BTreeMap<RecordingId, WorkStatus>,
    /// Sealed messages with fewer files than the source named.
    incomplete: BTreeSet<RecordingId>,
}

impl KnownPage {
    /// Returns whether the files of a message are to be fetched and nothing does it.
    pub(super) fn lacks_files(&self, id: RecordingId, terms: ReconcileTerms) -> bool {
        self.incomplete.contains(&id) && may_begin(self.files.get(&id).copied(), terms)
    }

    /// Returns what it has of one.
    pub(super) fn of(&self, id: RecordingId) -> VaultRecord<'_> {
        VaultRecord {
            recording: self.recordings.get(&id),
            fetch: self.fetch.get(&id).copied(),
            erase: self.erase.get(&id).copied(),
        }
    }
}

impl<'a> Comparison<'a> {
    pub(in crate::flow) fn of(
        reconciliation: &'a Reconciliation,
        account: &'a Account,
        by_hand: bool,
    ) -> Self {
        Self {
            reconciliation,
            account,
            by_hand,
            dry_run: false,
            found: ReconcileFindings::default(),
        }
    }

    /// Returns the comparison as a dry run, or not.
    pub(in crate::flow) fn dry(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    pub(in crate::flow) fn is_dry(&self) -> bool {
        self.dry_run
    }

    /// Compares some recordings, and does what they need.
    pub(in crate::flow) async fn page(
        &mut self,
        page: &[RecordingResource],
    ) -> Result<(), ReconcileFailure> {
        let plan = self.plan(page).await?;
        if self.dry_run {
            return Ok(());
        }
        let reconciliation = self.reconciliation;
        for batch in plan.tell.chunks(BATCH) {
            try_join_all(batch.iter().map(|told| {
                reconciliation
                    .ingest
                    .announce(told.clone(), DiscoveredBy::Reconcile)
            }))
            .await?;
        }
        Ok(self.enqueue(&plan.fetch, &[], &plan.erase).await?)
    }

    /// Reads what the vault has of these recordings.
    pub(super) async fn known(&self, ids: &[RecordingId]) -> Result<KnownPage, Error> {
        let mut tx = self.reconciliation.db.read().await?;
        // Before the recordings: if work finishes in between, the recording read later needs none.
        let fetch = work::standing(&mut tx, WorkKind::FetchMedia, ids).await?;
        let erase = work::standing(&mut tx, WorkKind::DeleteAtSource, ids).await?;
        let files = work::standing(&mut tx, WorkKind::FetchFiles, ids).await?;
        let incomplete = recordings::lacking_files(&mut tx, ids).await?;
        let recordings = recordings::find_all(&mut tx, ids).await?;
        let recordings = recordings
            .into_iter()
            .map(|recording| (recording.id, recording))
            .collect();
        Ok(KnownPage {
            recordings,
            fetch,
            erase,
            files,
            incomplete,
        })
    }

    /// Returns the account's settings, and who asks.
    pub(super) fn terms(&self) -> ReconcileTerms {
        ReconcileTerms {
            delete_source: self.account.delete_source(),
            await_transcript: self.account.await_transcript(),
            by_hand: self.by_hand,
            now: self.reconciliation.clock.now(),
        }
    }

    /// Notes what would be done, in a dry run.
    pub(super) fn would(&mut self, id: RecordingId, step: ReconcileAction) {
        if self.dry_run {
            self.found.would.note(id, step);
        }
    }

    /// Enqueues work, in one unit.
    pub(super) async fn enqueue(
        &self,
        fetch: &[RecordingId],
        files: &[RecordingId],
        erase: &[RecordingId],
    ) -> Result<(), Error> {
        if fetch.is_empty() && files.is_empty() && erase.is_empty() {
            return Ok(());
        }
        let now = self.reconciliation.clock.now();
        let unit = self
            .reconciliation
            .db
            .unit("compare.enqueue", async |mut unit| {
                unit.without_entry("what is to be done is told when it is done");
                work::enqueue(&mut unit, WorkKind::FetchMedia, fetch, now).await?;
                work::enqueue(&mut unit, WorkKind::FetchFiles, files, now).await?;
                work::enqueue(&mut unit, WorkKind::DeleteAtSource, erase, now).await?;
                Ok::<_, db::Error>(())
            });
        unit.await?;
        self.reconciliation.wakeups.work.notify_one();
        Ok(())
    }

    async fn plan(&mut self, page: &[RecordingResource]) -> Result<Plan, Error> {
        let vault = self.reconciliation.vault.id();
        let id = |listed: &RecordingResource| {
            SourceRef::of_call(self.account.sid(), &listed.sid).recording_id(vault)
        };
        let ids: Vec<RecordingId> = page.iter().map(id).collect();
        let known = self.known(&ids).await?;
        let terms = self.terms();
        let mut plan = Plan::default();
        for (listed, id) in page.iter().zip(ids) {
            let known = known.of(id);
            let step = step(&listed.status, known, terms);
            self.found.note(listed, id, step);
            self.would(id, step);
            match step {
                ReconcileAction::Nothing | ReconcileAction::Ghost => {}
                ReconcileAction::Announce | ReconcileAction::Advance => {
                    plan.tell.push(listed.to_callback(self.account.sid()))
                }
                ReconcileAction::Fetch => plan.fetch.push(id),
                ReconcileAction::Erase => plan.erase.push(id),
            }
        }
        Ok(plan)
    }
}

impl ReconcileFindings {
    fn note(&mut self, listed: &RecordingResource, id: RecordingId, step: ReconcileAction) {
        let counts = &mut self.counts;
        counts.listed += 1;
        match step {
            ReconcileAction::Nothing => return,
            ReconcileAction::Announce => counts.announced += 1,
            ReconcileAction::Advance | ReconcileAction::Fetch => counts.advanced += 1,
            ReconcileAction::Erase => counts.erased += 1,
            ReconcileAction::Ghost => return self.ghost(id),
        }
        let is_told_of = listed.source.as_deref() != Some(TRUNK);
        if matches!(step, ReconcileAction::Announce | ReconcileAction::Advance) && is_told_of {
            let not_told = if listed.status == "completed" {
                &mut counts.completed_not_told
            } else {
                &mut counts.absent_not_told
            };
            *not_told += 1;
        }
        if matches!(
            step,
            ReconcileAction::Announce | ReconcileAction::Advance | ReconcileAction::Fetch
        ) && listed.status == "completed"
        {
            let positive =
                |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
            let seconds = positive(listed.duration).unwrap_or(0);
            self.seconds += seconds;
            self.bytes += seconds.saturating_mul(BYTES_PER_CHANNEL_SECOND)
                * positive(listed.channels).unwrap_or(1);
        }
    }

    /// Counts a listed message, track or composition. `is_told` says whether a callback tells of each.
    pub(super) fn note_told_once(
        &mut self,
        id: RecordingId,
        kind: MediaKind,
        step: ReconcileAction,
        is_told: bool,
    ) {
        let counts = &mut self.counts;
        counts.listed += 1;
        match step {
            ReconcileAction::Nothing => {}
            ReconcileAction::Announce => {
                counts.announced += 1;
                // Outgoing messages have a callback only where somebody asked for one.
                let not_told = match kind {
                    MediaKind::Message | MediaKind::ChatMessage => &mut counts.messages_not_told,
                    _ => &mut counts.completed_not_told,
                };
                *not_told += u64::from(is_told);
            }
            ReconcileAction::Advance | ReconcileAction::Fetch => counts.advanced += 1,
            ReconcileAction::Erase => counts.erased += 1,
            ReconcileAction::Ghost => self.ghost(id),
        }
    }

    /// Adds a film that is fetched because of the comparison: its length in seconds and its size.
    pub(super) fn weigh_film(
        &mut self,
        step: ReconcileAction,
        (seconds, bytes): (Option<i64>, Option<u64>),
    ) {
        if matches!(
            step,
            ReconcileAction::Announce | ReconcileAction::Advance | ReconcileAction::Fetch
        ) {
            self.seconds += seconds.unwrap_or_default().unsigned_abs();
            self.bytes = self.bytes.saturating_add(bytes.unwrap_or_default());
        }
    }

    /// Records a recording that cannot be fetched any more.
    pub(super) fn ghost(&mut self, id: RecordingId) {
        if self.ghosts.insert(id) {
            self.counts.ghosts += 1;
        }
    }
}

/// 8 kHz of 16 bit: 128 kbit/s per channel, the format of Twilio's WAV.
const BYTES_PER_CHANNEL_SECOND: u64 = 16_000;
