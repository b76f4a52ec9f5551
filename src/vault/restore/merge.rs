//! Merging the rows of two timelines about the same object.
//!
//! A process of the lost database may continue after a restore. Two timelines may therefore each
//! have signed a receipt for one recording, given one person an id, or have data that the other
//! lacks. Owns the change that a row needs before it is entered, so that unique values stay unique.
//! Refuses to enter anything. INVARIANT: a value that never reverts in one database does not revert
//! in a merge.

use std::collections::BTreeMap;

use crate::{
    db::{
        Tx,
        image::{self, Image, Table},
        merged, policies, principals, shreds,
    },
    model::id::RecordingId,
    store::RecoveryName,
    vault::{error::Error, journal::INLINE},
};

/// Columns that are filled once and never emptied, by the table and the column that identifies its
/// rows.
const FILLED_ONCE: [(Table, &str, &[&str]); 4] = [
    (Table::SigningKeys, "key_id", &["retired_at"]),
    (Table::Recordings, "id", &["revoked_at", "revoked_reason"]),
    (Table::Tokens, "id", &["revoked_at"]),
    (Table::Policies, "digest", &["in_force_at", "jws"]),
];

/// Columns that name a principal who has rights through the row.
const OF_PRINCIPALS: [(Table, &str); 3] = [
    (Table::Tokens, "principal_id"),
    (Table::Approvals, "principal_id"),
    (Table::Approvals, "decided_by"),
];

/// Duplicates found in the pieces so far.
#[derive(Default)]
pub(super) struct Merge {
    /// Ids of principals that exist under another id, and that id.
    principals: BTreeMap<String, String>,
    /// Earlier rows of small artefacts of the recordings whose new rows are being read, by the digest
    /// of the ciphertext: a new row may come without it.
    small: BTreeMap<(RecordingId, String), Image>,
}

impl Merge {
    /// Returns a row of this file as it must be entered; `None` if the existing row replaces it.
    ///
    /// # Errors
    /// [`Error::PolicyTwice`]; the database's.
    pub(super) async fn resolve(
        &mut self,
        tx: &mut Tx,
        row: Image,
        name: RecoveryName,
    ) -> Result<Option<Image>, Error> {
        let row = self.of_known_principals(row);
        match row.table() {
            Table::Principals => self.principal(tx, row).await,
            Table::Tombstones => tombstone(tx, row).await.map(Some),
            Table::Receipts => receipt(tx, row).await,
            Table::Artefacts => Ok(Some(self.with_small(row))),
            Table::Policies => {
                one_file_a_version(tx, &row, name).await?;
                filled(tx, row).await.map(Some)
            }
            _ => filled(tx, row).await.map(Some),
        }
    }

