//! Reading back: reads sealed content from the store again, as an opening would, before anything
//! relies on it.
//!
//! Owns the criteria for "the vault has it": the length and the SHA-256 of the row, and every
//! segment authentic under the key of its own leg. INVARIANT: plaintext is overwritten where it was
//! produced; none of it leaves the vault, so this is no opening.

use std::{collections::BTreeMap, num::NonZeroUsize};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use zeroize::Zeroize as _;

use super::{Vault, digest::Digest, error::Error, open::layout};
use crate::{
    db::recordings::{self, SealedArtefact},
    model::{artefact::Leg, id::RecordingId, recording::Recording},
    secret::Key,
};

/// Segments read at a time: 4 MiB of audio.
const STRIDE: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");
/// Concurrent reads.
const AHEAD: usize = 2;

impl Vault {
    /// Reads back every sealed object of a recording, and checks its length and SHA-256 against the
    /// catalogue and every segment's authenticity.
    ///
    /// # Errors
    /// [`Error::Altered`] or [`Error::Seal`] if the store returns something else; [`Error::Gone`]
    /// if its content is not sealed, or is shredded; the store's.
    pub async fn read_back(&self, recording: &Recording) -> Result<(), Error> {
        let vault = &*self.0;
        let id = recording.id;
        let keys = vault
            .with_root(async || {
                vault
                    .keys_of_every_leg(&mut vault.db.read().await?, &[id])
                    .await
            })
            .await?;
        let keys: BTreeMap<Leg, Key> = keys.into_iter().map(|(_, leg, key)| (leg, key)).collect();
        let sealed = recordings::artefacts(&mut vault.db.read().await?, id).await?;
        let content = recording.kind().content();
        let is_there = content.latest(sealed.iter().map(|sealed| sealed.artefact));
        if is_there.is_none() {
            return Err(Error::Gone);
        }
        for sealed in &sealed {
            let key = keys.get(&sealed.leg).ok_or(Error::Gone)?;
            self.read_object_back(id, key, sealed, |_| ()).await?;
        }
        Ok(())
    }

    /// Reads back one sealed object. `take` receives the plaintext piece by piece; all of it is
    /// known to be authentic and complete only when this returns `Ok`.
    pub(super) async fn read_object_back(
        &self,
        id: RecordingId,
        key: &Key,
        sealed: &SealedArtefact,
        mut take: impl FnMut(&[u8]) + Send,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        let ciphertext = vault.ciphertext(sealed);
        if ciphertext.size().await? != sealed.sealed_len {
            return Err(Error::Altered);
        }
        let (_, layout) = layout(sealed)?;
        let [header, last] = vault.ends(sealed, &layout).await?;
        let mut opener = vault.opener(
            key,
            id,
            sealed,
            layout,
            [header.clone(), Bytes::copy_from_slice(&last)],
        )?;
        let mut digest = Digest::default();
        digest.update(header).await?;
        let reads = stream::iter(layout.spans(0..layout.plain_len(), STRIDE)?).map(move |span| {
            let ciphertext = ciphertext.clone();
            async move {
                ciphertext
                    .read(span.sealed())
                    .await
                    .map(|bytes| (span, bytes))
            }
        });
        let mut reads = reads.buffered(AHEAD);
        while let Some(read) = reads.next().await {
            let (span, bytes) = read?;
            digest.update(Bytes::copy_from_slice(&bytes)).await?;
            for piece in opener.open(&span, bytes)? {
                take(&piece);
                if let Ok(mut plain) = piece.try_into_mut() {
                    plain.zeroize();
                }
            }
        }
        digest.update(last).await?;
        if hex::encode(digest.finish().await?) == sealed.sealed_sha256 {
            Ok(())
        } else {
            Err(Error::Altered)
        }
    }
}
