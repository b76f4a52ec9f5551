//! The journal, and the rebuild of a lost database from it and the newest snapshot that custody's
//! roots open.

use super::{
    flaws::Flaw,
    state::{BRANCH, Db, Epoch, Flush, LEAVES, RECORDINGS, ROOT, Rows, State, has},
};

impl State {
    /// Reads the marked recordings and the key for sealing them, at once.
    pub(crate) fn read_marks(&mut self) {
        let Some(db) = &self.db else { return };
        let rows = &db.rows;
        let tombstones = rows.outbox & rows.tombstones;
        self.flush = Some(Flush {
            root: if db.opens { rows.root } else { 0 },
            key: rows.keys[ROOT],
            audit: rows.audit,
            keys: rows.outbox & self.open_now() & !tombstones,
            tombstones,
            losses: self.spent.losses,
        });
    }

    /// Stores the read rows, then clears the marks in the database where they are unchanged.
    pub(crate) fn write_pieces(&mut self, flaw: Option<Flaw>) {
        let Some(mut flush) = self.flush.take() else {
            return;
        };
        if let Some(db) = self
            .db
            .as_ref()
            .filter(|_| flaw == Some(Flaw::FlushSealsUnderALaterKey))
        {
            (flush.root, flush.key) = (db.rows.root, db.rows.keys[ROOT]);
        }
        for recording in 0..RECORDINGS {
            if has(flush.keys, recording) {
                self.knowledge.seal_record(recording, flush.key);
            }
            // A piece that no root opens counts as not written.
            let piece = &mut self.journal[usize::from(flush.root)][recording];
            if flush.root != 0 && has(flush.keys, recording) {
                piece.key = piece.key.max(flush.audit);
            }
            if flush.root != 0 && has(flush.tombstones, recording) {
                piece.tombstone = piece.tombstone.max(flush.audit);
            }
        }
        if flaw == Some(Flaw::AcknowledgedUnasked) {
            self.told.tombstoned |= flush.tombstones;
        }
        let losses = self.spent.losses;
        let Some(db) = self.db.as_mut().filter(|_| flush.losses == losses) else {
            return;
        };
        let rows = &mut db.rows;
        let forgets = flaw == Some(Flaw::FlushForgetsChanges);
        let kept = if forgets {
            flush.keys
        } else {
            flush.keys & !rows.tombstones
        };
        rows.outbox &= !(kept | flush.tombstones);
        self.told.kept |= kept;
        self.told.tombstoned |= if forgets {
            (kept | flush.tombstones) & rows.tombstones
        } else {
            flush.tombstones
        };
    }

    /// Loses the database.
    pub(crate) fn lose(&mut self) {
        self.db = None;
        self.spent.losses += 1;
    }

    /// Returns the rows of a rebuild now, and the recordings that came from the journal; those go
    /// into `leaf`.
    pub(crate) fn rebuilt(&self, leaf: usize, flaw: Option<Flaw>) -> Option<(Rows, Vec<usize>)> {
        let counts = u8::from(flaw != Some(Flaw::RestoreForgetsLives));
        let mut rows = self
            .snapshots
            .iter()
            .flatten()
            .max_by_key(|rows| (rows.life * counts, rows.epoch))?
            .as_ref()
            .clone();
        let since = rows.audit;
        let mut placed = Vec::new();
        let mut tombstones = 0;
        for (pieces, snapshot) in self.journal.iter().zip(&self.snapshots) {
            if flaw == Some(Flaw::PiecesCarryNoKey) && snapshot.is_none() {
                continue;
            }
            for (recording, piece) in pieces.iter().enumerate() {
                if piece.key > since
                    && rows.slots[recording].is_none()
                    && !has(rows.tombstones, recording)
                {
                    rows.slots[recording] = Some(leaf);
                    placed.push(recording);
                }
                if piece.tombstone > since {
                    tombstones |= 1 << recording;
                }
                rows.audit = rows.audit.max(piece.key).max(piece.tombstone);
            }
        }
        if flaw != Some(Flaw::RestoreIgnoresTombstones) {
            rows.tombstones |= tombstones;
        }
        placed.retain(|&recording| !has(rows.tombstones, recording));
        for recording in (0..RECORDINGS).filter(|&recording| has(rows.tombstones, recording)) {
            if let Some(leaf) = rows.slots[recording].take() {
                rows.stale[leaf] = true;
            }
        }
        if flaw != Some(Flaw::RestoreKeepsMarks) {
            rows.stale[BRANCH] = true;
            LEAVES.into_iter().for_each(|leaf| rows.stale[leaf] = true);
        }
        rows.life = self.spent.losses;
        if flaw != Some(Flaw::RestoreKeepsCovers) {
            // A turn covered them before keys came back into pages that it had not renewed.
            for recording in
                (0..RECORDINGS).filter(|&recording| !has(rows.unrecoverable, recording))
            {
                rows.covered[recording] = 0;
            }
        }
        (rows.settled, rows.finished) = (false, false);
        rows.restored = flaw != Some(Flaw::RestoreOpensEarly);
        if !matches!(
            flaw,
            Some(Flaw::RestoreKeepsTheStagedRoot | Flaw::RestoreReusesNumbers)
        ) {
            rows.next = rows.next.max(self.newest_root() + 1);
        }
        Some((rows, placed))
    }

    pub(crate) fn restore(&mut self, leaf: usize, flaw: Option<Flaw>) {
        let Some((rows, placed)) = self.rebuilt(leaf, flaw) else {
            return;
        };
        for recording in placed {
            self.knowledge.seal_record(recording, rows.keys[leaf]);
        }
        self.db = Some(Db {
            rows,
            opens: true,
            holder: None,
        });
        // The rebuilt database takes custody over: the turner of the lost one can swap nothing any
        // more.
        self.changed(flaw);
    }

    fn newest_root(&self) -> Epoch {
        (0..)
            .zip(&self.custody)
            .filter(|(_, is_there)| **is_there)
            .map(|(epoch, _)| epoch)
            .max()
            .unwrap_or(0)
    }
}
