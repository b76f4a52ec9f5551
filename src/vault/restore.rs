//! Restore: the store and custody alone rebuild the vault in an empty database.
//!
//! ```text
//! newest snapshot that opens with a root in custody → every row
//!   → journal pieces behind it, in order and without a hole: rows, keys into the tree, tombstones (which win, whatever came before)
//!   → every page stale, the epoch unsettled, the audit log goes on above every number that was ever given
//! ```
//! Owns this order. All of it is one unit of work: a restore that is interrupted leaves an empty
//! database, and what serves has every tombstone. INVARIANT: a key whose fingerprint stands in a tombstone is
//! not taken in, from wherever it comes.

mod plan;

use std::sync::Arc;

pub use self::plan::{Choice, Plan, plan};
use super::{
    Inner, VaultParts,
    error::Error,
    journal::{self, JournalLine},
    ownership,
    ownership::Claim,
    recovery::{Header, RecoveryFile, Roots},
    root::CurrentRoot,
    seed,
    snapshot::Rows,
};
use crate::{
    custody::Custody,
    db::{
        Db, Tx, audit, chain, details, epochs,
        gaps::{self, Gap},
        image::{self, Image, Table},
        keys::{self as rows, KeyEntries},
        outbox, recordings, revocations, shreds,
        work::{self, WorkKind},
    },
    evidence::{NewEntry, Receipt, Removal},
    keyring::fingerprint,
    model::{
        artefact::Leg,
        crash,
        id::{DatabaseId, RecordingId, VaultId},
        recording::RecordingState,
        time::Timestamp,
    },
    secret::Key,
    store::{RecoveryName, Store},
};

/// The audit log of a rebuilt database goes on at the next multiple of this.
const LIVES: i64 = 1_000_000;

