//! Restore: the store and custody alone rebuild the vault in an empty ledger.
//!
//! ```text
//! newest snapshot whose root is in custody → every row
//!   → journal pieces with higher numbers, in order: rows, keys into the tree, fences (which win, whatever came before)
//!   → every page stale, the epoch unsettled, the audit log goes on above every number that was ever given
//! ```
//! Owns this order. All of it is one unit of work: a restore that is interrupted leaves an empty ledger, and what serves has every fence.
//! INVARIANT: a key whose fingerprint stands in a fence is not taken in, from wherever it comes.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Claim, Error, Inner, Parts,
    journal::{self, Line},
    ownership::{self, Ownership},
    recovery::{Reading, Roots},
    root::Root,
    seed,
    snapshot::Rows,
};
use crate::{
    evidence::{NewEntry, Receipt, Removal, Signer},
    keyring::{self, fingerprint},
    ledger::{
        Tx, audit, details, epochs,
        image::{self, Image, Table},
        keys as rows, marks, recordings, shreds,
        work::{self, Kind},
    },
    model::{
        artefact::Leg,
        crash,
        id::{DatabaseId, HolderId, RecordingId, VaultId},
        recording::State,
        time::Timestamp,
    },
    secret::Key,
    store::{RecoveryKind, RecoveryName},
};

/// The audit log of a rebuilt ledger goes on at the next multiple of this.
const LIVES: i64 = 1_000_000;

/// The tables each of whose rows is one state in a piece of the journal.
const STATES: [Table; 6] = [Table::Recordings, Table::Tokens, Table::Policies, Table::Parties, Table::Consents, Table::Revocations];

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
    /// States of recordings, tokens, policies, conversations, statements of consent and revocations in them.
    pub states: u64,
    /// When the last of these was written: what came later is lost.
    pub recovery_point: Timestamp,
    /// Fences that stand in the ledger now.
    pub fences: i64,
}

/// What a restore would begin with.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Plan {
    /// The snapshot.
    pub snapshot: RecoveryName,
    /// Pieces of the journal that come after it, in order.
    pub journal: Vec<RecoveryName>,
}

/// Chooses what to restore from: the newest snapshot whose root is in custody, or `wanted`.
///
/// # Errors
/// [`Error::NoSnapshot`]; the store's or custody's.
pub async fn plan(parts: &Parts, wanted: Option<RecoveryName>) -> Result<Plan, Error> {
    let roots = parts.custody.roots().await?;
    let opens = |name: &RecoveryName| roots.iter().any(|root| root.epoch == name.epoch);
    let all = parts.recovery.list_recovery(RecoveryKind::Snapshot).await?;
    let found = all.iter().map(|(name, _)| *name).filter(|name| opens(name) && wanted.is_none_or(|wanted| wanted == *name));
    // Numbers of the audit log only grow, also over a rebuilding; epochs need not.
    let found = found.max_by_key(|name| (name.seq, name.epoch));
    let none = || {
        let epochs: Vec<String> = roots.iter().map(|root| root.epoch.to_string()).collect();
        Error::NoSnapshot(if epochs.is_empty() { "none".into() } else { format!("of epoch {}", epochs.join(" and ")) })
    };
    let snapshot = found.ok_or_else(none)?;
    let journal = parts.recovery.list_recovery(RecoveryKind::Journal).await?.into_iter().map(|(name, _)| name);
    let journal = journal.filter(|name| opens(name) && name.seq > snapshot.seq);
    let mut journal: Vec<RecoveryName> = journal.collect();
    journal.sort_by_key(|name| (name.seq, name.epoch));
    Ok(Plan { snapshot, journal })
}