    /// Keeps the rows of a recording's small artefacts, which are about to be replaced.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn set_aside(&mut self, tx: &mut Tx, id: RecordingId) -> Result<(), Error> {
        let rows = image::find(tx, Table::Artefacts, &id.to_string()).await?;
        for row in rows {
            if let Some(digest) = small_digest(&row) {
                self.small.insert((id, digest), row);
            }
        }
        Ok(())
    }

    /// Forgets what was set aside: a piece has a recording's rows together.
    pub(super) fn end_of_piece(&mut self) {
        self.small.clear();
    }

    /// Returns the row with what the earlier row has of the same ciphertext, where it has none: the
    /// bytes, or the pack.
    fn with_small(&mut self, row: Image) -> Image {
        let id = row.text("recording_id").and_then(|id| id.parse().ok());
        let place = id.zip(small_digest(&row));
        let Some(earlier) = place.and_then(|place| self.small.remove(&place)) else {
            return row;
        };
        match (row.bytes(INLINE), earlier.bytes(INLINE)) {
            (Some([]), Some(bytes @ [_, ..])) => row.with_bytes(INLINE, bytes.to_vec()),
            (Some([]), _) if row.int("pack").is_none() => row
                .filled_from(&earlier, "pack")
                .filled_from(&earlier, "pack_at"),
            _ => row,
        }
    }

    /// Two timelines may have named one person: the existing id stays, and the other timeline's
    /// credentials and approvals are moved to it. Requesters and approvers are distinguished by
    /// this id.
    async fn principal(&mut self, tx: &mut Tx, row: Image) -> Result<Option<Image>, Error> {
        let text = |column| row.text(column).unwrap_or_default();
        let known = principals::find_named(tx, text("issuer"), text("subject")).await?;
        match known.map(|known| known.id.to_string()) {
            Some(known) if known != text("id") => {
                tracing::warn!(
                    kept = known,
                    dropped = text("id"),
                    "two timelines named one principal; what is the second's is the first's now"
                );
                // Rows that came before this one; those that come after it are renamed on the way in.
                merged::replace_principal(tx, text("id"), &known).await?;
                self.principals.insert(text("id").to_owned(), known);
                Ok(None)
            }
            _ => Ok(Some(row)),
        }
    }

    fn of_known_principals(&self, mut row: Image) -> Image {
        for (table, column) in OF_PRINCIPALS {
            let known = (table == row.table()).then(|| self.principals.get(row.text(column)?));
            if let Some(known) = known.flatten() {
                row = row.naming(column, known.clone());
            }
        }
        row
    }
}

/// Returns the digest of the ciphertext of a small artefact.
fn small_digest(row: &Image) -> Option<String> {
    match row.text("object_id") {
        None => row.text("sealed_sha256").map(str::to_owned),
        Some(_) => None,
    }
}

/// A recording is shredded once: the keys of a second shred are destroyed under the first one's
/// receipt.
async fn tombstone(tx: &mut Tx, row: Image) -> Result<Image, Error> {
    Ok(match standing_receipt(tx, &row).await? {
        Some(receipt) => row.naming("receipt_id", receipt),
        None => row,
    })
}

/// A recording has the receipt that its tombstone names.
async fn receipt(tx: &mut Tx, row: Image) -> Result<Option<Image>, Error> {
    let id = row.text("id");
    match standing_receipt(tx, &row).await? {
        Some(kept) if id != Some(kept.as_str()) => {
            tracing::warn!(
                recording = row.text("recording_id"),
                kept,
                dropped = id,
                "two timelines shredded one recording; the first one's receipt stays"
            );
            Ok(None)
        }
        _ => Ok(Some(row)),
    }
}

async fn standing_receipt(tx: &mut Tx, row: &Image) -> Result<Option<String>, Error> {
    let recording: Option<RecordingId> = row.text("recording_id").and_then(|id| id.parse().ok());
    let Some(recording) = recording else {
        return Ok(None);
    };
    let standing = shreds::find_tombstone(tx, recording).await?;
    Ok(standing.map(|(_, receipt)| receipt.to_string()))
}

/// Recordings are pinned to a policy version, so a version must not stand for two files.
async fn one_file_a_version(tx: &mut Tx, row: &Image, name: RecoveryName) -> Result<(), Error> {
    let version = row.text("version").unwrap_or_default();
    let known = policies::find(tx, version).await?;
    match known {
        Some(known) if row.text("digest") != Some(known.digest.as_str()) => {
            Err(Error::PolicyTwice {
                name: name.to_string(),
                version: version.to_owned(),
            })
        }
        _ => Ok(()),
    }
}

/// Returns the row, with columns that were filled before and are empty in it.
async fn filled(tx: &mut Tx, row: Image) -> Result<Image, Error> {
    let mut tables = FILLED_ONCE.iter();
    let Some((table, key, columns)) = tables.find(|(table, ..)| *table == row.table()) else {
        return Ok(row);
    };
    let subject = row.text(key).unwrap_or_default();
    let known = image::find(tx, *table, subject).await?;
    let Some(known) = known.first() else {
        return Ok(row);
    };
    let fill = |row: Image, column: &&str| row.filled_from(known, column);
    Ok(columns.iter().fold(row, fill))
}
