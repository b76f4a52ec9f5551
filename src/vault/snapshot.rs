//! Snapshots: the whole database in one recovery file, independent of the database engine.
//!
//! ```text
//! {"table":"recordings"}      what the rows that follow are of
//! ["rec_…","sealed",…]        a row, as `db::image` writes it
//! {"end":1234}                how many rows there were
//! ```
//! The rows of a recording stand with it, in the order in which the vault heard of them. What did
//! not change since an earlier snapshot stands in objects that both name ([`shared`]).
//! Small ciphertext that is in a pack ([`packs`](super::packs)) is left out. Owns the content of a
//! snapshot and the criteria for verifying it: every line authentic and
//! readable, none missing, the signing key and a sample of living record keys found by walking its
//! own pages from a root key that custody opened anew. Refuses to restore; another module does
//! that.

mod sample;
mod shared;

use serde::{Deserialize, Serialize};

use self::{sample::Sample, shared::Sharing};
use super::{
    Inner, Vault,
    error::Error,
    recovery::{BegunFile, RecoveryFile, Roots, Writing},
};
use crate::{
    db::{
        Tx, chain, epochs,
        image::{self, Image, Table},
        packs::Pack,
    },
    evidence::NewEntry,
    keyring,
    model::time::Timestamp,
    secret::SecretBuffer,
    store::{self, RecoveryKind, RecoveryName},
};

/// Rows read from the database at a time; as many as SQLite reads ahead.
const ROWS: i64 = 2048;
/// The number of living keys that a verification tries.
const SAMPLE: usize = 64;

/// A line that is not a row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum SnapshotLine {
    /// The rows that follow are of this table.
    Table(String),
    /// The end, and how many rows there were.
    End(u64),
}

/// A snapshot that was opened and is valid.
#[derive(Clone, Debug, Serialize)]
pub struct VerifiedSnapshot {
    /// Its name in the store.
    pub snapshot: RecoveryName,
    /// Its epoch.
    pub epoch: u64,
    /// The last audit entry in it.
    pub seq: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Rows in it.
    pub rows: u64,
    /// Living record keys that were tried through its pages.
    pub keys: u64,
    /// Packs that it names; each is in the store.
    pub packs: u64,
    /// Objects with rows that it shares with other snapshots; each was read.
    pub shared: u64,
}

/// A snapshot in the store.
#[derive(Clone, Debug, Serialize)]
pub struct StoredSnapshot {
    /// Its name in the store.
    pub snapshot: RecoveryName,
    /// Bytes.
    pub size: u64,
    /// Whether it is the one that was verified last.
    pub verified: bool,
}

impl Vault {
    /// Writes a snapshot, verifies it, and notes it. Older ones of the epoch are then removed,
    /// except the previous one.
    ///
    /// # Errors
    /// Of store, custody or database; an invalid snapshot is not noted.
    pub async fn snapshot(&self) -> Result<VerifiedSnapshot, Error> {
        let vault = &*self.0;
        vault.follow().await?;
        vault.check_rollback().await?;
        let written = vault.write_snapshot().await?;
        let checked = match vault.verify_snapshot(written).await {
            // A concurrent task has removed this one, because its own is newer.
            Err(Error::Store(store::Error::NotFound { .. })) => {
                return vault.newer_than(written).await;
            }
            Err(Error::RecoveryFile { .. }) if vault.discard_outrun(written).await? => {
                return vault.newer_than(written).await;
            }
            checked => checked?,
        };
        let before = vault
            .unit("snapshot.snapshot", async |mut unit| {
                let now = vault.clock.now();
                chain::note_durable(&mut unit, checked.seq).await?;
                let current = epochs::current(&mut unit).await?.ok_or(Error::NoVault)?;
                // A turn in between has a newer one, and this one becomes unreadable with its
                // epoch.
                if current.epoch == checked.epoch {
                    epochs::note_snapshot(&mut unit, checked.epoch, written, now).await?;
                }
                unit.audit(NewEntry::snapshot_verified(
                    now,
                    &written.to_string(),
                    checked.keys,
                ));
                Ok(current.snapshot().map(|(name, _)| name))
            })
            .await?;
        vault.prune(written, before).await?;
        Ok(checked)
    }

