//! Restore: the store and custody alone rebuild the vault in an empty database.
//!
//! ```text
//! newest snapshot that opens with a root in custody → every row
//!   → journal pieces behind it, in order and without a gap: rows, keys into the tree, tombstones (which win, regardless of order)
//!   → small ciphertext from the packs that rows name, each checked by the digest in its row
//!   → every page stale, the epoch unsettled, the audit log continues in a new timeline
//! ```
//! Owns this order. All of it is one unit of work: an interrupted restore leaves an empty database,
//! and a database in service has every tombstone. INVARIANT: a key whose fingerprint is in a
//! tombstone is never entered, whatever file it comes from.

mod coverage;
mod log;
mod merge;
mod packed;
mod plan;
mod reader;
mod reconcile;
mod replay;

use std::sync::Arc;

pub use self::plan::{Choice, Plan, plan};
use self::{
    log::MainLog, merge::Merge, reader::RecoveryReader, reconcile::reconcile, replay::of_main_log,
};
use super::{
    Inner, VaultIds, VaultParts,
    error::Error,
    journal::{self, JournalLine},
    ownership,
    ownership::Claim,
    recovery::{Header, RecoveryFile},
    root::CurrentRoot,
    sign::ServicePage,
    snapshot::LineParser,
};
use crate::{
    custody::{Custody, Slot},
    db::{
        Db, Tx, Unit, audit, chain, epochs,
        gaps::{self, Gap},
        image::{self, Image, Table},
        keys as key_rows, outbox, packs, shreds, timelines,
        work::{self, WorkKind},
    },
    evidence::NewEntry,
    model::{
        crash,
        id::{DatabaseId, VaultId},
        time::Timestamp,
        timeline::{LogPath, LogPoint, Timeline},
    },
    store::{RecoveryName, Store},
};

/// Rows entered at a time.
const ROWS: usize = 2048;

/// A rebuilt vault.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Restored {
    /// The vault.
    pub vault: VaultId,
    /// Its epoch.
    pub epoch: u64,
    /// The snapshot.
    pub snapshot: RecoveryName,
    /// When it was written.
    pub snapshot_at: Timestamp,
    /// Rows in it.
    pub rows: u64,
    /// Pieces of the journal that came after it.
    pub pieces: u64,
    /// States of recordings, tokens, policies, conversations, statements of consent and revocations
    /// in those pieces.
    pub states: u64,
    /// The time of the newest of these files: later changes are lost.
    pub recovery_point: Timestamp,
    /// The timeline in which the audit log continues.
    pub timeline: Timeline,
    /// Entries of lost timelines that are now in the log.
    pub late_entries: i64,
    /// Tombstones now in the database.
    pub tombstones: i64,
    /// Accepted gaps in the journal.
    pub gaps: Vec<Gap>,
    /// Files that did not open and were skipped.
    pub unreadable: u64,
    /// Recordings that lack small ciphertext: a pack is missing or altered, or it was in an accepted
    /// gap.
    pub lacking: u64,
}

/// Returns the vault of a rebuilt database that is not settled: the restore was interrupted after
/// its one unit, and only has to be completed.
///
/// # Errors
/// The database's.
pub async fn unfinished(db: &Db) -> Result<Option<VaultId>, Error> {
    let mut tx = db.read().await?;
    let vault = key_rows::vault_id(&mut tx).await?;
    Ok(if vault.is_some() && !epochs::is_settled(&mut tx).await? {
        vault
    } else {
        None
    })
}

