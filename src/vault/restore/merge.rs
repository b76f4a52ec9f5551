//! Rows of two timelines about the same thing, one after the other.
//!
//! A process that a restore left behind goes on, so two timelines may each have signed a receipt for
//! one recording, given one person an id, or know of something that the other has not heard of. Owns
//! what a row has to become before it is entered, so that nothing that is unique is there twice.
//! Refuses to enter anything. INVARIANT: what never goes back in one database does not go back when
//! two are put together.

use std::collections::BTreeMap;

use crate::{
    db::{
        Tx,
        image::{self, Image, Table},
        merged, policies, principals, shreds,
    },
    model::id::RecordingId,
    store::RecoveryName,
    vault::error::Error,
};

/// Columns that a database fills once and never empties, by the table and the column by which its
/// rows are found.
const FILLED_ONCE: [(Table, &str, &[&str]); 4] = [
    (Table::SigningKeys, "key_id", &["retired_at"]),
    (Table::Recordings, "id", &["revoked_at", "revoked_reason"]),
    (Table::Tokens, "id", &["revoked_at"]),
    (Table::Policies, "digest", &["in_force_at", "jws"]),
];

/// Columns that name a principal whose rights hang on it.
const OF_PRINCIPALS: [(Table, &str); 3] = [
    (Table::Tokens, "principal_id"),
    (Table::Approvals, "principal_id"),
    (Table::Approvals, "decided_by"),
];

/// What the pieces so far have brought twice.
#[derive(Default)]
pub(super) struct Merge {
    /// Ids of principals who are there under another: which.
    principals: BTreeMap<String, String>,
}

impl Merge {
    /// A row of this file as it is to be entered; `None` if what is there counts, and not this.
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
            Table::Policies => {
                one_file_a_version(tx, &row, name).await?;
                filled(tx, row).await.map(Some)
            }
            _ => filled(tx, row).await.map(Some),
        }
    }

    /// Two timelines may have named one person: the id that is there stays theirs, for credentials
    /// and approvals of the other, too. Who asks and who approves are told apart by it.
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

/// A recording is shredded once: a second shred's keys die under the first one's receipt.
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

/// Recordings are pinned to a version, so it cannot be two files.
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

/// The row, with what was filled before it and is empty in it.
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
