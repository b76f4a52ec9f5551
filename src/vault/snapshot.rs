//! Snapshots: the whole database in one recovery file, on either database and for either database.
//!
//! ```text
//! {"table":"recordings"}      what the rows that follow are of
//! ["rec_…","sealed",…]        a row, as `db::image` writes it
//! {"end":1234}                how many rows there were
//! ```
//! Owns what a snapshot holds and what makes it count as verified: every line authentic and
//! readable, none missing, the signing key and a sample of living record keys found by walking its
//! own pages from a root key that custody opened anew. Refuses to restore; another file does that.

mod sample;

use serde::{Deserialize, Serialize};

use self::sample::Sample;
use super::{
    Inner, Vault,
    error::Error,
    recovery::{ChainPosition, Header, Link, RecoveryFile, Roots, Writing},
};
use crate::{
    db::{
        audit, chain, epochs,
        image::{self, Image, Table},
        timelines,
    },
    evidence::NewEntry,
    model::{id::ObjectId, time::Timestamp},
    secret::SecretBuffer,
    store::{self, RecoveryKind, RecoveryName},
};

/// Rows read from the database at a time; as many as SQLite reads ahead.
const ROWS: i64 = 2048;
/// Living keys that a verification tries.
const SAMPLE: usize = 64;

/// A line that is not a row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum SnapshotMark {
    /// The rows that follow are of this table.
    Table(String),
    /// The end, and how many rows there were.
    End(u64),
}

/// A snapshot that was opened and holds.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
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
    /// Living record keys that were found through its pages.
    pub keys: u64,
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
    /// Writes a snapshot, opens it again, and notes it. Older ones of the epoch are then removed,
    /// except the one before.
    ///
    /// # Errors
    /// Of store, custody or database; a snapshot that does not hold is not noted.
    pub async fn snapshot(&self) -> Result<Checked, Error> {
        let vault = &*self.0;
        vault.follow().await?;
        vault.recall().await?;
        let written = vault.write_snapshot().await?;
        let checked = match vault.verify_snapshot(written).await {
            // Others who made one at the same time have removed this one, because theirs are newer.
            Err(Error::Store(store::Error::NotFound { .. })) => {
                return vault.newer_than(written).await;
            }
            checked => checked?,
        };
        let before = vault
            .unit("snapshot.snapshot", async |mut unit| {
                let now = vault.clock.now();
                chain::note_durable(&mut unit, checked.seq).await?;
                let current = epochs::current(&mut unit).await?.ok_or(Error::NoVault)?;
                // A turn that came between has a newer one, and this one dies with its epoch.
                if current.epoch == checked.epoch {
                    epochs::note_snapshot(&mut unit, checked.epoch, &written.to_string(), now)
                        .await?;
                }
                unit.audit(NewEntry::snapshot_verified(
                    now,
                    &written.to_string(),
                    checked.keys,
                ));
                Ok(current.snapshot().map(|(name, _)| name))
            })
            .await?;
        vault.prune(written, before.as_deref()).await?;
        Ok(checked)
    }

    /// Opens a snapshot and tries it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn verify_snapshot(&self, name: RecoveryName) -> Result<Checked, Error> {
        self.0.verify_snapshot(name).await
    }

    /// The snapshots in the store, oldest first.
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
            let verified = noted.as_deref() == Some(&snapshot.to_string());
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
    /// The snapshot that is noted, if it is newer than this one, which is gone.
    async fn newer_than(&self, written: RecoveryName) -> Result<Checked, Error> {
        let current = epochs::current(&mut self.db.read().await?).await?;
        let noted = current
            .and_then(|current| current.snapshot())
            .and_then(|(name, _)| name.parse::<RecoveryName>().ok());
        match noted.filter(|noted| *noted > written) {
            Some(noted) => self.verify_snapshot(noted).await,
            None => Err(Error::RecoveryFile {
                name: written.to_string(),
                why: "it is gone right after it was written; make another one",
            }),
        }
    }

    /// Writes the database as it is now; again, if the epoch turns before the first row is read.
    pub(super) async fn write_snapshot(&self) -> Result<RecoveryName, Error> {
        loop {
            let mut tx = self.snapshot_session().await?;
            let epoch = epochs::current(&mut tx).await?.ok_or(Error::NoVault)?;
            let root = self.root.key();
            if root.epoch != epoch.epoch {
                drop(tx);
                self.follow().await?;
                continue;
            }
            let seq = audit::head(&mut tx).await?;
            let path = timelines::path(&mut tx).await?;
            let id = ObjectId::random(&mut rand::rng());
            let name = RecoveryName {
                kind: RecoveryKind::Snapshot,
                epoch: epoch.epoch,
                timeline: path.current(),
                seq,
                id,
            };
            let entry = audit::position(&mut tx).await?.ok_or(Error::NoVault)?;
            let newest = chain::newest(&mut tx).await?;
            let chain = newest.as_ref().map_or(0, |newest| newest.number);
            let previous = newest.as_ref().map(Link::to).transpose()?;
            let header = Header::of(
                name,
                self.id,
                &epoch.root_sealed,
                self.clock.now(),
                ChainPosition {
                    path,
                    entry,
                    since: 0,
                    chain,
                    previous,
                },
            );
            let mut file = Writing::begin(&self.recovery, name, &header, &root).await?;
            let mut rows = 0;
            for table in Table::ALL {
                file.line(|out| mark(out, &SnapshotMark::Table(table.name().into())))
                    .await?;
                let mut chunk = image::chunk(&mut tx, table, None, ROWS).await?;
                loop {
                    rows += chunk.len() as u64;
                    let is_last = (chunk.len() as u64) < ROWS.unsigned_abs();
                    let last = chunk.last().filter(|_| !is_last);
                    // The database reads the next rows while these are written.
                    let next = async {
                        match last {
                            Some(last) => image::chunk(&mut tx, table, Some(last), ROWS)
                                .await
                                .map(Some),
                            None => Ok(None),
                        }
                    };
                    let (next, written) = tokio::join!(next, lines(&mut file, &chunk));
                    written?;
                    match next? {
                        Some(next) => chunk = next,
                        None => break,
                    }
                }
            }
            file.line(|out| mark(out, &SnapshotMark::End(rows))).await?;
            file.finish().await?;
            return Ok(name);
        }
    }

    /// See [`Vault::verify_snapshot`].
    pub(super) async fn verify_snapshot(&self, name: RecoveryName) -> Result<Checked, Error> {
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
        let rows = read(file, name, |row| sample.take(&row)).await?;
        let keys = sample.walk(&root, self.id, &self.service.subject)?;
        Ok(Checked {
            snapshot: name,
            epoch: header.epoch,
            seq: header.seq,
            at: header.at,
            rows,
            keys,
        })
    }

    /// Removes what snapshots are kept no more after `written` was noted in the place of `before`,
    /// and the journal that is in the kept ones. Kept are both, and whatever is newer than the one
    /// before: somebody may just be writing it.
    async fn prune(&self, written: RecoveryName, before: Option<&str>) -> Result<(), Error> {
        let before = before.and_then(|before| before.parse::<RecoveryName>().ok());
        let Some(oldest_kept) = before.filter(|before| *before < written) else {
            return Ok(());
        };
        self.check_before_destroying().await?;
        for (name, _) in self.recovery.list_recovery(RecoveryKind::Snapshot).await? {
            if name < oldest_kept {
                self.recovery.delete_recovery(name).await?;
            }
        }
        // A piece with the number of the snapshot may hold what changed right after it without an
        // entry.
        for (name, _) in self.recovery.list_recovery(RecoveryKind::Journal).await? {
            if (name.epoch, name.point()) < (oldest_kept.epoch, oldest_kept.point()) {
                self.recovery.delete_recovery(name).await?;
            }
        }
        Ok(())
    }

    /// Removes snapshots and journal of other epochs, which nothing opens any more, and what this
    /// epoch had before its snapshot.
    pub(super) async fn remove_older_files(&self, epoch: u64, snapshot: &str) -> Result<(), Error> {
        let Ok(newest) = snapshot.parse::<RecoveryName>() else {
            return Ok(());
        };
        self.check_before_destroying().await?;
        for kind in [RecoveryKind::Snapshot, RecoveryKind::Journal] {
            for (name, _) in self.recovery.list_recovery(kind).await? {
                // A turn that came between may have begun the next epoch's.
                if name.epoch != epoch && name.point() <= newest.point() {
                    self.recovery.delete_recovery(name).await?;
                }
            }
        }
        Ok(())
    }
}