    /// Opens a snapshot and verifies it.
    ///
    /// # Errors
    /// The snapshot's fault.
    pub async fn verify_snapshot(&self, name: RecoveryName) -> Result<VerifiedSnapshot, Error> {
        self.0.verify_snapshot(name).await
    }

    /// Returns the snapshots in the store, oldest first.
    ///
    /// # Errors
    /// The store's or the database's.
    pub async fn snapshots(&self) -> Result<Vec<StoredSnapshot>, Error> {
        let noted = epochs::current(&mut self.0.db.read().await?)
            .await?
            .and_then(|current| current.snapshot());
        let noted = noted.map(|(name, _)| name);
        let all = self
            .0
            .recovery
            .list_recovery(RecoveryKind::Snapshot)
            .await?;
        let kept = |(snapshot, size): (RecoveryName, u64)| {
            let verified = noted == Some(snapshot);
            StoredSnapshot {
                snapshot,
                size,
                verified,
            }
        };
        Ok(all.into_iter().map(kept).collect())
    }
}

impl Inner {
    /// Returns the noted snapshot, if it is newer than this one, which is gone.
    async fn newer_than(&self, written: RecoveryName) -> Result<VerifiedSnapshot, Error> {
        let current = epochs::current(&mut self.db.read().await?).await?;
        let noted = current
            .and_then(|current| current.snapshot())
            .map(|(name, _)| name);
        match noted.filter(|noted| *noted > written) {
            Some(noted) => self.verify_snapshot(noted).await,
            None => Err(Error::RecoveryFile {
                name: written.to_string(),
                why: "it is gone right after it was written; make another one",
            }),
        }
    }

    /// Writes the database's present state; again, if the epoch turns before the first row is read.
    ///
    /// Small ciphertext goes to packs first, so that no snapshot repeats that of an earlier one.
    pub(super) async fn write_snapshot(&self) -> Result<RecoveryName, Error> {
        if let Err(error) = Box::pin(self.pack()).await {
            tracing::warn!(%error, "small ciphertext is not packed: the snapshot has all that is in no pack");
            metrics::counter!("recvault_pack_failures_total").increment(1);
        }
        loop {
            let mut tx = self.snapshot_session().await?;
            let begun = self.begin_file(&mut tx, RecoveryKind::Snapshot, 0).await;
            let BegunFile { mut file, name, .. } = match begun {
                Err(Error::Keyring(keyring::Error::OtherEpoch(_))) => {
                    drop(tx);
                    self.follow().await?;
                    continue;
                }
                begun => begun?,
            };
            let mut sharing = Sharing::of(self, &mut tx).await?;
            if let Err(error) = Box::pin(write_tables(&mut tx, &mut file, &mut sharing)).await {
                file.abort().await;
                return Err(error);
            }
            file.finish().await?;
            drop(tx);
            Box::pin(sharing.leave_others()).await?;
            return Ok(name);
        }
    }

    /// See [`Vault::verify_snapshot`].
    pub(super) async fn verify_snapshot(
        &self,
        name: RecoveryName,
    ) -> Result<VerifiedSnapshot, Error> {
        let file = RecoveryFile::open(
            &self.recovery,
            name,
            self.custody.as_ref(),
            &mut Roots::default(),
        )
        .await?;
        if file.header.vault != self.id {
            return Err(Error::RecoveryFile {
                name: name.to_string(),
                why: "it is another vault's",
            });
        }
        let header = file.header.clone();
        let root = file.root.clone();
        let mut sample = Sample::of(SAMPLE);
        let mut packs = Vec::new();
        let read = read(file, name, |row| {
            if row.table() == Table::Packs {
                packs.push(image::pack_of(&row)?);
            }
            sample.take(&row)
        })
        .await;
        if let Err(Error::SharedRows(object)) = &read {
            // The next snapshot writes them again.
            self.leave_shared(&[*object]).await?;
        }
        let (rows, objects) = read?;
        let keys = sample.walk(&root, self.id, &self.service.subject)?;
        let packs = self.check_packs(name, packs).await?;
        Ok(VerifiedSnapshot {
            snapshot: name,
            epoch: header.epoch,
            seq: header.seq,
            at: header.at,
            rows,
            keys,
            packs,
            shared: objects,
        })
    }

