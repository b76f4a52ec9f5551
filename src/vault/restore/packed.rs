//! Filling the rows of small artefacts from packs, once every row is entered.
//!
//! Each ciphertext is checked against the digest in its row: a row comes from a file that only this
//! vault could write, a pack from anyone who can write to the store. Refuses to stop at a pack that is
//! missing or altered: what is left of the vault is worth more, and the recordings that lack
//! something are named in the log. What is there later is entered then (`vault::packs`).

use bytes::Bytes;

use crate::{
    db::{
        Tx,
        image::{self, Image, Table},
        packs::{self, Pack},
    },
    model::id::RecordingId,
    store::{self, Store},
    vault::{error::Error, journal::INLINE, packs::with_ciphertext},
};

/// Enters the ciphertext that packs hold. Returns the living recordings that lack some.
///
/// # Errors
/// The database's; the store's, but not for a pack that is missing or too short.
pub(super) async fn fill(tx: &mut Tx, store: &Store) -> Result<Vec<RecordingId>, Error> {
    for pack in packs::all(tx).await? {
        let rows = image::unfilled(tx, pack.number).await?;
        if rows.is_empty() {
            continue;
        }
        let body = read(store, &pack).await?;
        let wanted = rows.len();
        let filled: Vec<Image> = rows
            .into_iter()
            .filter_map(|row| filled(row, &body))
            .collect();
        if filled.len() < wanted {
            tracing::warn!(
                object = %pack.object,
                missing = wanted - filled.len(),
                "a pack lacks ciphertext, or holds other bytes than were sealed"
            );
        }
        image::upsert(tx, Table::Artefacts, &filled).await?;
    }
    Ok(packs::lacking(tx).await?)
}

/// Returns as much of a pack as there is.
async fn read(store: &Store, pack: &Pack) -> Result<Bytes, Error> {
    let size = match store.size(pack.object).await {
        Err(store::Error::NotFound { .. }) => {
            store.probe().await?;
            return Ok(Bytes::new());
        }
        size => size?,
    };
    Ok(store.read(pack.object, 0..size.min(pack.size)).await?)
}

/// Returns the row with its ciphertext, if the pack has it.
fn filled(row: Image, pack: &Bytes) -> Option<Image> {
    let number = |column| u64::try_from(row.int(column)?).ok();
    let (at, len) = (number("pack_at"), number("sealed_len")?);
    let bytes = with_ciphertext(pack, at, len, row.text("sealed_sha256")?)?;
    Some(row.with_bytes(INLINE, bytes.to_vec()))
}