async fn lines(file: &mut Writing, rows: &[Image]) -> Result<(), Error> {
    for row in rows {
        file.line(|out| row.to_json(out)).await?;
    }
    Ok(())
}

/// Gives every row of a snapshot to `each`, in order, and checks that none is missing. How many
/// there were.
pub(super) async fn read(
    mut file: RecoveryFile,
    name: RecoveryName,
    mut each: impl FnMut(Image) -> Result<(), Error> + Send,
) -> Result<u64, Error> {
    let mut rows = Rows::default();
    while let Some(line) = file.line().await? {
        if let Some(row) = rows.next(line).map_err(|why| Error::RecoveryFile {
            name: name.to_string(),
            why,
        })? {
            each(row)?;
        }
    }
    rows.end().map_err(|why| Error::RecoveryFile {
        name: name.to_string(),
        why,
    })
}

/// The grammar of the lines.
#[derive(Default)]
pub(super) struct Rows {
    table: Option<Table>,
    rows: u64,
    ended: Option<u64>,
}

impl Rows {
    /// Takes a line; the row in it, if it is one.
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
            SnapshotMark::Table(name) => {
                self.table = Some(
                    Table::from_name(&name)
                        .ok_or("it has a table that this version does not know")?,
                )
            }
            SnapshotMark::End(rows) => self.ended = Some(rows),
        }
        Ok(None)
    }

    /// After the last line: how many rows there were.
    pub(super) fn end(self) -> Result<u64, &'static str> {
        if self.ended == Some(self.rows) {
            Ok(self.rows)
        } else {
            Err("it has no end, or not all of its rows")
        }
    }
}

pub(super) fn mark(out: &mut SecretBuffer, mark: &SnapshotMark) {
    serde_json::to_writer(out, mark)
        .expect("a word and a number have a JSON form, and a buffer takes all of it");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(lines: &[&str]) -> Result<u64, &'static str> {
        let mut rows = Rows::default();
        for line in lines {
            rows.next(line.as_bytes())?;
        }
        rows.end()
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
            let mut rows = Rows::default();
            let _ = rows.next(br#"{"table":"pages"}"#);
            let _ = rows.next(&line);
        }
    }
}
