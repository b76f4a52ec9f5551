//! The journal: between two snapshots, what changed is written to the store beside them.
//!
//! A piece holds the audit entries since the piece before, and the *present* state of every
//! recording that is marked: its rows, its key while it lives, its tombstone once it is dead; and of
//! tokens, policies, conversations, statements of consent and revocations their rows. So pieces may
//! be written twice, by several processes, and in any order of marks: of two states of a recording
//! the one in the piece of the later timeline counts, and within one that with the higher number.
//!
//! Pieces are a chain: each names the one before it, and only one of those that name the same
//! predecessor becomes the newest (`db::chain`). So a piece that is missing is noticed by
//! whoever reads the next one.
//!
//! Owns what a piece holds. INVARIANT: a mark is taken away only after a piece with the state that
//! it stands for is durable. A shred is told to its caller after that.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Inner, Vault,
    error::Error,
    recovery::{ChainPosition, Header, Link, Writing},
    snapshot::{self, Rows},
};
use crate::{
    db::{
        self, Tx, Unit, audit, chain, epochs,
        image::{self, Image, Table},
        outbox::{self, OutboxKind, OutboxMark},
        timelines,
    },
    keyring,
    model::{
        artefact::Leg,
        crash,
        id::{ObjectId, RecordingId},
    },
    secret::Key,
    store::{RecoveryKind, RecoveryName},
};

/// States in one piece.
const PIECE: i64 = 1024;
/// Audit entries read at a time.
const ENTRIES: i64 = 8192;

/// What belongs to the state of a recording, besides its key.
const RECORDING: [Table; 9] = [
    Table::Recordings,
    Table::Artefacts,
    Table::Details,
    Table::Sources,
    Table::Tombstones,
    Table::Receipts,
    Table::Holds,
    Table::Approvals,
    Table::Revoked,
];

/// States read by one query, of which the living keys are in memory at once.
const AT_ONCE: usize = 256;

/// A line with a living record key. The file around it is sealed like the pages it would be on.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine<'a> {
    recording: RecordingId,
    leg: Leg,
    #[serde(borrow)]
    key: &'a str,
}

/// What a line of a piece says.
pub(super) enum JournalLine {
    /// A row.
    Row(Image),
    /// A living key of the recording whose row came before.
    Key(RecordingId, Leg, Key),
    /// Neither.
    Nothing,
}

/// Whose turn it is to write a piece, and what the pieces so far have.
///
/// Whoever waits for the journal waits for one piece that was begun after they came, not for a time
/// at which nothing is left to write: while others go on changing things there is none.
#[derive(Default)]
pub(super) struct JournalTurns {
    /// Pieces that this process has begun.
    begun: AtomicU64,
    /// The newest of them that stands in the chain and left no change out. Whoever holds this lock
    /// writes the next one.
    whole: tokio::sync::Mutex<u64>,
}

impl Vault {
    /// Writes everything to the journal that was marked before this call. How many states. Cheap
    /// when nothing is.
    ///
    /// # Errors
    /// Of store or database; what is not written stays marked.
    pub async fn journal(&self) -> Result<u64, Error> {
        self.write_journal(false).await
    }

    /// The same, and what was only written down in the audit log.
    ///
    /// # Errors
    /// As [`Self::journal`].
    pub async fn journal_all(&self) -> Result<u64, Error> {
        self.write_journal(true).await
    }

    async fn write_journal(&self, entries_too: bool) -> Result<u64, Error> {
        let vault = &*self.0;
        let before = vault.journaling.begun.load(Ordering::SeqCst);
        let mut written = 0;
        let mut is_idle = false;
        loop {
            // A turn for each piece: nobody waits for all the pieces of somebody else.
            let mut whole = vault.journaling.whole.lock().await;
            if *whole > before || !vault.is_behind(entries_too).await? {
                return Ok(written);
            }
            vault.follow().await?;
            vault.recall().await?;
            let number = vault.journaling.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let piece = match vault.write_piece().await {
                // It turned between two looks.
                Err(Error::Keyring(keyring::Error::OtherEpoch(_))) => continue,
                piece => piece?,
            };
            let Some(piece) = piece else {
                // Another process was there first; twice, and the two looks are not at the same
                // database.
                if is_idle {
                    return Err(db::Error::Unavailable(
                        "what waits for the journal is not found".into(),
                    )
                    .into());
                }
                is_idle = true;
                continue;
            };
            is_idle = false;
            crash::point("journal.written");
            let chained = vault
                .unit("journal.chain", async |mut unit| {
                    vault.chain(&mut unit, &piece).await
                })
                .await?;
            if !chained {
                // Nothing refers to it. Should it stay, it is one more copy of states that the
                // winner's successor has, too.
                vault.recovery.delete_recovery(piece.name).await?;
                continue;
            }
            written += piece.marks.len() as u64;
            if piece.is_whole {
                *whole = number;
            }
        }
    }
}