    /// Checks that the store has every pack that a snapshot needs. Returns how many.
    async fn check_packs(&self, name: RecoveryName, packs: Vec<Pack>) -> Result<u64, Error> {
        let in_use = |pack: &Pack| pack.size > 0 && pack.left().is_none();
        let mut checked = 0;
        for pack in packs.into_iter().filter(in_use) {
            if !self.has_pack(&pack, false).await? {
                return Err(Error::RecoveryFile {
                    name: name.to_string(),
                    why: "a pack that it names is not in the store, or of another length",
                });
            }
            checked += 1;
        }
        Ok(checked)
    }

    /// Removes the snapshots older than `before` after `written` was noted in its place, and the
    /// journal pieces that those two contain. Anything newer than `before` stays: another process
    /// may be writing it.
    async fn prune(
        &self,
        written: RecoveryName,
        before: Option<RecoveryName>,
    ) -> Result<(), Error> {
        let Some(oldest_kept) = before.filter(|before| *before < written) else {
            return Ok(());
        };
        self.check_before_destroying().await?;
        // A piece of the journal with the number of the snapshot is not older: it may hold changes
        // right after it that wrote no entry.
        for kind in RecoveryKind::ALL {
            for (name, _) in self.recovery.list_recovery(kind).await? {
                if name < oldest_kept {
                    self.recovery.delete_recovery(name).await?;
                }
            }
        }
        self.delete_left_rows().await?;
        self.delete_left_packs().await
    }

    /// Removes snapshots and journal files of other epochs up to `snapshot`; nothing opens them any
    /// more.
    pub(super) async fn remove_older_files(&self, snapshot: RecoveryName) -> Result<(), Error> {
        self.check_before_destroying().await?;
        for kind in [RecoveryKind::Snapshot, RecoveryKind::Journal] {
            for (name, _) in self.recovery.list_recovery(kind).await? {
                // A turn in between may have begun the next epoch's files.
                if name.epoch != snapshot.epoch && name.point() <= snapshot.point() {
                    self.recovery.delete_recovery(name).await?;
                }
            }
        }
        self.delete_left_rows().await?;
        self.delete_left_packs().await
    }
}

/// Writes every row of every table, and the end.
async fn write_tables(
    tx: &mut Tx,
    file: &mut Writing,
    sharing: &mut Sharing<'_>,
) -> Result<(), Error> {
    let mut rows = 0;
    for table in Table::ALL {
        rows += match table {
            Table::Recordings => sharing.recordings(tx, file).await?,
            // They stand with their recordings.
            table if table.is_of_recordings() => 0,
            Table::Audit => sharing.entries(tx, file).await?,
            Table::SharedRows => sharing.list(tx, file).await?,
            table => {
                file.line(|out| push_line(out, &SnapshotLine::Table(table.name().into())))
                    .await?;
                write_rows(tx, file, table).await?
            }
        };
    }
    file.line(|out| push_line(out, &SnapshotLine::End(rows)))
        .await
}

/// Writes every row of one table. Returns how many there were.
async fn write_rows(tx: &mut Tx, file: &mut Writing, table: Table) -> Result<u64, Error> {
    let mut rows = 0;
    let mut chunk = image::chunk(tx, table, None, ROWS).await?;
    loop {
        rows += chunk.len() as u64;
        let is_last = (chunk.len() as u64) < ROWS.unsigned_abs();
        let last = chunk.last().filter(|_| !is_last);
        // The database reads the next rows while these are written.
        let next = async {
            match last {
                Some(last) => image::chunk(tx, table, Some(last), ROWS).await.map(Some),
                None => Ok(None),
            }
        };
        let (next, written) = tokio::join!(next, lines(file, &chunk));
        written?;
        match next? {
            Some(next) => chunk = next,
            None => return Ok(rows),
        }
    }
}

