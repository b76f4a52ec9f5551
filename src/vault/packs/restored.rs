//! What a restore did not find in a pack: it may have been missing only for a while.
//!
//! Owns the check of ciphertext against the digest in its row: anyone who can write to the store can
//! alter a pack. Refuses to know why a pack was missing.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;

use crate::{
    db::{
        packs::{self, Pack},
        recordings::SealedArtefact,
    },
    store,
    vault::{Inner, error::Error},
};

impl Inner {
    /// Enters ciphertext that living recordings lack, if the packs that should have it are there.
    ///
    /// # Errors
    /// The store's or the database's.
    pub(super) async fn refill(&self) -> Result<(), Error> {
        let lacked = packs::lacked(&mut self.db.read().await?).await?;
        for pack in lacked {
            self.refill_from(&pack).await?;
        }
        Ok(())
    }

    async fn refill_from(&self, pack: &Pack) -> Result<(), Error> {
        let size = match self.store.size(pack.object).await {
            Err(store::Error::NotFound { .. }) => return Ok(()),
            size => size?,
        };
        let body = self.store.read(pack.object, 0..size.min(pack.size)).await?;
        let lacking = packs::lacking_of(&mut self.db.read().await?, pack.number).await?;
        let found: Vec<SealedArtefact> = lacking
            .into_iter()
            .filter_map(|row| {
                let inline =
                    with_ciphertext(&body, row.pack_at, row.sealed_len, &row.sealed_sha256)?;
                Some(SealedArtefact { inline, ..row })
            })
            .collect();
        if found.is_empty() {
            return Ok(());
        }
        let filled = self.db.unit("packs.refill", async |mut unit| {
            unit.without_entry("the database has what the store has");
            packs::refill(&mut unit, pack.number, &found).await
        });
        let filled = filled.await?;
        tracing::info!(
            object = %pack.object, filled,
            "a pack that was missing or altered is there again: its ciphertext is entered"
        );
        Ok(())
    }
}

/// Returns the ciphertext at this place of a pack, if it is what was sealed.
pub(in crate::vault) fn with_ciphertext(
    pack: &Bytes,
    at: Option<u64>,
    len: u64,
    sha256: &str,
) -> Option<Bytes> {
    let at = usize::try_from(at?).ok()?;
    let end = at.checked_add(usize::try_from(len).ok()?)?;
    if end > pack.len() {
        return None;
    }
    let bytes = pack.slice(at..end);
    (hex::encode(digest(&SHA256, &bytes)) == sha256).then_some(bytes)
}