/// Rebuilds the vault in the empty database of `parts`, and takes custody for it as `claim` says.
///
/// # Errors
/// [`db::Error::NotEmpty`] inside; [`Error::TakeOver`]; [`Error::Gaps`]; or why the plan cannot be
/// followed. The database is then still empty.
pub async fn restore(parts: VaultParts, plan: &Plan, claim: Claim) -> Result<Restored, Error> {
    let recovery = parts.recovery.clone();
    let custody = Arc::clone(&parts.custody);
    let mut reader = RecoveryReader::of(&recovery, custody.as_ref());
    let (source, file) = Box::pin(admitted(&parts, plan, claim, &mut reader)).await?;
    // This one unit may take as long as reading the store: no other process uses this database yet.
    let empty = parts.db.clone();
    let unit = empty.first_unit("restore.restore", async |mut unit| {
        let now = parts.clock.now();
        // On the heap, each: together they would be too large for the stack of a thread.
        let (inner, rows) = Box::pin(source.load_snapshot(&mut unit, parts, file)).await?;
        let mut restored = source.restored(rows);
        let lost =
            Box::pin(source.replay_journal(&mut unit, &inner, &mut reader, &mut restored)).await?;
        let mut reconciled = reconcile(&mut unit, now).await?;
        let lacking = Box::pin(packed::fill(&mut unit, &inner.store)).await?;
        packs::release_unusable(&mut unit).await?;
        let freed = packs::forget_removed(&mut unit).await?;
        work::begin_anew(&mut unit, WorkKind::DeleteCiphertext, &freed, now).await?;
        restored.lacking = lacking.len() as u64;
        let told = lacking
            .into_iter()
            .map(|id| NewEntry::ciphertext_missing(now, id));
        reconciled.extend(told);
        restored.tombstones = image::count(&mut unit, Table::Tombstones).await?;
        // The lost database's changes after the snapshot are unknown: any of its pages may have
        // held a key that is destroyed by now.
        key_rows::mark_stale(&mut unit, None).await?;
        shreds::uncover(&mut unit).await?;
        epochs::unsettle(&mut unit, restored.epoch, source.slot.newest()).await?;
        let known_to = Box::pin(source.rebuild_log(&mut unit, &mut reader, &lost, now)).await?;
        restored.late_entries = known_to - source.main.to;
        for gap in &plan.gaps {
            gaps::insert(&mut unit, *gap, now).await?;
        }
        let entries = source.entries(&inner, &restored, reconciled, now);
        // Before custody is taken, so that a refusal by the database comes first.
        unit.audit_now(entries).await?;
        Box::pin(source.transfer_custody(&mut unit, &inner)).await?;
        Ok::<_, Error>(restored)
    });
    let restored = Box::pin(unit).await?;
    crash::point("restore.committed");
    Ok(restored)
}

/// Checks, without any effect, that [`restore`] would not refuse: it makes the same checks first.
///
/// # Errors
/// As [`restore`].
pub async fn check_restore(parts: &VaultParts, plan: &Plan, claim: Claim) -> Result<(), Error> {
    let mut reader = RecoveryReader::of(&parts.recovery, parts.custody.as_ref());
    let (source, _) = Box::pin(admitted(parts, plan, claim, &mut reader)).await?;
    source
        .check_unmoved(&parts.recovery, parts.custody.as_ref())
        .await
}

/// Makes every check of a restore that comes before its one unit. The unit repeats those whose
/// result may change meanwhile: whether the database is empty, and whether the store moved.
async fn admitted<'a>(
    parts: &VaultParts,
    plan: &'a Plan,
    claim: Claim,
    reader: &mut RecoveryReader<'_>,
) -> Result<(RestoreSource<'a>, RecoveryFile), Error> {
    let slot = parts.custody.read().await?;
    let slot = slot.ok_or_else(|| Error::NoSnapshot("none".into()))?;
    ownership::may_take(&slot, claim)?;
    let file = reader.file(plan.snapshot).await?;
    let snapshot = file.header.clone();
    let journal = checked(plan, &snapshot, reader).await?;
    let known = plan.choice.not_before.map(|known| known.point());
    let main = MainLog::of(plan::newest(&snapshot, &journal), known);
    let timeline = next_timeline(&main, slot.owner().timeline, known);
    // Entries that a process of the lost database still numbers belong to an earlier timeline.
    let path = main.path().clone().forked(timeline, main.to);
    let path = path
        .map_err(|_| fault_in(plan.snapshot)("its log ends before the timeline that it is of"))?;
    parts.db.check_empty().await?;
    let source = RestoreSource {
        plan,
        claim,
        slot,
        snapshot,
        journal,
        main,
        timeline,
        path,
    };
    Ok((source, file))
}

/// The input of a restore, once every file of it was opened.
struct RestoreSource<'a> {
    plan: &'a Plan,
    claim: Claim,
    /// The slot in custody before the restore.
    slot: Slot,
    snapshot: Header,
    /// The pieces of the journal, in order.
    journal: Vec<(RecoveryName, Header)>,
    main: MainLog,
    /// The new timeline.
    timeline: Timeline,
    /// The path of the log that continues in it.
    path: LogPath,
}