/// Rebuilds the vault in the empty ledger of `parts`, and takes custody for it as `claim` says.
///
/// # Errors
/// [`Error::NotEmpty`], [`Error::TakeOver`], or why the plan cannot be followed; the ledger is empty then as before.
pub async fn restore(parts: Parts, plan: &Plan, claim: Claim) -> Result<Restored, Error> {
    let Parts { ledger, store, recovery, custody, clock } = parts;
    let (mut roots, name) = (Roots::default(), plan.snapshot);
    let slot = custody.read().await?.ok_or_else(|| Error::NoSnapshot("none".into()))?;
    ownership::may_take(&slot, claim)?;
    let newest = slot.newest();
    let file = Reading::open(&recovery, name, custody.as_ref(), &mut roots).await?;
    let (header, root) = (file.header.clone(), Arc::clone(&file.root));
    // The one unit that lasts as long as the store takes: nobody else has this ledger yet.
    let mut tx = ledger.begin().await?;
    if !image::is_empty(&mut tx).await? {
        return Err(Error::NotEmpty);
    }
    image::defer_references(&mut tx).await?;
    let count = load(&mut tx, file, name).await?;
    crash::point("restore.loaded");
    if rows::vault_id(&mut tx).await? != Some(header.vault) {
        return Err(Error::RecoveryFile { name: name.to_string(), why: "it is another vault's" });
    }
    let database = DatabaseId::random(&mut rand::rng());
    rows::set_database_id(&mut tx, database).await?;
    let seed = seed(&mut tx, &root, header.vault).await?;
    let (signer, subject_key) = (Signer::from_seed(&seed), keyring::subject_key(&seed));
    let (now, filler) = (clock.now(), HolderId::random(&mut rand::rng()));
    let root = Root::of(root);
    let journaling = tokio::sync::Mutex::default();
    let ownership = Ownership::of(database);
    let inner =
        Inner { id: header.vault, custody, root, ownership, signer, seed, subject_key, ledger, store, recovery, journaling, clock, filler };

    let mut restored = Restored {
        vault: header.vault,
        epoch: header.epoch,
        snapshot: name,
        snapshot_at: header.at,
        rows: count,
        pieces: 0,
        states: 0,
        recovery_point: header.at,
        fences: 0,
    };
    let mut numbered_to = header.seq;
    for piece in &plan.journal {
        let file = Reading::open(&inner.recovery, *piece, inner.custody.as_ref(), &mut roots).await?;
        if file.header.vault != inner.id {
            return Err(Error::RecoveryFile { name: piece.to_string(), why: "it is another vault's" });
        }
        restored.recovery_point = restored.recovery_point.max(file.header.at);
        numbered_to = numbered_to.max(piece.seq);
        restored.states += inner.replay(&mut tx, file, *piece, now).await?;
        restored.pieces += 1;
    }
    restored.fences = image::count(&mut tx, Table::Fences).await?;
    // What the lost ledger did after the snapshot is not known: any of its pages may have held a key that is dead by now.
    rows::mark_stale(&mut tx, None).await?;
    shreds::uncover(&mut tx).await?;
    epochs::unsettle(&mut tx, header.epoch, newest).await?;
    // A process of the lost ledger that is still at work numbers what it writes to the store below the next million.
    audit::advance_head(&mut tx, (numbered_to / LIVES + 1) * LIVES).await?;
    let known_to = audit::newest(&mut tx).await?;
    marks::note_journaled(&mut tx, known_to).await?;
    audit::append(&mut tx, NewEntry::vault_restored(now, &name.to_string(), known_to, numbered_to)).await?;
    if claim != Claim::Rehearse {
        audit::append(&mut tx, NewEntry::custody_taken(now, slot.owner().database, database)).await?;
    }
    let seen = audit::position(&mut tx).await?;
    crash::point("restore.before_commit");
    ownership::take_over(inner.custody.as_ref(), &slot, claim, inner.ownership.owner(inner.id, seen)).await?;
    crash::point("restore.taken_over");
    tx.commit().await?;
    Ok(restored)
}

