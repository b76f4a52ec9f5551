//! Rows that snapshots share: what did not change since an earlier snapshot is not written again.
//!
//! ```text
//! the rows of recordings, in the order in which the vault heard of them, and the entries of the log
//!   → cut where their ids and numbers say, so that what comes later moves no cut
//!   → a piece that an earlier snapshot wrote is named, any other one becomes an object, then named
//!   → the rest after the last cut stands in the file
//! objects that the newest snapshot does not name are given up
//!   → no snapshot is left from before that → the object is deleted, then its row
//! ```
//! Owns this order and the cuts. Refuses to know what a snapshot has besides. Keys of records are in
//! no such object: pages stand in the file.
//!
//! INVARIANT: an object that a snapshot in the store names is in the store, and was not given up
//! before that snapshot was begun.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;

use super::{SnapshotLine, push_line};
use crate::{
    db::{
        Tx,
        image::{self, Image, Table},
        shared_rows::{self, SharedRows},
    },
    evidence::NewEntry,
    keyring,
    model::{
        crash,
        id::{ObjectId, RecordingId},
    },
    secret::SecretBuffer,
    store::{self, RecoveryKind},
    vault::{
        Inner,
        error::Error,
        recovery::{IncludedObject, MAX_SIZE, Writing},
    },
};

/// Recordings read at a time.
const ROWS: i64 = 2048;
/// Of so many recordings one ends a piece, by its id.
const CUT: u16 = 512;
/// The fewest recordings of a piece: an object costs a request.
const LEAST: usize = 128;
/// The most recordings of a piece.
const MOST: usize = 1024;
/// Entries of the log in a piece.
const ENTRIES: i64 = 1024;
/// An object that was begun this long ago and never named is given up.
const UNFINISHED: Duration = Duration::from_secs(3600);

/// A snapshot's view of the rows that it shares.
pub(super) struct Sharing<'a> {
    inner: &'a Inner,
    /// The objects in use, by their content.
    known: BTreeMap<String, SharedRows>,
    /// The objects that the snapshot names.
    named: BTreeSet<ObjectId>,
    /// Those of them that it wrote.
    fresh: Vec<SharedRows>,
}

impl<'a> Sharing<'a> {
    /// Returns the objects that this session knows.
    pub(super) async fn of(inner: &'a Inner, tx: &mut Tx) -> Result<Self, Error> {
        let known = shared_rows::in_use(tx).await?.into_iter();
        let known = known.filter(|rows| rows.size > 0);
        Ok(Self {
            inner,
            known: known.map(|rows| (rows.content.clone(), rows)).collect(),
            named: BTreeSet::new(),
            fresh: Vec::new(),
        })
    }

    /// Writes the recordings and what belongs to them. Returns how many rows there were.
    pub(super) async fn recordings(
        &mut self,
        tx: &mut Tx,
        file: &mut Writing,
    ) -> Result<u64, Error> {
        let mut written = 0;
        let mut last: Option<Image> = None;
        let mut piece = Vec::new();
        loop {
            let read = image::announced(tx, last.as_ref(), ROWS).await?;
            let is_last = (read.len() as u64) < ROWS.unsigned_abs();
            last = read.last().cloned();
            for row in read {
                let is_end = ends_piece(&row);
                piece.push(row);
                if is_end && piece.len() >= LEAST || piece.len() == MOST {
                    let piece = Piece::of_recordings(tx, std::mem::take(&mut piece)).await?;
                    written += self.write(file, piece).await?;
                }
            }
            if is_last {
                let rest = Piece::of_recordings(tx, piece).await?;
                file.lines(&rest.lines).await?;
                return Ok(written + rest.rows);
            }
        }
    }