async fn lines(file: &mut Writing, rows: &[Image]) -> Result<(), Error> {
    for row in rows {
        file.line(|out| row.to_json(out)).await?;
    }
    Ok(())
}

/// Passes every row of a snapshot to `each`, in order, and checks that none is missing. Returns how
/// many there were, and in how many objects that other snapshots may name, too.
pub(super) async fn read(
    mut file: RecoveryFile,
    name: RecoveryName,
    mut each: impl FnMut(Image) -> Result<(), Error> + Send,
) -> Result<(u64, u64), Error> {
    let mut parser = LineParser::default();
    while let Some(line) = file.line().await? {
        if let Some(row) = parser.next(line).map_err(|why| Error::RecoveryFile {
            name: name.to_string(),
            why,
        })? {
            each(row)?;
        }
    }
    let rows = parser.end().map_err(|why| Error::RecoveryFile {
        name: name.to_string(),
        why,
    })?;
    Ok((rows, file.objects.len() as u64))
}

/// The grammar of the lines.
#[derive(Default)]
pub(super) struct LineParser {
    table: Option<Table>,
    rows: u64,
    ended: Option<u64>,
}

impl LineParser {
    /// Parses a line; returns the row, if it is one.
    pub(super) fn next(&mut self, line: &[u8]) -> Result<Option<Image>, &'static str> {
        if self.ended.is_some() {
            return Err("something follows its end");
        }
        if line.first() == Some(&b'[') {
            let table = self.table.ok_or("a row stands before any table")?;
            self.rows += 1;
            return Image::parse(table, line)
                .map(Some)
                .map_err(|_| "a row of it is not one");
        }
        match serde_json::from_slice(line).map_err(|_| "a line of it is neither row nor mark")? {
            SnapshotLine::Table(name) => {
                self.table = Some(
                    Table::from_name(&name)
                        .ok_or("it has a table that this version does not know")?,
                )
            }
            SnapshotLine::End(rows) => self.ended = Some(rows),
        }
        Ok(None)
    }

    /// Must be called after the last line. Returns how many rows there were.
    pub(super) fn end(self) -> Result<u64, &'static str> {
        if self.ended == Some(self.rows) {
            Ok(self.rows)
        } else {
            Err("it has no end, or not all of its rows")
        }
    }
}

pub(super) fn push_line(out: &mut SecretBuffer, mark: &SnapshotLine) {
    serde_json::to_writer(out, mark)
        .expect("a word and a number have a JSON form, and a buffer takes all of it");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(lines: &[&str]) -> Result<u64, &'static str> {
        let mut parser = LineParser::default();
        for line in lines {
            parser.next(line.as_bytes())?;
        }
        parser.end()
    }

    #[test]
    fn rows_stand_below_their_table_and_are_counted() {
        let table = r#"{"table":"vault"}"#;
        let row =
            r#"["vlt_00000000000000000000000000000000",5,"dbi_00000000000000000000000000000000"]"#;
        assert_eq!(fed(&[table, row, r#"{"end":1}"#]), Ok(1));
        assert_eq!(fed(&[r#"{"end":0}"#]), Ok(0));
        for bad in [
            &[table, row][..],
            &[table, row, r#"{"end":2}"#],
            &[row, r#"{"end":1}"#],
            &[table, row, r#"{"end":1}"#, row],
            &[table, "[5]", r#"{"end":1}"#],
            &[r#"{"table":"grants"}"#, r#"{"end":0}"#],
            &["", r#"{"end":0}"#],
            &[],
        ] {
            assert!(fed(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_refused_or_read_and_never_panics(line in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut parser = LineParser::default();
            let _ = parser.next(br#"{"table":"pages"}"#);
            let _ = parser.next(&line);
        }
    }
}