impl RestoreSource<'_> {
    /// Enters the snapshot. Returns the vault that is being rebuilt, and how many rows it has.
    async fn load_snapshot(
        &self,
        unit: &mut Unit,
        parts: VaultParts,
        file: RecoveryFile,
    ) -> Result<(Inner, u64), Error> {
        let name = file.name;
        let root = Arc::clone(&file.root);
        let vault = self.snapshot.vault;
        image::defer_references(unit).await?;
        let rows = Box::pin(load(unit, file, self.main.shared_with(&self.snapshot))).await?;
        crash::point("restore.loaded");
        if key_rows::vault_id(unit).await? != Some(vault) {
            return Err(fault_in(name)("it is another vault's"));
        }
        let database = DatabaseId::random(&mut rand::rng());
        key_rows::set_database_id(unit, database).await?;
        let service = ServicePage::open(unit, &root, vault).await?;
        let ids = VaultIds {
            vault,
            database,
            timeline: self.timeline,
        };
        let inner = Inner::of(parts, ids, CurrentRoot::of(root), service);
        Ok((inner, rows))
    }

    /// Returns the report for the snapshot; the journal's part is filled in later.
    fn restored(&self, rows: u64) -> Restored {
        Restored {
            vault: self.snapshot.vault,
            epoch: self.snapshot.epoch,
            snapshot: self.plan.snapshot,
            snapshot_at: self.snapshot.at,
            rows,
            pieces: 0,
            states: 0,
            recovery_point: self.snapshot.at,
            timeline: self.timeline,
            late_entries: 0,
            tombstones: 0,
            gaps: self.plan.gaps.clone(),
            unreadable: self.plan.unreadable,
            lacking: 0,
        }
    }

    /// Enters the journal. Returns the files that have entries of lost timelines.
    async fn replay_journal(
        &self,
        unit: &mut Unit,
        inner: &Inner,
        reader: &mut RecoveryReader<'_>,
        restored: &mut Restored,
    ) -> Result<Vec<(RecoveryName, Header)>, Error> {
        let now = inner.clock.now();
        let snapshot = (self.plan.snapshot, self.snapshot.clone());
        let mut lost = Vec::new();
        lost.extend(self.main.has_lost(&self.snapshot).then_some(snapshot));
        let mut merge = Merge::default();
        for (piece, expected) in &self.journal {
            let file = reader.reopened(*piece, expected).await?;
            restored.recovery_point = restored.recovery_point.max(file.header.at);
            let shared = self.main.shared_with(expected);
            restored.states += inner.replay(unit, file, shared, &mut merge, now).await?;
            let is_lost = self.main.has_lost(expected);
            lost.extend(is_lost.then(|| (*piece, expected.clone())));
            restored.pieces += 1;
        }
        Ok(lost)
    }

    /// Sets the numbers at which the audit log and the journal's chain continue. Returns the last
    /// number in use.
    async fn rebuild_log(
        &self,
        unit: &mut Unit,
        reader: &mut RecoveryReader<'_>,
        lost: &[(RecoveryName, Header)],
        now: Timestamp,
    ) -> Result<i64, Error> {
        let main = &self.main;
        let known_to = main.take_lost(unit, lost, reader).await?;
        main.fill(unit, &self.plan.choice.accept, now).await?;
        timelines::rebuild(unit, &self.path).await?;
        audit::advance_head(unit, known_to).await?;
        // The next journal piece starts after `main.to`, so it repeats the late entries under their
        // new numbers.
        outbox::note_journaled(unit, main.to).await?;
        let newest = newest_piece(&self.snapshot, &self.journal);
        // The store does not have the late entries under their new numbers yet.
        chain::rebuild(unit, newest.as_ref(), main.to).await?;
        Ok(known_to)
    }

    /// Returns the entries with which the new timeline begins.
    fn entries(
        &self,
        inner: &Inner,
        restored: &Restored,
        reconciled: Vec<NewEntry>,
        now: Timestamp,
    ) -> Vec<NewEntry> {
        let mut entries = vec![NewEntry::vault_restored(
            now,
            &self.plan.snapshot.to_string(),
            self.timeline,
            self.main.to,
            restored.late_entries,
        )];
        entries.extend(reconciled);
        let accepted = self.plan.gaps.iter();
        entries.extend(
            accepted
                .map(|gap| NewEntry::restore_gap_accepted(now, gap.timeline, gap.first, gap.last)),
        );
        if self.claim != Claim::None {
            let before = self.slot.owner().database;
            let database = inner.ownership.database();
            entries.push(NewEntry::custody_taken(now, before, database));
        }
        entries
    }

    /// Makes the rebuilt database the owner of custody, as the claim says.
    async fn transfer_custody(&self, unit: &mut Unit, inner: &Inner) -> Result<(), Error> {
        let seen = audit::durable_position(unit).await?;
        crash::point("restore.before_commit");
        let custody = inner.custody.as_ref();
        let owner = inner.ownership.owner(inner.id, seen);
        ownership::take_over(custody, &self.slot, self.claim, owner).await?;
        crash::point("restore.taken_over");
        self.check_unmoved(&inner.recovery, custody).await
    }

    /// Checks that the store received no file since the plan was made.
    async fn check_unmoved(&self, recovery: &Store, custody: &dyn Custody) -> Result<(), Error> {
        // A drill takes custody from no database, so the present owner continues.
        if self.claim == Claim::None {
            return Ok(());
        }
        plan::check_unmoved(self.plan, &self.snapshot, recovery, custody).await
    }
}