    /// Writes the entries of the log. Returns how many there were.
    pub(super) async fn entries(&mut self, tx: &mut Tx, file: &mut Writing) -> Result<u64, Error> {
        let mut written = 0;
        let mut last: Option<Image> = None;
        loop {
            let read = image::chunk(tx, Table::Audit, last.as_ref(), ENTRIES).await?;
            let is_whole = read.len() as u64 == ENTRIES.unsigned_abs();
            let mut piece = Piece::default();
            piece.push(Table::Audit, &read);
            if !is_whole {
                file.lines(&piece.lines).await?;
                return Ok(written + piece.rows);
            }
            written += self.write(file, piece).await?;
            last = read.into_iter().next_back();
        }
    }

    /// Writes the list of these objects, as it is once the snapshot is in the store.
    pub(super) async fn list(&self, tx: &mut Tx, file: &mut Writing) -> Result<u64, Error> {
        let mut rows = Vec::new();
        loop {
            let read = image::chunk(tx, Table::SharedRows, rows.last(), ROWS).await?;
            let is_last = (read.len() as u64) < ROWS.unsigned_abs();
            rows.extend(read);
            if is_last {
                break;
            }
        }
        rows.extend(self.fresh.iter().map(Image::of_shared));
        let mut piece = Piece::default();
        piece.push(Table::SharedRows, &rows);
        file.lines(&piece.lines).await?;
        Ok(piece.rows)
    }

    /// Names the object that has these lines; if there is none, makes one. Returns how many rows.
    async fn write(&mut self, file: &mut Writing, piece: Piece) -> Result<u64, Error> {
        if piece.has_ciphertext || piece.lines.len() > MAX_SIZE {
            file.lines(&piece.lines).await?;
            return Ok(piece.rows);
        }
        let seed = &self.inner.service.rows;
        let content = keyring::rows_content(seed, &piece.lines);
        let known = match self.known.get(&content) {
            Some(known) if self.is_there(known).await? => Some(known.clone()),
            _ => None,
        };
        let rows = match known {
            Some(known) => known,
            None => self.store(content, &piece).await?,
        };
        let key = keyring::rows_key(seed, rows.object);
        let included = IncludedObject::new(rows.object, rows.size, key);
        file.line(|out| included.push_line(out)).await?;
        self.named.insert(rows.object);
        Ok(piece.rows)
    }

