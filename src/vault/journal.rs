//! The journal: between two snapshots, what changed is written to the store beside them.
//!
//! A piece holds the audit entries since the piece before, and the *present* state of every recording that is marked: its rows, its key while
//! it lives, its fence once it is dead; and of tokens, policies, conversations, statements of consent and revocations their rows. So pieces may be written twice, by several processes, and in any order of marks: of two states of a
//! recording the one in the piece with the higher number counts.
//!
//! Owns what a piece holds. INVARIANT: a mark is taken away only after a piece with the state that it stands for is durable. A shred is
//! told to its caller after that.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Error, Inner, Vault,
    recovery::{Header, Writing},
    snapshot::{self, Rows},
};
use crate::{
    keyring,
    ledger::{
        Tx, audit, epochs,
        image::{self, Image, Table},
        marks::{self, Mark, Marked},
    },
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
/// Audit entries in one piece.
const ENTRIES: i64 = 8192;

/// What belongs to the state of a recording, besides its key.
const RECORDING: [Table; 9] = [
    Table::Recordings,
    Table::Artefacts,
    Table::Details,
    Table::Sources,
    Table::Fences,
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
pub(super) enum Line {
    /// A row.
    Row(Image),
    /// A living key of the recording whose row came before.
    Key(RecordingId, Leg, Key),
    /// Neither.
    Nothing,
}

impl Vault {
    /// Writes everything that is marked to the journal. How many states. Cheap when nothing is.
    ///
    /// # Errors
    /// Of store or ledger; what is not written stays marked.
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
        // One at a time: who waited finds that the one before has written its states, too.
        let _turn = vault.journaling.lock().await;
        let mut written = 0;
        loop {
            let mut tx = vault.ledger.read().await?;
            let is_behind =
                marks::waiting(&mut tx).await?.0 > 0 || entries_too && audit::head(&mut tx).await? > marks::journaled_to(&mut tx).await?;
            drop(tx);
            if !is_behind {
                return Ok(written);
            }
            vault.follow().await?;
            let (marks, entries_to) = match vault.write_piece().await {
                // It turned between two looks.
                Err(Error::Keyring(keyring::Error::OtherEpoch(_))) => continue,
                written => written?,
            };
            written += marks.len() as u64;
            crash::point("journal.written");
            vault
                .unit(async || {
                    let mut tx = vault.ledger.begin().await?;
                    marks::clear(&mut tx, &marks).await?;
                    marks::note_journaled(&mut tx, entries_to).await?;
                    Ok(tx.commit().await?)
                })
                .await?;
        }
    }

    /// Whether the store knows of more than the ledger: a ledger that was put back from an old copy has forgotten what happened since, shreds
    /// among it.
    ///
    /// # Errors
    /// [`Error::ForgetfulLedger`]; the store's or the ledger's.
    pub async fn check_memory(&self) -> Result<(), Error> {
        let vault = &*self.0;
        let mut known = 0;
        for kind in [RecoveryKind::Journal, RecoveryKind::Snapshot] {
            let all = vault.recovery.list_recovery(kind).await?;
            known = all.into_iter().map(|(name, _)| name.seq).fold(known, i64::max);
        }
        let ledger = audit::head(&mut vault.ledger.read().await?).await?;
        if known > ledger { Err(Error::ForgetfulLedger { ledger, store: known }) } else { Ok(()) }
    }
}

impl Inner {
    /// Writes one piece; the marks whose states are in it, and the number up to which it has audit entries.
    async fn write_piece(&self) -> Result<(Vec<Mark>, i64), Error> {
        let mut tx = self.ledger.snapshot().await?;
        let epoch = epochs::current(&mut tx).await?.ok_or(Error::NoVault)?;
        let marks = marks::next(&mut tx, PIECE).await?;
        let root = self.root.key();
        let since = marks::journaled_to(&mut tx).await?;
        let entries = image::chunk(&mut tx, Table::Audit, Some(&Image::before_audit(since)), ENTRIES).await?;
        let entries_to = entries.last().and_then(|entry| entry.int("seq")).unwrap_or(since);
        if epoch.epoch != root.epoch {
            return Err(keyring::Error::OtherEpoch(epoch.epoch).into());
        }
        if marks.is_empty() && entries.is_empty() {
            // Another process was there first.
            return Ok((marks, since));
        }
        let (seq, id) = (audit::head(&mut tx).await?, ObjectId::random(&mut rand::rng()));
        let name = RecoveryName { kind: RecoveryKind::Journal, epoch: epoch.epoch, seq, id };
        let header = Header::of(name, self.id, &epoch.root_sealed, self.clock.now());
        let mut file = Writing::begin(&self.recovery, name, &header, &root).await?;
        let mut rows = entries.len() as u64;
        file.line(|out| snapshot::mark(out, &snapshot::Mark::Table(Table::Audit.name().into()))).await?;
        for entry in &entries {
            file.line(|out| entry.to_json(out)).await?;
        }
        for kind in Marked::ALL {
            let tables: &[Table] = match kind {
                Marked::Recording => &RECORDING,
                Marked::Token => &[Table::Tokens],
                Marked::Policy => &[Table::Policies],
                Marked::Conversation => &[Table::Parties],
                Marked::Consent => &[Table::Consents],
                Marked::Revocation => &[Table::Revocations],
            };
            let ids: Vec<&str> = marks.iter().filter(|mark| mark.kind == kind).map(|mark| mark.id.as_str()).collect();
            for ids in ids.chunks(AT_ONCE) {
                for table in tables {
                    let images = image::find_all(&mut tx, *table, ids).await?;
                    if !images.is_empty() {
                        file.line(|out| snapshot::mark(out, &snapshot::Mark::Table(table.name().into()))).await?;
                    }
                    for row in &images {
                        file.line(|out| row.to_json(out)).await?;
                    }
                    rows += images.len() as u64;
                }
                if kind == Marked::Recording {
                    self.key_lines(&mut tx, ids, &mut file).await?;
                }
            }
        }
        drop(tx);
        file.line(|out| snapshot::mark(out, &snapshot::Mark::End(rows))).await?;
        file.finish().await?;
        Ok((marks, entries_to))
    }

    /// The keys of these recordings, as far as they live: not of those that are shredded, or were never sealed.
    async fn key_lines(&self, tx: &mut Tx, ids: &[&str], file: &mut Writing) -> Result<(), Error> {
        let (leg, ids) = (Leg::All, ids.iter().filter_map(|id| id.parse().ok()).collect::<Vec<RecordingId>>());
        for (recording, key) in self.record_keys(tx, &ids, leg).await? {
            let text = Zeroizing::new(BASE64.encode(key.expose()));
            let line = KeyLine { recording, leg, key: &text };
            file.line(|out| serde_json::to_writer(out, &line).expect("ids and text have a JSON form, and a buffer takes all of it"))
                .await?;
        }
        Ok(())
    }
}

/// Reads a line of a piece.
pub(super) fn parse(rows: &mut Rows, line: &[u8]) -> Result<Line, &'static str> {
    if line.starts_with(br#"{"recording":"#) {
        const FAULT: &str = "a key of it is not one";
        let line: KeyLine<'_> = serde_json::from_slice(line).map_err(|_| FAULT)?;
        let bytes = BASE64.decode(line.key).map(Zeroizing::new).map_err(|_| FAULT)?;
        return Ok(Line::Key(line.recording, line.leg, Key::from_slice(&bytes).ok_or(FAULT)?));
    }
    Ok(rows.next(line)?.map_or(Line::Nothing, Line::Row))
}
