//! The journal: between two snapshots, changes are written to the store beside them.
//!
//! A piece holds the audit entries since the previous piece, and the *present* state of every
//! marked recording: its rows, its key while it lives, its tombstone once it is shredded; of
//! tokens, policies, conversations, statements of consent and revocations it holds their rows. So
//! pieces may be written twice, by several processes, and in any order of marks. Of two states of a
//! recording the one in the piece of the later timeline counts, and within one timeline the one
//! with the higher number.
//!
//! Pieces form a chain: each names its predecessor, and of several that name the same predecessor
//! only one becomes the newest (`db::chain`). So a reader of the next piece notices a missing one.
//!
//! Small ciphertext is written once, in the piece of the mark that was set when it was new. Later
//! pieces with the row leave it out, and a restore keeps what it has.
//!
//! Owns the contents of a piece. INVARIANT: a mark is removed only after a piece with the state
//! that it stands for is durable. A shred is reported to its caller after that.

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
    recovery::{BegunFile, Writing},
    snapshot::{self, LineParser},
};
use crate::{
    db::{
        self, Tx, Unit, audit, chain, epochs,
        image::{self, Image, Table},
        outbox::{self, OutboxKind, OutboxMark},
    },
    keyring,
    model::{artefact::Leg, crash, id::RecordingId},
    secret::Key,
    store::{RecoveryKind, RecoveryName},
};

/// States in one piece.
const PIECE: i64 = 1024;
/// Audit entries read at a time.
const ENTRIES: i64 = 8192;

/// The tables of a recording's state, besides its key.
const RECORDING: [Table; 12] = [
    Table::Recordings,
    Table::Packs,
    Table::PackContents,
    Table::Artefacts,
    Table::Details,
    Table::Sources,
    Table::Links,
    Table::Tombstones,
    Table::Receipts,
    Table::Holds,
    Table::Approvals,
    Table::Revoked,
];

/// The column of small ciphertext.
pub(super) const INLINE: &str = "inline";

/// States read by one query; their living keys are in memory at the same time.
const AT_ONCE: usize = 256;

/// A line with a living record key. The whole file is sealed, as key pages are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyLine<'a> {
    recording: RecordingId,
    leg: Leg,
    #[serde(borrow)]
    key: &'a str,
}

/// The content of a piece's line.
pub(super) enum JournalLine {
    /// A row.
    Row(Image),
    /// A living key of the recording whose row came before.
    Key(RecordingId, Leg, Key),
    /// Neither.
    Nothing,
}

/// The lock for writing pieces, and the progress of this process's pieces.
///
/// A caller waits for one piece that was begun after its call, not until nothing is left to write:
/// under concurrent changes that moment might never come.
#[derive(Default)]
pub(super) struct JournalLock {
    /// Pieces that this process has begun.
    begun: AtomicU64,
    /// The newest of them that is in the chain and omits no change. The holder of this lock writes
    /// the next one.
    whole: tokio::sync::Mutex<u64>,
}

impl Vault {
    /// Writes everything to the journal that was marked before this call. Returns how many states.
    /// Cheap when nothing is marked.
    ///
    /// # Errors
    /// Of store or database; whatever is not written stays marked.
    pub async fn journal(&self) -> Result<u64, Error> {
        self.write_journal(false).await
    }