    async fn is_there(&self, rows: &SharedRows) -> Result<bool, Error> {
        match self.inner.recovery.size(rows.object).await {
            Ok(size) => Ok(size == rows.size),
            Err(store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn store(&mut self, content: String, piece: &Piece) -> Result<SharedRows, Error> {
        let inner = self.inner;
        let object = ObjectId::random(&mut rand::rng());
        let begun = SharedRows::begun(object, content, piece.rows, inner.clock.now());
        let written = inner.db.unit("shared_rows.begin", async |mut unit| {
            unit.without_entry("an object that nothing names yet");
            shared_rows::begin(&mut unit, &begun).await
        });
        written.await?;
        crash::point("rows.begun");
        let key = keyring::rows_key(&inner.service.rows, object);
        let body = IncludedObject::seal(inner.id, object, &key, &piece.lines)?;
        let rows = SharedRows {
            size: body.len() as u64,
            ..begun
        };
        put(inner, object, body).await?;
        crash::point("rows.stored");
        let stored = inner.db.unit("shared_rows.stored", async |mut unit| {
            unit.without_entry("what an object has that a snapshot is about to name");
            shared_rows::stored(&mut unit, &rows).await
        });
        if !stored.await? {
            return Err(Error::SharedRows(object));
        }
        self.fresh.push(rows.clone());
        Ok(rows)
    }

    /// Gives up what this snapshot, which is in the store, does not name.
    pub(super) async fn leave_others(self) -> Result<(), Error> {
        let inner = self.inner;
        let now = inner.clock.now();
        let is_other = |rows: &SharedRows| {
            let is_begun = rows.size == 0 && now.since(rows.begun_at) < UNFINISHED;
            !is_begun && !self.named.contains(&rows.object)
        };
        let all = shared_rows::in_use(&mut inner.db.read().await?).await?;
        let others: Vec<ObjectId> = all
            .into_iter()
            .filter(is_other)
            .map(|rows| rows.object)
            .collect();
        inner.leave_shared(&others).await
    }
}

impl Inner {
    /// Gives up these objects: no later snapshot names them.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn leave_shared(&self, objects: &[ObjectId]) -> Result<(), Error> {
        if objects.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let left = self.db.unit("shared_rows.leave", async |mut unit| {
            // Its number is above those of all snapshots that name them.
            let entry = NewEntry::rows_left(now, objects.len());
            let seq = unit.audit_now(vec![entry]).await?;
            shared_rows::leave(&mut unit, objects, self.ownership.point(seq)).await
        });
        left.await?;
        crash::point("rows.left");
        Ok(())
    }

    /// Deletes the objects that were given up before the oldest snapshot in the store was made: none
    /// names them any more. The caller has checked that the database may destroy something.
    ///
    /// # Errors
    /// The store's or the database's; what is deleted stays deleted.
    pub(in crate::vault) async fn delete_left_rows(&self) -> Result<(), Error> {
        let left = shared_rows::left(&mut self.db.read().await?).await?;
        if left.is_empty() {
            return Ok(());
        }
        let snapshots = self.recovery.list_recovery(RecoveryKind::Snapshot).await?;
        let Some(oldest) = snapshots.iter().map(|(name, _)| name.point()).min() else {
            return Ok(());
        };
        let unnamed = |rows: &SharedRows| rows.left().is_some_and(|left| left <= oldest);
        for rows in left.into_iter().filter(unnamed) {
            self.recovery.delete(rows.object).await?;
            crash::point("rows.deleted");
            let removed = self.db.unit("shared_rows.remove", async |mut unit| {
                unit.without_entry("an entry told that the object was given up");
                shared_rows::remove(&mut unit, rows.object).await
            });
            removed.await?;
        }
        Ok(())
    }
}

async fn put(inner: &Inner, object: ObjectId, body: Bytes) -> Result<(), Error> {
    let mut writer = inner.recovery.writer(object);
    writer.write(body).await?;
    writer.finish().await?;
    Ok(())
}

/// Lines of a snapshot.
#[derive(Default)]
struct Piece {
    lines: SecretBuffer,
    rows: u64,
    /// Whether it has ciphertext that is in no pack: an object would keep that longer than a
    /// snapshot.
    has_ciphertext: bool,
}

impl Piece {
    /// Returns these recordings with all that belongs to them.
    async fn of_recordings(tx: &mut Tx, recordings: Vec<Image>) -> Result<Self, Error> {
        let ids: Vec<&str> = recordings.iter().filter_map(|row| row.text("id")).collect();
        let mut piece = Self::default();
        for table in Table::ALL
            .into_iter()
            .filter(|table| table.is_of_recordings())
        {
            if table == Table::Recordings {
                piece.push(table, &recordings);
            } else {
                piece.push(table, &image::find_all(tx, table, &ids).await?);
            }
        }
        Ok(piece)
    }

    fn push(&mut self, table: Table, rows: &[Image]) {
        if rows.is_empty() {
            return;
        }
        push_line(&mut self.lines, &SnapshotLine::Table(table.name().into()));
        self.lines.push(b'\n');
        for row in rows {
            row.to_json(&mut self.lines);
            self.lines.push(b'\n');
        }
        self.rows += rows.len() as u64;
        self.has_ciphertext |= rows.iter().any(Image::has_ciphertext);
    }
}

/// Returns whether a piece ends with this recording. Its id says so, so that the pieces before and
/// after it stay the same when others grow.
fn ends_piece(recording: &Image) -> bool {
    let id = recording.text("id").and_then(|id| id.parse().ok());
    id.is_some_and(|id: RecordingId| {
        let [first, second, ..] = *id.as_bytes();
        u16::from_be_bytes([first, second]).is_multiple_of(CUT)
    })
}
