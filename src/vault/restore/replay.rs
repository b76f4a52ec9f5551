//! Replaying a piece of the journal into a rebuilt database: rows, keys and tombstones.
//!
//! Owns how each kind of row changes the existing rows. Refuses to know the order of pieces.
//! INVARIANT: a key whose fingerprint is in a tombstone is not entered.

use std::sync::Arc;

use super::{JournalLine, LineParser, fault_in, journal, merge::Merge};
use crate::{
    db::{
        Tx,
        chats::ChatId,
        details,
        image::{self, Image, Table},
        keys::{self as key_rows, KeyEntries},
        recordings, revocations, shreds, signing_keys,
        work::{self, WorkKind},
    },
    evidence::{Receipt, Removal},
    keyring::fingerprint,
    model::{
        artefact::Leg, id::RecordingId, recording::RecordingState, subject::Conversation,
        time::Timestamp,
    },
    secret::Key,
    vault::{Inner, error::Error, recovery::RecoveryFile},
};

/// The tables each of whose rows is one state in a piece of the journal.
const STATES: [Table; 8] = [
    Table::SigningKeys,
    Table::Recordings,
    Table::Tokens,
    Table::Policies,
    Table::Parties,
    Table::Chats,
    Table::Consents,
    Table::Revocations,
];

