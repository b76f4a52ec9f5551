//! Opening: with a grant, an audit entry first, and only authenticated bytes.

use std::{num::NonZeroUsize, ops::Range};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::{Error, Vault};
use crate::{
    evidence::NewEntry,
    keyring,
    ledger::{
        Tx, audit, budgets, grants,
        recordings::{self, SealedArtefact},
    },
    model::{
        artefact::{Artefact, Leg},
        id::{GrantId, RecordingId},
    },
    policy::Grant,
    seal::{Context, Layout, Opener, SegmentLength},
    secret::Key,
};

/// Segments read and opened at a time, after the first: 1 MiB.
const STRIDE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");
/// Reads under way at once, so that the store works while the listener is served.
const AHEAD: usize = 2;

/// An artefact that can be opened: what a player needs to know before it asks for bytes.
#[derive(Clone, Debug)]
pub struct Playable {
    sealed: SealedArtefact,
    recording: RecordingId,
}

impl Playable {
    /// Plaintext bytes.
    pub fn len(&self) -> u64 {
        self.sealed.plain_len
    }

    /// Whether there is nothing to hear.
    pub fn is_empty(&self) -> bool {
        self.sealed.plain_len == 0
    }

    /// What a player should be told.
    pub fn content_type(&self) -> &str {
        &self.sealed.content_type
    }

    /// A strong entity tag (RFC 9110, section 8.8.3), without quotes: it names the ciphertext, so it tells nothing of the sound.
    pub fn etag(&self) -> &str {
        self.sealed.sealed_sha256.get(..32).unwrap_or(&self.sealed.sealed_sha256)
    }
}

/// A stream of authenticated plaintext.
pub type Listening = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

impl Vault {
    /// What there is to open under a grant. Opens nothing.
    ///
    /// # Errors
    /// [`Error::Gone`] if nothing of the recording is sealed.
    pub async fn playable(&self, grant: &Grant) -> Result<Playable, Error> {
        self.find_playable(grant, Artefact::Audio).await?.ok_or(Error::Gone)
    }

    /// As [`Self::playable`] for one kind of artefact; `None` if the recording has none of this kind.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn find_playable(&self, grant: &Grant, artefact: Artefact) -> Result<Option<Playable>, Error> {
        let mut tx = self.0.ledger.read().await?;
        let sealed = recordings::artefacts(&mut tx, grant.recording()).await?;
        let sealed = sealed.into_iter().find(|sealed| sealed.artefact == artefact);
        Ok(sealed.map(|sealed| Playable { sealed, recording: grant.recording() }))
    }

    /// Opens a byte range, start inclusive, end exclusive, within `0..playable.len()`. When this returns, the audit entry is durable, and
    /// header and final segment are authenticated; no byte has been released yet.
    ///
    /// The first opening of a grant counts against its budget.
    ///
    /// # Errors
    /// [`Error::Gone`] after a fence; [`Error::BudgetSpent`]; [`Error::Seal`] when the object is not what was sealed.
    pub async fn open(&self, grant: &Grant, id: GrantId, playable: &Playable, range: Range<u64>) -> Result<Listening, Error> {
        let vault = &*self.0;
        if playable.recording != grant.recording() {
            return Err(Error::Gone);
        }
        let (leg, sealed) = (Leg::All, &playable.sealed);
        let segment = SegmentLength::of_sealed(sealed.segment)?;
        let layout = Layout::of(sealed.sealed_len, segment)?;
        // Reading ciphertext releases nothing, so it need not wait for the audit entry.
        let ends = [layout.header(), layout.final_segment()];
        let (key, ends) = tokio::try_join!(vault.unit(|| self.release_key(grant, id, leg, sealed.artefact, range.clone())), async {
            Ok(vault.store.read_ranges(sealed.object, &ends).await?)
        },)?;
        let [header, last] = <[Bytes; 2]>::try_from(ends).map_err(|_| crate::seal::Error::Truncated)?;
        let context = Context { vault: vault.id, recording: grant.recording(), leg, artefact: sealed.artefact };
        let key = keyring::artefact_key(&key, leg, sealed.artefact);
        let mut opener = Opener::new(&key, &context, layout, &header, last)?;

        // One segment first, so that the first byte does not wait for a megabyte.
        let plain = segment.plain() as u64;
        let first_end = range.end.min((range.start / plain + 1).saturating_mul(plain));
        let spans = layout.spans(range.start..first_end, NonZeroUsize::MIN)?.chain(layout.spans(first_end..range.end, STRIDE)?);
        let (store, object) = (vault.store.clone(), sealed.object);
        let reads = stream::iter(spans).map(move |span| {
            let store = store.clone();
            async move { store.read(object, span.sealed()).await.map(|bytes| (span, bytes)) }
        });
        let pieces = reads.buffered(AHEAD).map(move |read| {
            let (span, bytes) = read?;
            Ok(opener.open(&span, bytes)?)
        });
        // A failed piece ends the stream: nothing after it is released.
        let mut failed = false;
        let pieces = pieces.take_while(move |piece: &Result<Vec<Bytes>, Error>| {
            let go_on = !failed;
            failed = piece.is_err();
            std::future::ready(go_on)
        });
        let slices = pieces.flat_map(|piece| {
            stream::iter(match piece {
                Ok(slices) => slices.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(Box::pin(slices))
    }

    /// The unit of work that writes the entry and reads the key, in one view of the ledger. No audit, no access.
    async fn release_key(&self, grant: &Grant, id: GrantId, leg: Leg, artefact: Artefact, range: Range<u64>) -> Result<Key, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let mut tx: Tx = vault.ledger.begin().await?;
        let key = vault.record_key(&mut tx, grant.recording(), leg).await?;
        let is_first = grants::open(&mut tx, id, now).await?;
        if is_first && !budgets::spend(&mut tx, grant.principal(), grant.purpose(), grant.budget(), now).await? {
            return Err(Error::BudgetSpent);
        }
        audit::append(&mut tx, NewEntry::opening_started(now, grant, id, artefact, &range)).await?;
        tx.commit().await?;
        Ok(key)
    }
}
