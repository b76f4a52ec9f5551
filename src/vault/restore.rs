//! Restore: the store and custody alone rebuild the vault in an empty database.
//!
//! ```text
//! newest snapshot that opens with a root in custody → every row
//!   → journal pieces behind it, in order and without a hole: rows, keys into the tree, tombstones (which win, whatever came before or comes after)
//!   → every page stale, the epoch unsettled, the audit log goes on in a new timeline
//! ```
//! Owns this order. All of it is one unit of work: a restore that is interrupted leaves an empty
//! database, and what serves has every tombstone. INVARIANT: a key whose fingerprint stands in a tombstone is
//! not taken in, from wherever it comes.

mod coverage;
mod log;
mod merge;
mod plan;
mod reconcile;
mod replay;

use std::sync::Arc;

pub use self::plan::{Choice, Plan, plan};
use self::{log::MainLog, merge::Merge, reconcile::reconcile, replay::of_main_log};
use super::{
    Inner, VaultParts,
    error::Error,
    journal::{self, JournalLine},
    ownership,
    ownership::Claim,
    recovery::{Header, RecoveryFile, Roots},
    root::CurrentRoot,
    sign::ServicePage,
    snapshot::Rows,
};
use crate::{
    custody::Custody,
    db::{
        Db, Tx, audit, chain, epochs,
        gaps::{self, Gap},
        image::{self, Image, Table},
        keys as rows, outbox, shreds, timelines,
    },
    evidence::NewEntry,
    model::{
        crash,
        id::{DatabaseId, VaultId},
        time::Timestamp,
        timeline::{LogPoint, Timeline},
    },
    store::{RecoveryName, Store},
};

/// Rows entered by one statement, or a few.
const ROWS: usize = 2048;

/// A vault that was rebuilt.
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
    /// in them.
    pub states: u64,
    /// When the last of these was written: what came later is lost.
    pub recovery_point: Timestamp,
    /// The timeline in which the audit log goes on.
    pub timeline: Timeline,
    /// Entries of lost timelines that are in the log now.
    pub late_entries: i64,
    /// Tombstones that stand in the database now.
    pub tombstones: i64,
    /// What was missing in the journal, and accepted.
    pub gaps: Vec<Gap>,
    /// Files that did not open and were passed over.
    pub unreadable: u64,
}

/// The vault of a database that was rebuilt and is not settled: the restore was interrupted after its
/// one unit, and only has to be gone on with.
///
/// # Errors
/// The database's.
pub async fn unfinished(db: &Db) -> Result<Option<VaultId>, Error> {
    let mut tx = db.read().await?;
    let vault = rows::vault_id(&mut tx).await?;
    Ok(if vault.is_some() && !epochs::is_settled(&mut tx).await? {
        vault
    } else {
        None
    })
}