/// A piece that was written and stands in no chain yet.
struct Written {
    name: RecoveryName,
    /// The marks whose states are in it.
    marks: Vec<OutboxMark>,
    /// The number up to which it, and those before it, have audit entries.
    entries_to: i64,
    /// Whether it, and those before it, have every change up to this number.
    is_whole: bool,
    before: Option<chain::JournalPiece>,
    piece: chain::JournalPiece,
}

impl Inner {
    /// Whether something waits for the journal; with `entries_too`, also entries of the audit log
    /// that change nothing.
    async fn is_behind(&self, entries_too: bool) -> Result<bool, Error> {
        let mut tx = self.db.read().await?;
        if outbox::waiting(&mut tx).await?.0 > 0 {
            return Ok(true);
        }
        Ok(entries_too && audit::head(&mut tx).await? > outbox::journaled_to(&mut tx).await?)
    }

    /// The unit in which a piece becomes the newest of the chain, and its marks go. False if
    /// another piece came between, or the root that opens this one is about to go.
    async fn chain(&self, unit: &mut Unit, written: &Written) -> Result<bool, Error> {
        unit.without_entry("what is in the store by now");
        if !chain::extend(unit, written.before.as_ref(), &written.piece).await? {
            unit.abandon();
            return Ok(false);
        }
        // Asked after the chain was locked, which a turn waits for: a piece of the epoch before,
        // behind the turn's snapshot, would be a hole in the chain.
        if epochs::current(unit)
            .await?
            .is_none_or(|current| current.epoch != written.name.epoch)
        {
            unit.abandon();
            return Ok(false);
        }
        outbox::clear(unit, &written.marks).await?;
        outbox::note_journaled(unit, written.entries_to).await?;
        if written.is_whole {
            chain::note_durable(unit, written.entries_to).await?;
        }
        Ok(true)
    }

    /// Writes one piece; `None` if there is nothing to write.
    async fn write_piece(&self) -> Result<Option<Written>, Error> {
        let mut tx = self.snapshot_session().await?;
        let epoch = epochs::current(&mut tx).await?.ok_or(Error::NoVault)?;
        let marks = outbox::next(&mut tx, PIECE).await?;
        let root = self.root.key();
        let since = outbox::journaled_to(&mut tx).await?;
        if epoch.epoch != root.epoch {
            return Err(keyring::Error::OtherEpoch(epoch.epoch).into());
        }
        let entry = audit::position(&mut tx).await?.ok_or(Error::NoVault)?;
        if marks.is_empty() && entry.seq <= since {
            return Ok(None);
        }
        let before = chain::newest(&mut tx).await?;
        let seq = audit::head(&mut tx).await?;
        let path = timelines::path(&mut tx).await?;
        let id = ObjectId::random(&mut rand::rng());
        let name = RecoveryName {
            kind: RecoveryKind::Journal,
            epoch: epoch.epoch,
            timeline: path.current(),
            seq,
            id,
        };
        let number = before.as_ref().map_or(0, |before| before.number) + 1;
        let standing = ChainPosition {
            path,
            entry,
            since,
            chain: number,
            previous: before.as_ref().map(Link::to).transpose()?,
        };
        let header = Header::of(
            name,
            self.id,
            &epoch.root_sealed,
            self.clock.now(),
            standing,
        );
        let piece = chain::JournalPiece {
            number,
            name: name.to_string(),
            digest: header.digest(),
        };
        let mut file = Writing::begin(&self.recovery, name, &header, &root).await?;
        let rows = self.states(&mut tx, since, &marks, &mut file).await?;
        drop(tx);
        file.line(|out| snapshot::mark(out, &snapshot::SnapshotMark::End(rows)))
            .await?;
        file.finish().await?;
        let is_whole = i64::try_from(marks.len()).is_ok_and(|states| states < PIECE);
        Ok(Some(Written {
            name,
            marks,
            entries_to: seq,
            is_whole,
            before,
            piece,
        }))
    }