/// Returns the pieces of a plan with their headers, each of them opened; every gap between them is
/// accepted.
async fn checked(
    plan: &Plan,
    snapshot: &Header,
    reader: &mut RecoveryReader<'_>,
) -> Result<Vec<(RecoveryName, Header)>, Error> {
    let mut pieces = Vec::with_capacity(plan.journal.len());
    for name in &plan.journal {
        pieces.push((*name, reader.file(*name).await?.header));
    }
    let (pieces, gaps) = plan::behind(
        snapshot,
        pieces,
        plan.choice.not_before.map(|known| known.point()),
    );
    Plan {
        gaps,
        ..plan.clone()
    }
    .check()?;
    Ok(pieces)
}

/// Returns the piece after which the rebuilt database's chain continues.
fn newest_piece(
    snapshot: &Header,
    journal: &[(RecoveryName, Header)],
) -> Option<chain::JournalPiece> {
    // In order of points, then places: places are comparable within a timeline only.
    match (journal.last(), &snapshot.previous) {
        (Some((name, piece)), _) => Some(chain::JournalPiece {
            number: piece.chain,
            name: name.to_string(),
            digest: piece.digest(),
        }),
        (None, Some(link)) => Some(chain::JournalPiece {
            number: snapshot.chain,
            name: link.name.to_string(),
            digest: link.sha256.clone(),
        }),
        (None, None) => None,
    }
}

/// Returns a timeline later than every known one.
fn next_timeline(main: &MainLog, of_owner: Timeline, known: Option<LogPoint>) -> Timeline {
    let known = known.map_or(Timeline::FIRST, |known| known.timeline);
    main.path().current().max(of_owner).max(known).next()
}

/// Returns a function that makes an error of a fault in this file.
fn fault_in(name: RecoveryName) -> impl Fn(&'static str) -> Error + Copy {
    move |why| Error::RecoveryFile {
        name: name.to_string(),
        why,
    }
}

/// Enters every row of a snapshot, whose numbers up to `shared` are the rebuilt log's.
async fn load(tx: &mut Tx, mut file: RecoveryFile, shared: i64) -> Result<u64, Error> {
    let fault = fault_in(file.name);
    let mut parser = LineParser::default();
    // The first row of the next table, which ended the previous batch.
    let mut first: Option<Image> = None;
    let mut batch = async || -> Result<Vec<Image>, Error> {
        let mut batch: Vec<Image> = first.take().into_iter().collect();
        while batch.len() < ROWS
            && let Some(line) = file.line().await?
        {
            let Some(row) = parser.next(line).map_err(fault)? else {
                continue;
            };
            let Some(row) = of_main_log(row, shared) else {
                continue;
            };
            if batch
                .first()
                .is_some_and(|first| first.table() != row.table())
            {
                first = Some(row);
                break;
            }
            batch.push(row);
        }
        Ok(batch)
    };
    let mut present = batch().await?;
    while let Some(table) = present.first().map(Image::table) {
        // The database enters these rows while the next ones are read.
        let (entered, next) = tokio::join!(image::insert(tx, table, &present), batch());
        entered?;
        present = next?;
    }
    parser.end().map_err(fault)
}