    /// As [`Self::journal`], but also writes audit entries that change no state.
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
            // The lock is taken for each piece, so that no caller waits for all the pieces of
            // another.
            let mut whole = vault.journaling.whole.lock().await;
            if *whole > before || !vault.is_behind(entries_too).await? {
                return Ok(written);
            }
            self.compare_if_left_out().await?;
            vault.follow().await?;
            vault.check_rollback().await?;
            let number = vault.journaling.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let piece = match vault.write_piece().await {
                // The epoch turned between the two reads.
                Err(Error::Keyring(keyring::Error::OtherEpoch(_))) => continue,
                piece => piece?,
            };
            let Some(piece) = piece else {
                // Another process wrote the piece. If this happens twice in a row, the two reads saw
                // different databases.
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
                // Nothing refers to this piece. If it stays, it is one more copy of states that the
                // winner's successor also has.
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

/// A piece that was written and is not in the chain yet.
struct UnchainedPiece {
    name: RecoveryName,
    /// The marks whose states are in it.
    marks: Vec<OutboxMark>,
    /// The number up to which this piece and its predecessors have audit entries.
    entries_to: i64,
    /// Whether this piece and its predecessors have every change up to this number.
    is_whole: bool,
    before: Option<chain::JournalPiece>,
    piece: chain::JournalPiece,
}

impl Inner {
    /// Returns whether anything waits for the journal; with `entries_too`, audit entries that
    /// change no state count as well.
    async fn is_behind(&self, entries_too: bool) -> Result<bool, Error> {
        let mut tx = self.db.read().await?;
        if outbox::waiting(&mut tx).await?.0 > 0 {
            return Ok(true);
        }
        Ok(entries_too && audit::head(&mut tx).await? > outbox::journaled_to(&mut tx).await?)
    }

    /// Makes a piece the newest of the chain and removes its marks, in one unit. Returns false if
    /// another piece came first, or if the root that opens this one is about to be destroyed.
    async fn chain(&self, unit: &mut Unit, written: &UnchainedPiece) -> Result<bool, Error> {
        unit.without_entry("what is in the store by now");
        if !chain::extend(unit, written.before.as_ref(), &written.piece).await? {
            unit.abandon();
            return Ok(false);
        }
        // Checked after the chain was locked, which a turn waits for: a piece of the previous epoch
        // behind the turn's snapshot would be a gap in the chain.
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
    async fn write_piece(&self) -> Result<Option<UnchainedPiece>, Error> {
        let mut tx = self.snapshot_session().await?;
        let marks = outbox::next(&mut tx, PIECE).await?;
        let since = outbox::journaled_to(&mut tx).await?;
        let entry = audit::position(&mut tx).await?.ok_or(Error::NoVault)?;
        if marks.is_empty() && entry.seq <= since {
            return Ok(None);
        }
        let BegunFile {
            mut file,
            name,
            header,
            before,
        } = self
            .begin_file(&mut tx, RecoveryKind::Journal, since)
            .await?;
        let piece = chain::JournalPiece {
            number: header.chain,
            name: name.to_string(),
            digest: header.digest(),
        };
        let written = async {
            let rows = self.states(&mut tx, since, &marks, &mut file).await?;
            file.line(|out| snapshot::push_line(out, &snapshot::SnapshotLine::End(rows)))
                .await
        };
        if let Err(error) = written.await {
            file.abort().await;
            return Err(error);
        }
        drop(tx);
        file.finish().await?;
        let is_whole = i64::try_from(marks.len()).is_ok_and(|states| states < PIECE);
        Ok(Some(UnchainedPiece {
            name,
            marks,
            entries_to: header.seq,
            is_whole,
            before,
            piece,
        }))
    }

    /// Writes all audit entries after `since`, and the states of everything that is marked. Returns
    /// how many rows.
    async fn states(
        &self,
        tx: &mut Tx,
        since: i64,
        marks: &[OutboxMark],
        file: &mut Writing,
    ) -> Result<u64, Error> {
        let mut rows = 0;
        file.line(|out| {
            snapshot::push_line(
                out,
                &snapshot::SnapshotLine::Table(Table::Audit.name().into()),
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
            let of_kind = |kind| marks.iter().filter(move |mark| mark.kind == kind);
            let whole: BTreeSet<&str> = match kind {
                OutboxKind::Recording => of_kind(OutboxKind::Ciphertext)
                    .map(|mark| mark.id.as_str())
                    .collect(),
                _ => BTreeSet::new(),
            };
            let ids: Vec<&str> = of_kind(kind)
                .map(|mark| mark.id.as_str())
                .filter(|id| !whole.contains(id))
                .collect();
            for ids in ids.chunks(AT_ONCE) {
                rows += self.state(tx, kind, ids, file).await?;
            }
        }
        Ok(rows)
    }

    /// Writes the states of these ids. Returns how many rows.
    async fn state(
        &self,
        tx: &mut Tx,
        kind: OutboxKind,
        ids: &[&str],
        file: &mut Writing,
    ) -> Result<u64, Error> {
        let tables: &[Table] = match kind {
            OutboxKind::SigningKey => &[Table::SigningKeys],
            OutboxKind::Recording | OutboxKind::Ciphertext => &RECORDING,
            // A row that refers to another follows it in the same piece.
            OutboxKind::Token => &[Table::Principals, Table::Tokens],
            OutboxKind::Policy => &[Table::Policies],
            OutboxKind::Conversation => &[Table::Parties, Table::Chats],
            OutboxKind::Consent => &[Table::Consents],
            OutboxKind::Revocation => &[Table::Revocations],
        };
        let mut rows = 0;
        for table in tables {
            let images = match table {
                Table::Principals => principals_of(tx, ids).await?,
                Table::Packs => image::packs_of(tx, ids).await?,
                Table::Artefacts if kind == OutboxKind::Recording => artefacts_of(tx, ids).await?,
                _ => image::find_all(tx, *table, ids).await?,
            };
            if !images.is_empty() {
                let name = snapshot::SnapshotLine::Table(table.name().into());
                file.line(|out| snapshot::push_line(out, &name)).await?;
            }
            for row in &images {
                file.line(|out| row.to_json(out)).await?;
            }
            rows += images.len() as u64;
        }
        if tables == RECORDING {
            self.key_lines(tx, ids, file).await?;
        }
        Ok(rows)
    }

    /// Writes the living keys of every leg of these recordings; shredded recordings and recordings
    /// that were never sealed have none.
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
pub(super) fn parse(parser: &mut LineParser, line: &[u8]) -> Result<JournalLine, &'static str> {
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
    Ok(parser
        .next(line)?
        .map_or(JournalLine::Nothing, JournalLine::Row))
}

/// Returns the principals whose credentials these tokens are.
async fn principals_of(tx: &mut Tx, tokens: &[&str]) -> Result<Vec<Image>, Error> {
    let tokens = image::find_all(tx, Table::Tokens, tokens).await?;
    let principals: BTreeSet<&str> = tokens
        .iter()
        .filter_map(|token| token.text("principal_id"))
        .collect();
    let principals: Vec<&str> = principals.into_iter().collect();
    Ok(image::find_all(tx, Table::Principals, &principals).await?)
}

/// Returns the artefacts of these recordings, without small ciphertext that is in the store: that
/// of a recording without a mark for it.
async fn artefacts_of(tx: &mut Tx, recordings: &[&str]) -> Result<Vec<Image>, Error> {
    let fresh = outbox::marked(tx, OutboxKind::Ciphertext, recordings).await?;
    let artefacts = image::find_all(tx, Table::Artefacts, recordings).await?;
    let is_fresh = |row: &Image| {
        row.text("recording_id")
            .is_some_and(|id| fresh.contains(id))
    };
    let written = |row: Image| match is_fresh(&row) {
        true => row,
        false => row.with_bytes(INLINE, Vec::new()),
    };
    Ok(artefacts.into_iter().map(written).collect())
}