/// Rebuilds the vault in the empty database of `parts`, and takes custody for it as `claim` says.
///
/// # Errors
/// [`db::Error::NotEmpty`] inside; [`Error::TakeOver`]; [`Error::Gaps`]; or why the plan cannot
/// be followed. The database is empty then as before.
pub async fn restore(parts: VaultParts, plan: &Plan, claim: Claim) -> Result<Restored, Error> {
    let recovery = parts.recovery.clone();
    let custody = Arc::clone(&parts.custody);
    let mut roots = Roots::default();
    let name = plan.snapshot;
    let slot = custody
        .read()
        .await?
        .ok_or_else(|| Error::NoSnapshot("none".into()))?;
    ownership::may_take(&slot, claim)?;
    let newest = slot.newest();
    let file = RecoveryFile::open(&recovery, name, custody.as_ref(), &mut roots).await?;
    let header = file.header.clone();
    let root = Arc::clone(&file.root);
    let journal = checked(plan, &header, &recovery, custody.as_ref(), &mut roots).await?;
    let known = plan.choice.not_before.map(|known| known.point());
    let main = MainLog::of(plan::newest(&header, &journal), known);
    let timeline = next_timeline(&main, slot.owner().timeline, known);
    // The one unit that lasts as long as the store takes: nobody else has this database yet.
    let empty = parts.db.clone();
    let restored = empty
        .first_unit("restore.restore", async |mut unit| {
            image::defer_references(&mut unit).await?;
            let count = load(&mut unit, file, (name, main.shared_with(&header))).await?;
            crash::point("restore.loaded");
            if rows::vault_id(&mut unit).await? != Some(header.vault) {
                return Err(fault_in(name)("it is another vault's"));
            }
            let database = DatabaseId::random(&mut rand::rng());
            rows::set_database_id(&mut unit, database).await?;
            let service = ServicePage::open(&mut unit, &root, header.vault).await?;
            let now = parts.clock.now();
            let ids = (header.vault, database, timeline);
            let inner = Inner::of(parts, ids, CurrentRoot::of(root), service);

            let mut restored = Restored {
                vault: header.vault,
                epoch: header.epoch,
                snapshot: name,
                snapshot_at: header.at,
                rows: count,
                pieces: 0,
                states: 0,
                recovery_point: header.at,
                timeline,
                late_entries: 0,
                tombstones: 0,
                gaps: plan.gaps.clone(),
                unreadable: plan.unreadable,
            };
            let mut lost = Vec::new();
            lost.extend(main.has_lost(&header).then(|| (name, header.clone())));
            let mut merge = Merge::default();
            for (piece, expected) in &journal {
                let files = (&inner.recovery, inner.custody.as_ref(), &mut roots);
                let file = reopened(files, *piece, expected).await?;
                restored.recovery_point = restored.recovery_point.max(file.header.at);
                let numbers = (*piece, main.shared_with(expected));
                restored.states += inner
                    .replay(&mut unit, file, numbers, &mut merge, now)
                    .await?;
                lost.extend(main.has_lost(expected).then(|| (*piece, expected.clone())));
                restored.pieces += 1;
            }
            let reconciled = reconcile(&mut unit, now).await?;
            restored.tombstones = image::count(&mut unit, Table::Tombstones).await?;
            // What the lost database did after the snapshot is not known: any of its pages may have held a
            // key that is dead by now.
            rows::mark_stale(&mut unit, None).await?;
            shreds::uncover(&mut unit).await?;
            epochs::unsettle(&mut unit, header.epoch, newest).await?;
            let files = (&inner.recovery, inner.custody.as_ref(), &mut roots);
            let known_to = main.take_lost(&mut unit, &lost, files).await?;
            main.fill(&mut unit, &plan.choice.accept, now).await?;
            restored.late_entries = known_to - main.to;
            // What a process of the lost database still numbers is of an earlier timeline.
            let path = main.path().clone().forked(timeline, main.to);
            let path =
                path.map_err(|_| fault_in(name)("its log ends before the timeline that it is of"))?;
            timelines::rebuild(&mut unit, &path).await?;
            audit::advance_head(&mut unit, known_to).await?;
            // The next piece has all that this timeline numbers, and so the late entries again.
            outbox::note_journaled(&mut unit, main.to).await?;
            let newest = newest_piece(&header, &journal);
            // Under their numbers here, the store does not have the late entries yet.
            chain::rebuild(&mut unit, newest.as_ref(), main.to).await?;
            let mut entries = vec![NewEntry::vault_restored(
                now,
                &name.to_string(),
                timeline,
                main.to,
                restored.late_entries,
            )];
            entries.extend(reconciled);
            for gap in &plan.gaps {
                gaps::insert(&mut unit, *gap, now).await?;
                entries.push(NewEntry::restore_gap_accepted(
                    now,
                    gap.timeline,
                    gap.first,
                    gap.last,
                ));
            }
            if claim != Claim::Rehearse {
                entries.push(NewEntry::custody_taken(
                    now,
                    slot.owner().database,
                    database,
                ));
            }
            // Before custody goes over: what the database refuses, it refuses by now.
            unit.audit_now(entries).await?;
            let seen = audit::durable_position(&mut unit).await?;
            crash::point("restore.before_commit");
            ownership::take_over(
                inner.custody.as_ref(),
                &slot,
                claim,
                inner.ownership.owner(inner.id, seen),
            )
            .await?;
            crash::point("restore.taken_over");
            // A rehearsal takes nothing from anybody, who therefore goes on.
            if claim != Claim::Rehearse {
                let custody = inner.custody.as_ref();
                plan::check_unmoved(plan, &header, &inner.recovery, custody).await?;
            }
            Ok(restored)
        })
        .await?;
    crash::point("restore.committed");
    Ok(restored)
}

/// The pieces of a plan with their headers, each opened; nothing between them is missing but what
/// was accepted.
async fn checked(
    plan: &Plan,
    snapshot: &Header,
    recovery: &Store,
    custody: &dyn Custody,
    roots: &mut Roots,
) -> Result<Vec<(RecoveryName, Header)>, Error> {
    let mut pieces = Vec::with_capacity(plan.journal.len());
    for name in &plan.journal {
        pieces.push((
            *name,
            RecoveryFile::open(recovery, *name, custody, roots)
                .await?
                .header,
        ));
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

/// Opens a file whose header was read before.
async fn reopened(
    (store, custody, roots): (&Store, &dyn Custody, &mut Roots),
    name: RecoveryName,
    expected: &Header,
) -> Result<RecoveryFile, Error> {
    let file = RecoveryFile::open(store, name, custody, roots).await?;
    if file.header == *expected {
        Ok(file)
    } else {
        Err(fault_in(name)("it is another file than a moment ago"))
    }
}

/// The piece behind which the rebuilt database's own chain goes on.
fn newest_piece(
    snapshot: &Header,
    journal: &[(RecoveryName, Header)],
) -> Option<chain::JournalPiece> {
    // In order of points and places: places are told apart within a timeline only.
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

/// Later than every timeline that anybody knows of.
fn next_timeline(main: &MainLog, of_owner: Timeline, known: Option<LogPoint>) -> Timeline {
    let known = known.map_or(Timeline::FIRST, |known| known.timeline);
    main.path().current().max(of_owner).max(known).next()
}

/// What is wrong with a file, as an error.
fn fault_in(name: RecoveryName) -> impl Fn(&'static str) -> Error + Copy {
    move |why| Error::RecoveryFile {
        name: name.to_string(),
        why,
    }
}

/// Enters every row of a snapshot whose numbers are the rebuilt log's up to `shared`.
async fn load(
    tx: &mut Tx,
    mut file: RecoveryFile,
    (name, shared): (RecoveryName, i64),
) -> Result<u64, Error> {
    let fault = fault_in(name);
    let mut rows = Rows::default();
    // The first row of the next table, which ended the batch before.
    let mut first: Option<Image> = None;
    let mut batch = async || -> Result<Vec<Image>, Error> {
        let mut batch: Vec<Image> = first.take().into_iter().collect();
        while batch.len() < ROWS
            && let Some(line) = file.line().await?
        {
            let Some(row) = rows.next(line).map_err(fault)? else {
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
        // The database enters these rows while the next are read.
        let (entered, next) = tokio::join!(image::insert(tx, table, &present), batch());
        entered?;
        present = next?;
    }
    rows.end().map_err(fault)
}