impl Inner {
    /// Enters one piece of the journal, whose numbers up to `shared` are the rebuilt log's. Returns
    /// how many states.
    pub(super) async fn replay(
        &self,
        tx: &mut Tx,
        mut file: RecoveryFile,
        shared: i64,
        merge: &mut Merge,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let name = file.name;
        let fault = fault_in(name);
        let mut parser = LineParser::default();
        let mut states = 0;
        let root = Arc::clone(&file.root);
        while let Some(line) = file.line().await? {
            match journal::parse(&mut parser, line).map_err(fault)? {
                JournalLine::Nothing => {}
                JournalLine::Row(row) => {
                    states += u64::from(STATES.contains(&row.table()));
                    if let Some(row) = of_main_log(row, shared) {
                        let row = self.resealed(row, &root);
                        if let Some(id) = replaced(&row) {
                            merge.set_aside(tx, id).await?;
                        }
                        if let Some(row) = merge.resolve(tx, row, name).await? {
                            self.take_row(tx, row, now).await?;
                        }
                    }
                }
                JournalLine::Key(id, leg, key) => self.take_key(tx, id, leg, &key).await?,
            }
        }
        parser.end().map_err(fault)?;
        merge.end_of_piece();
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
        let is_announced = table == Table::Recordings
            && row.text("state") == Some(RecordingState::Announced.as_str());
        let has_files = is_sealed && row.int("files").is_some_and(|files| files > 0);
        let thread = row.text("thread").and_then(|thread| thread.parse().ok());
        let is_in_session = is_sealed && matches!(thread, Some(Conversation::Session(_)));
        let is_removed = is_sealed && row.int("removed_at").is_some();
        let is_pending = table == Table::Receipts
            && awaits_source(tx, row.text("jws").unwrap_or_default()).await?;
        image::upsert(tx, table, std::slice::from_ref(&row)).await?;
        match (table, subject) {
            // Its artefacts and participants, if it still has any, follow.
            (Table::Recordings, Some(id)) => {
                recordings::remove_artefacts(tx, id).await?;
                details::remove(tx, &[id]).await?;
                // What is announced still waits for its fetch.
                if !is_announced {
                    work::cancel(tx, WorkKind::FetchMedia, &[id]).await?;
                }
                if is_removed {
                    // The policy may want that it follows, and the lost database may not have come to
                    // that.
                    work::enqueue(tx, WorkKind::FetchMedia, &[id], now).await?;
                }
                if has_files {
                    // Those that it has already are not fetched again.
                    work::enqueue(tx, WorkKind::FetchFiles, &[id], now).await?;
                }
                if is_in_session {
                    // Whom it names already is not named again.
                    work::enqueue(tx, WorkKind::ReadSession, &[id], now).await?;
                }
                if is_sealed {
                    // The flow decides which of them are deleted at the source when it handles
                    // each.
                    work::enqueue(tx, WorkKind::DeleteAtSource, &[id], now).await?;
                }
            }
            (Table::Receipts, Some(id)) if is_pending => {
                work::begin_anew(tx, WorkKind::DeleteAtSource, &[id], now).await?
            }
            (Table::Chats, _) => read_chat(tx, &row, now).await?,
            (Table::Revocations, _) => self.resume_revocation(tx, &row, now).await?,
            (Table::Tombstones, Some(id)) => {
                self.destroy_tombstoned(tx, id).await?;
                // Objects of a shredded recording that are still catalogued must be removed.
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

    /// Destroys the keys of a tombstoned recording that the snapshot or an earlier piece still had:
    /// those of every leg, because no shred leaves one.
    async fn destroy_tombstoned(&self, tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
        let entries = key_rows::entries_behind_tombstone(tx, id).await?;
        self.destroy_entries(tx, &entries).await
    }

    /// Enters a key of a living recording into the tree, unless it is there or was destroyed.
    async fn take_key(
        &self,
        tx: &mut Tx,
        id: RecordingId,
        leg: Leg,
        key: &Key,
    ) -> Result<(), Error> {
        let public = fingerprint(key);
        if shreds::is_any_destroyed(tx, std::slice::from_ref(&public)).await?
            || shreds::find_tombstone(tx, id).await?.is_some()
        {
            return Ok(());
        }
        let recording = recordings::find(tx, id).await?.ok_or(Error::Gone)?;
        if let Some(entry) = key_rows::find_entry(tx, id, leg).await? {
            let tier = key_rows::tier_of(tx, entry.place.page).await?;
            if entry.fingerprint == public && tier == recording.tier.as_str() {
                return Ok(());
            }
            self.destroy_entries(tx, &KeyEntries::from([((id, leg), entry)]))
                .await?;
        }
        self.place_key(tx, id, leg, &recording.tier, key).await
    }
}

/// Has a chat read of which something is still to be found out: who takes part in it, which messages
/// are lacking, or that all of them were removed.
async fn read_chat(tx: &mut Tx, row: &Image, now: Timestamp) -> Result<(), Error> {
    let is_read = row.int("read_at").is_some();
    let is_left = row.int("removed_at").is_some() || row.int("gap_from").is_some();
    let account = row.text("account").and_then(|account| account.parse().ok());
    let chat = row.text("chat").and_then(|chat| chat.parse().ok());
    if let (Some(account), Some(chat), true) = (account, chat, is_left || !is_read) {
        let id = ChatId { account, chat };
        work::enqueue(tx, WorkKind::ReadChat, &[id], now).await?;
    }
    Ok(())
}

/// Returns the recording whose state this row begins.
fn replaced(row: &Image) -> Option<RecordingId> {
    (row.table() == Table::Recordings)
        .then(|| row.text("id")?.parse().ok())
        .flatten()
}

/// Returns whether a receipt waits for the deletion of the source's copies.
async fn awaits_source(tx: &mut Tx, jws: &str) -> Result<bool, Error> {
    let keys = signing_keys::all(tx).await?;
    // A receipt that cannot be verified cancels no deletion.
    Ok(Receipt::verify(jws, &keys).map_or(true, |receipt| {
        receipt.source().is_some_and(Removal::is_open)
    }))
}

/// Returns a row of a file whose numbers up to `shared` are the rebuilt log's; drops entries of a
/// lost timeline, and removes that timeline's numbers from other rows.
pub(super) fn of_main_log(row: Image, shared: i64) -> Option<Image> {
    let is_lost = row.int("seq").is_some_and(|seq| seq > shared);
    match row.table() {
        Table::Audit if is_lost => None,
        Table::Tombstones if is_lost => Some(row.unnumbered()),
        _ => Some(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_lost_timeline_no_number_is_taken_in() {
        let row = |table, seq: i64| {
            let line = match table {
                Table::Audit => {
                    format!(r#"[{seq},6,"vault","epoch.turned",null,"{{}}",null,null]"#)
                }
                _ => format!(r#"["rec_1","all",6,"rcp_1","f",{seq}]"#),
            };
            Image::parse(table, line.as_bytes()).unwrap()
        };
        for table in [Table::Audit, Table::Tombstones] {
            let shared = row(table, 30);
            assert_eq!(of_main_log(shared.clone(), 30), Some(shared));
        }
        assert_eq!(of_main_log(row(Table::Audit, 31), 30), None);
        let tombstone = of_main_log(row(Table::Tombstones, 31), 30).unwrap();
        assert_eq!(tombstone.int("seq"), None, "a watch would skip behind it");
        assert_eq!(tombstone.text("fingerprint"), Some("f"));
    }
}