/// Enters every row of a snapshot.
async fn load(tx: &mut Tx, mut file: Reading, name: RecoveryName) -> Result<u64, Error> {
    let fault = |why| Error::RecoveryFile { name: name.to_string(), why };
    let mut rows = Rows::default();
    // The first row of the next table, which ended the batch before.
    let mut first: Option<Image> = None;
    let mut batch = async || -> Result<Vec<Image>, Error> {
        let mut batch: Vec<Image> = first.take().into_iter().collect();
        while batch.len() < ROWS
            && let Some(line) = file.line().await?
        {
            let Some(row) = rows.next(line).map_err(fault)? else { continue };
            if batch.first().is_some_and(|first| first.table() != row.table()) {
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
    async fn replay(&self, tx: &mut Tx, mut file: Reading, name: RecoveryName, now: Timestamp) -> Result<u64, Error> {
        let fault = |why| Error::RecoveryFile { name: name.to_string(), why };
        let (mut rows, mut states) = (Rows::default(), 0);
        while let Some(line) = file.line().await? {
            match journal::parse(&mut rows, line).map_err(fault)? {
                Line::Nothing => {}
                Line::Row(row) => {
                    states += u64::from(STATES.contains(&row.table()));
                    self.take_row(tx, row, now).await?;
                }
                Line::Key(id, leg, key) => self.take_key(tx, id, leg, &key, now).await?,
            }
        }
        rows.end().map_err(fault)?;
        Ok(states)
    }

    async fn take_row(&self, tx: &mut Tx, row: Image, now: Timestamp) -> Result<(), Error> {
        let table = row.table();
        let subject: Option<RecordingId> = match table {
            Table::Recordings => row.text("id").and_then(|id| id.parse().ok()),
            Table::Fences | Table::Receipts => row.text("recording_id").and_then(|id| id.parse().ok()),
            _ => None,
        };
        let is_sealed = table == Table::Recordings && row.text("state") == Some(State::Sealed.as_str());
        let is_pending = table == Table::Receipts && self.awaits_source(row.text("jws").unwrap_or_default());
        image::upsert(tx, table, &[row]).await?;
        match (table, subject) {
            // Its artefacts and who took part, if it has any still, follow.
            (Table::Recordings, Some(id)) => {
                recordings::remove_artefacts(tx, id).await?;
                details::remove(tx, &[id]).await?;
                work::cancel(tx, Kind::Fetch, &[id]).await?;
                if is_sealed {
                    // Which of them are to be deleted at the source, the flow knows when it looks at each.
                    work::enqueue(tx, Kind::Erase, &[id], now).await?;
                }
            }
            (Table::Receipts, Some(id)) if is_pending => work::begin_anew(tx, Kind::Erase, &[id], now).await?,
            (Table::Fences, Some(id)) => {
                self.destroy_fenced(tx, id).await?;
                // What is catalogued of a shredded recording is still to be removed.
                if !recordings::artefacts(tx, id).await?.is_empty() {
                    work::enqueue(tx, Kind::Remove, &[id], now).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a receipt waits for the source's copies.
    fn awaits_source(&self, jws: &str) -> bool {
        Receipt::verify(jws, &self.key_set()).is_ok_and(|receipt| receipt.source() == Some(Removal::Pending))
    }

    /// A fence that was taken in kills the key that the snapshot, or an earlier piece, still had.
    async fn destroy_fenced(&self, tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
        let Some(entry) = rows::entry_behind_fence(tx, id, Leg::All).await? else { return Ok(()) };
        self.destroy_entries(tx, Leg::All, &BTreeMap::from([(id, entry)])).await
    }

    /// A key of a living recording: into the tree, unless it is there; never, if it was destroyed.
    async fn take_key(&self, tx: &mut Tx, id: RecordingId, leg: Leg, key: &Key, now: Timestamp) -> Result<(), Error> {
        let public = fingerprint(key);
        if shreds::is_destroyed(tx, &public).await? || shreds::find_fence(tx, id).await?.is_some() {
            return Ok(());
        }
        let recording = recordings::find(tx, id).await?.ok_or(Error::Gone)?;
        if let Some(entry) = rows::find_entry(tx, id, leg).await? {
            let tier = rows::tier_of(tx, entry.place.page).await?;
            if entry.fingerprint == public && tier == recording.tier.as_str() {
                return Ok(());
            }
            self.destroy_entries(tx, leg, &BTreeMap::from([(id, entry)])).await?;
        }
        self.place_key(tx, id, leg, &recording.tier, key, now).await
    }
}