/// The tables each of whose rows is one state in a piece of the journal.
const STATES: [Table; 6] = [
    Table::Recordings,
    Table::Tokens,
    Table::Policies,
    Table::Parties,
    Table::Consents,
    Table::Revocations,
];

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
    // The one unit that lasts as long as the store takes: nobody else has this database yet.
    let empty = parts.db.clone();
    let restored = empty
        .first_unit("restore.restore", async |mut unit| {
            image::defer_references(&mut unit).await?;
            let count = load(&mut unit, file, name).await?;
            crash::point("restore.loaded");
            if rows::vault_id(&mut unit).await? != Some(header.vault) {
                return Err(Error::RecoveryFile {
                    name: name.to_string(),
                    why: "it is another vault's",
                });
            }
            let database = DatabaseId::random(&mut rand::rng());
            rows::set_database_id(&mut unit, database).await?;
            let seed = seed(&mut unit, &root, header.vault).await?;
            let now = parts.clock.now();
            let inner = Inner::of(parts, (header.vault, database), CurrentRoot::of(root), seed);

            let mut restored = Restored {
                vault: header.vault,
                epoch: header.epoch,
                snapshot: name,
                snapshot_at: header.at,
                rows: count,
                pieces: 0,
                states: 0,
                recovery_point: header.at,
                tombstones: 0,
                gaps: plan.gaps.clone(),
                unreadable: plan.unreadable,
            };
            let mut numbered_to = header.seq;
            for (piece, expected) in &journal {
                let file =
                    RecoveryFile::open(&inner.recovery, *piece, inner.custody.as_ref(), &mut roots)
                        .await?;
                if file.header != *expected {
                    return Err(Error::RecoveryFile {
                        name: piece.to_string(),
                        why: "it is another file than a moment ago",
                    });
                }
                restored.recovery_point = restored.recovery_point.max(file.header.at);
                numbered_to = numbered_to.max(piece.seq);
                restored.states += inner.replay(&mut unit, file, *piece, now).await?;
                restored.pieces += 1;
            }
            restored.tombstones = image::count(&mut unit, Table::Tombstones).await?;
            // What the lost database did after the snapshot is not known: any of its pages may have held a
            // key that is dead by now.
            rows::mark_stale(&mut unit, None).await?;
            shreds::uncover(&mut unit).await?;
            epochs::unsettle(&mut unit, header.epoch, newest).await?;
            // A process of the lost database that is still at work numbers what it writes to the store below
            // the next million.
            let numbered_to = plan
                .choice
                .not_before
                .map_or(numbered_to, |known| numbered_to.max(known.seq));
            let rebuilt_to = (numbered_to / LIVES + 1) * LIVES;
            audit::advance_head(&mut unit, rebuilt_to).await?;
            let known_to = audit::newest(&mut unit).await?;
            outbox::note_journaled(&mut unit, known_to).await?;
            chain::rebuild(
                &mut unit,
                newest_piece(&header, &journal).as_ref(),
                rebuilt_to,
            )
            .await?;
            let mut entries = vec![NewEntry::vault_restored(
                now,
                &name.to_string(),
                known_to,
                numbered_to,
            )];
            for gap in &plan.gaps {
                gaps::insert(&mut unit, *gap, now).await?;
                entries.push(NewEntry::restore_gap_accepted(now, gap.first, gap.last));
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
        plan.choice.not_before.map(|known| known.seq),
    );
    Plan {
        gaps,
        ..plan.clone()
    }
    .check()?;
    Ok(pieces)
}

/// The piece behind which the rebuilt database's own chain goes on.
fn newest_piece(
    snapshot: &Header,
    journal: &[(RecoveryName, Header)],
) -> Option<chain::JournalPiece> {
    let last = journal.iter().max_by_key(|(_, piece)| piece.chain);
    match (last, &snapshot.previous) {
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

/// Enters every row of a snapshot.
async fn load(tx: &mut Tx, mut file: RecoveryFile, name: RecoveryName) -> Result<u64, Error> {
    let fault = |why| Error::RecoveryFile {
        name: name.to_string(),
        why,
    };
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

impl Inner {
    /// Takes in one piece of the journal. How many states.
    async fn replay(
        &self,
        tx: &mut Tx,
        mut file: RecoveryFile,
        name: RecoveryName,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let fault = |why| Error::RecoveryFile {
            name: name.to_string(),
            why,
        };
        let mut rows = Rows::default();
        let mut states = 0;
        let root = Arc::clone(&file.root);
        while let Some(line) = file.line().await? {
            match journal::parse(&mut rows, line).map_err(fault)? {
                JournalLine::Nothing => {}
                JournalLine::Row(row) => {
                    states += u64::from(STATES.contains(&row.table()));
                    let row = self.brought_home(row, &root);
                    self.take_row(tx, row, now).await?;
                }
                JournalLine::Key(id, leg, key) => self.take_key(tx, id, leg, &key).await?,
            }
        }
        rows.end().map_err(fault)?;
        Ok(states)
    }

    async fn take_row(&self, tx: &mut Tx, row: Image, now: Timestamp) -> Result<(), Error> {
        let table = row.table();
        let subject: Option<RecordingId> = match table {
            Table::Recordings => row.text("id").and_then(|id| id.parse().ok()),
            Table::Tombstones | Table::Receipts => {
                row.text("recording_id").and_then(|id| id.parse().ok())
            }
            _ => None,
        };
        let is_sealed = table == Table::Recordings
            && row.text("state") == Some(RecordingState::Sealed.as_str());
        let is_pending =
            table == Table::Receipts && self.awaits_source(row.text("jws").unwrap_or_default());
        image::upsert(tx, table, std::slice::from_ref(&row)).await?;
        match (table, subject) {
            // Its artefacts and who took part, if it has any still, follow.
            (Table::Recordings, Some(id)) => {
                recordings::remove_artefacts(tx, id).await?;
                details::remove(tx, &[id]).await?;
                work::cancel(tx, WorkKind::FetchMedia, &[id]).await?;
                if is_sealed {
                    // Which of them are to be deleted at the source, the flow knows when it looks
                    // at each.
                    work::enqueue(tx, WorkKind::DeleteAtSource, &[id], now).await?;
                }
            }
            (Table::Receipts, Some(id)) if is_pending => {
                work::begin_anew(tx, WorkKind::DeleteAtSource, &[id], now).await?
            }
            (Table::Revocations, _) => self.resume_revocation(tx, &row, now).await?,
            (Table::Tombstones, Some(id)) => {
                self.destroy_tombstoned(tx, id).await?;
                // What is catalogued of a shredded recording is still to be removed.
                if !recordings::artefacts(tx, id).await?.is_empty() {
                    work::enqueue(tx, WorkKind::DeleteCiphertext, &[id], now).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn resume_revocation(
        &self,
        tx: &mut Tx,
        row: &Image,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Some(id) = row.text("id").and_then(|id| id.parse().ok()) {
            let runs = row.text("state") == Some("running");
            revocations::resume(tx, id, runs, now).await?;
        }
        Ok(())
    }

    /// Whether a receipt waits for the source's copies.
    fn awaits_source(&self, jws: &str) -> bool {
        Receipt::verify(jws, &self.key_set())
            .is_ok_and(|receipt| receipt.source() == Some(Removal::Pending))
    }

    /// A tombstone that was taken in kills the keys that the snapshot, or an earlier piece, still had:
    /// those of every leg, because no shred leaves one.
    async fn destroy_tombstoned(&self, tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
        let entries = rows::entries_behind_tombstone(tx, id).await?;
        self.destroy_entries(tx, &entries).await
    }

    /// A key of a living recording: into the tree, unless it is there; never, if it was destroyed.
    async fn take_key(
        &self,
        tx: &mut Tx,
        id: RecordingId,
        leg: Leg,
        key: &Key,
    ) -> Result<(), Error> {
        let public = fingerprint(key);
        if shreds::is_destroyed(tx, &public).await?
            || shreds::find_tombstone(tx, id).await?.is_some()
        {
            return Ok(());
        }
        let recording = recordings::find(tx, id).await?.ok_or(Error::Gone)?;
        if let Some(entry) = rows::find_entry(tx, id, leg).await? {
            let tier = rows::tier_of(tx, entry.place.page).await?;
            if entry.fingerprint == public && tier == recording.tier.as_str() {
                return Ok(());
            }
            self.destroy_entries(tx, &KeyEntries::from([((id, leg), entry)]))
                .await?;
        }
        self.place_key(tx, id, leg, &recording.tier, key).await
    }
}