    /// The audit entries after `since`, all of them, and the states of everything that is marked.
    /// How many rows.
    async fn states(
        &self,
        tx: &mut Tx,
        since: i64,
        marks: &[OutboxMark],
        file: &mut Writing,
    ) -> Result<u64, Error> {
        let mut rows = 0;
        file.line(|out| {
            snapshot::mark(
                out,
                &snapshot::SnapshotMark::Table(Table::Audit.name().into()),
            )
        })
        .await?;
        let mut last = Image::before_audit(since);
        loop {
            let entries = image::chunk(tx, Table::Audit, Some(&last), ENTRIES).await?;
            for entry in &entries {
                file.line(|out| entry.to_json(out)).await?;
            }
            rows += entries.len() as u64;
            match entries.into_iter().next_back() {
                Some(entry) => last = entry,
                None => break,
            }
        }
        for kind in OutboxKind::ALL.iter().copied() {
            let tables: &[Table] = match kind {
                OutboxKind::SigningKey => &[Table::SigningKeys],
                OutboxKind::Recording => &RECORDING,
                // Whose it is comes before it, in the same piece: a row refers to the other.
                OutboxKind::Token => &[Table::Principals, Table::Tokens],
                OutboxKind::Policy => &[Table::Policies],
                OutboxKind::Conversation => &[Table::Parties],
                OutboxKind::Consent => &[Table::Consents],
                OutboxKind::Revocation => &[Table::Revocations],
            };
            let ids: Vec<&str> = marks
                .iter()
                .filter(|mark| mark.kind == kind)
                .map(|mark| mark.id.as_str())
                .collect();
            for ids in ids.chunks(AT_ONCE) {
                for table in tables {
                    let images = match table {
                        Table::Principals => principals_of(tx, ids).await?,
                        _ => image::find_all(tx, *table, ids).await?,
                    };
                    if !images.is_empty() {
                        file.line(|out| {
                            snapshot::mark(out, &snapshot::SnapshotMark::Table(table.name().into()))
                        })
                        .await?;
                    }
                    for row in &images {
                        file.line(|out| row.to_json(out)).await?;
                    }
                    rows += images.len() as u64;
                }
                if kind == OutboxKind::Recording {
                    self.key_lines(tx, ids, file).await?;
                }
            }
        }
        Ok(rows)
    }

    /// The keys of every leg of these recordings, as far as they live: not of those that are shredded, or were
    /// never sealed.
    async fn key_lines(&self, tx: &mut Tx, ids: &[&str], file: &mut Writing) -> Result<(), Error> {
        let ids = ids
            .iter()
            .filter_map(|id| id.parse().ok())
            .collect::<Vec<RecordingId>>();
        for (recording, leg, key) in self.keys_of_every_leg(tx, &ids).await? {
            let text = Zeroizing::new(BASE64.encode(key.expose()));
            let line = KeyLine {
                recording,
                leg,
                key: &text,
            };
            file.line(|out| {
                serde_json::to_writer(out, &line)
                    .expect("ids and text have a JSON form, and a buffer takes all of it")
            })
            .await?;
        }
        Ok(())
    }
}

/// Reads a line of a piece.
pub(super) fn parse(rows: &mut Rows, line: &[u8]) -> Result<JournalLine, &'static str> {
    if line.starts_with(br#"{"recording":"#) {
        const FAULT: &str = "a key of it is not one";
        let line: KeyLine<'_> = serde_json::from_slice(line).map_err(|_| FAULT)?;
        let bytes = BASE64
            .decode(line.key)
            .map(Zeroizing::new)
            .map_err(|_| FAULT)?;
        return Ok(JournalLine::Key(
            line.recording,
            line.leg,
            Key::from_slice(&bytes).ok_or(FAULT)?,
        ));
    }
    Ok(rows
        .next(line)?
        .map_or(JournalLine::Nothing, JournalLine::Row))
}

/// The principals whose credentials these tokens are.
async fn principals_of(tx: &mut Tx, tokens: &[&str]) -> Result<Vec<Image>, Error> {
    let tokens = image::find_all(tx, Table::Tokens, tokens).await?;
    let principals: BTreeSet<&str> = tokens
        .iter()
        .filter_map(|token| token.text("principal_id"))
        .collect();
    let principals: Vec<&str> = principals.into_iter().collect();
    Ok(image::find_all(tx, Table::Principals, &principals).await?)
}
