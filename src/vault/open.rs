//! Opening: requires a grant, writes an audit entry first, and releases only authenticated bytes.

mod conversation;

use std::{iter::Chain, num::NonZeroUsize, ops::Range};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

pub use self::conversation::{ConversationPage, OpenedText, TextOpening};
use super::{
    Inner, Vault,
    ciphertext::Ciphertext,
    error::Error,
    window::{AudioWindow, Cut},
};
use crate::{
    db::{
        self, Unit, approvals, budgets, grants,
        recordings::{self, SealedArtefact},
    },
    evidence::NewEntry,
    keyring,
    model::{
        artefact::{Artefact, Leg},
        id::{GrantId, RecordingId},
        time::Timestamp,
        wave::Wave,
    },
    policy::{Grant, View},
    seal::{Context, Layout, Opener, SegmentLength, Spans},
    secret::{Key, SecretBuffer},
    store,
};

/// Segments read and opened at a time, after the first: 1 MiB.
const STRIDE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");
/// Concurrent reads, so that the store works while the listener is served.
const AHEAD: usize = 2;

/// An artefact that can be opened: what a player needs to know before it requests bytes.
#[derive(Clone, Debug)]
pub struct PlayableArtefact {
    sealed: SealedArtefact,
    recording: RecordingId,
    view: View,
    /// The window of the audio, if only a part is granted.
    window: Option<AudioWindow>,
}

impl PlayableArtefact {
    /// Returns the artefact.
    pub fn artefact(&self) -> Artefact {
        self.sealed.artefact
    }

    /// Returns the number of bytes that can be requested.
    pub fn len(&self) -> u64 {
        self.window
            .as_ref()
            .map_or(self.sealed.plain_len, AudioWindow::len)
    }

    /// Returns whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns its media type.
    pub fn content_type(&self) -> &str {
        &self.sealed.content_type
    }

    /// Returns a strong entity tag (RFC 9110, section 8.8.3), without quotes. It identifies the
    /// ciphertext and the granted window, so it discloses nothing of the audio.
    pub fn etag(&self) -> String {
        let object = self
            .sealed
            .sealed_sha256
            .get(..32)
            .unwrap_or(&self.sealed.sealed_sha256);
        match self.view {
            View::Window { from_s, to_s } => format!("{object}-{from_s}-{to_s}"),
            View::Audio | View::Transcript | View::RedactedTranscript => object.to_owned(),
        }
    }
}

/// A stream of authenticated plaintext.
pub type PlaybackStream = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

impl Vault {
    /// Returns what a grant allows to open of this artefact. Discloses nothing; to locate a part of
    /// the audio, the head of the file is read.
    ///
    /// # Errors
    /// [`Error::Gone`] if the grant does not include it, or it is not sealed;
    /// [`Error::NoWindow`].
    pub async fn playable(
        &self,
        grant: &Grant,
        wanted: Artefact,
    ) -> Result<PlayableArtefact, Error> {
        let recording = grant.recording();
        let view = grant.view();
        if !view.gives(wanted) {
            return Err(Error::Gone);
        }
        let sealed = recordings::artefacts(&mut self.0.db.read().await?, recording).await?;
        let sealed = sealed
            .into_iter()
            // Grants name no leg: they cover the leg of all sides only.
            .find(|sealed| sealed.leg == Leg::All && sealed.artefact == wanted)
            .ok_or(Error::Gone)?;
        let window = match view {
            View::Window { from_s, to_s } => {
                Some(self.window(recording, &sealed, from_s, to_s).await?)
            }
            View::Audio | View::Transcript | View::RedactedTranscript => None,
        };
        Ok(PlayableArtefact {
            sealed,
            recording,
            view,
            window,
        })
    }

    /// Opens a byte range, start inclusive, end exclusive, within `0..playable.len()`. When this
    /// returns, the audit entry is durable, and header and final segment are authenticated; no byte
    /// has been released yet. The entry states the range within the sealed file.
    ///
    /// The first opening of a recording on a day counts against the budget.
    ///
    /// # Errors
    /// [`Error::Gone`] after a tombstone; [`Error::GrantEnded`]; [`Error::BudgetSpent`];
    /// [`Error::Seal`] when the object is not what was sealed.
    pub async fn open(
        &self,
        grant: &Grant,
        id: GrantId,
        playable: &PlayableArtefact,
        range: Range<u64>,
    ) -> Result<PlaybackStream, Error> {
        let vault = &*self.0;
        if playable.recording != grant.recording() || playable.view != grant.view() {
            return Err(Error::Gone);
        }
        let cut = match &playable.window {
            Some(window) => window.cut(range),
            None => Cut {
                before: Bytes::new(),
                sound: range,
                after: Bytes::new(),
            },
        };
        let sealed = &playable.sealed;
        let (segment, layout) = layout(sealed)?;
        // Reading ciphertext releases nothing, so it need not wait for the audit entry.
        let released = vault.unit("open.release_key", async |mut unit| {
            self.release_key(&mut unit, grant, id, sealed, &cut.sound)
                .await
        });
        let (key, ends) = vault.key_and_ends(released, sealed, &layout).await?;
        let opener = vault.opener(&key, grant.recording(), sealed, layout, ends)?;
        let spans = spans_of(layout, segment, &cut.sound)?;
        Ok(plaintext(vault.ciphertext(sealed), opener, spans, cut))
    }

    /// Checks whether it could be opened now: its key exists, header and final segment are
    /// authentic, and the budget has room for it. Discloses nothing, so it is no opening and does
    /// not count.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn could_open(
        &self,
        grant: &Grant,
        playable: &PlayableArtefact,
    ) -> Result<(), Error> {
        let vault = &*self.0;
        vault.has_room(grant).await?;
        let sealed = &playable.sealed;
        let (_, layout) = layout(sealed)?;
        let key = self.readable_key(playable.recording, sealed.leg);
        let (key, ends) = vault.key_and_ends(key, sealed, &layout).await?;
        vault.opener(&key, playable.recording, sealed, layout, ends)?;
        Ok(())
    }

    /// Returns the key of a recording, for callers that disclose nothing.
    pub(super) async fn readable_key(
        &self,
        recording: RecordingId,
        leg: Leg,
    ) -> Result<Key, Error> {
        let vault = &*self.0;
        vault
            .with_root(async || {
                vault
                    .record_key(&mut vault.db.read().await?, recording, leg)
                    .await
            })
            .await
    }

    /// Returns the window of the audio that a grant allows. The bytes read for it are disclosed to
    /// nobody, so it is no opening.
    async fn window(
        &self,
        recording: RecordingId,
        sealed: &SealedArtefact,
        from_s: u32,
        to_s: u32,
    ) -> Result<AudioWindow, Error> {
        let vault = &*self.0;
        let (segment, layout) = layout(sealed)?;
        let key = self.readable_key(recording, sealed.leg);
        let (key, ends) = vault.key_and_ends(key, sealed, &layout).await?;
        let mut opener = vault.opener(&key, recording, sealed, layout, ends)?;
        let mut head = SecretBuffer::with_capacity(segment.plain());
        for span in layout.spans(
            0..layout.plain_len().min(segment.plain() as u64),
            NonZeroUsize::MIN,
        )? {
            let bytes = vault.ciphertext(sealed).read(span.sealed()).await?;
            opener
                .open(&span, bytes)?
                .iter()
                .for_each(|piece| head.extend_from_slice(piece));
        }
        let wave = Wave::read(&head).map_err(|_| Error::NoWindow)?;
        Ok(AudioWindow::of(&wave, from_s, to_s, sealed.plain_len))
    }

    /// Writes the entry and reads the key in one unit. Without an audit entry there is no access.
    async fn release_key(
        &self,
        unit: &mut Unit,
        grant: &Grant,
        id: GrantId,
        sealed: &SealedArtefact,
        range: &Range<u64>,
    ) -> Result<Key, Error> {
        let vault = &*self.0;
        let now = vault.clock.now();
        let key = vault
            .record_key(unit, grant.recording(), sealed.leg)
            .await?;
        vault
            .enter_opening(unit, grant, id, sealed.artefact, range, now)
            .await?;
        Ok(key)
    }
}

/// Returns the spans of a range of plaintext: one segment first, so that the first byte does not
/// wait for a megabyte.
fn spans_of(
    layout: Layout,
    segment: SegmentLength,
    range: &Range<u64>,
) -> Result<Chain<Spans, Spans>, Error> {
    let plain = segment.plain() as u64;
    let first_end = range
        .end
        .min((range.start / plain + 1).saturating_mul(plain));
    let first = layout.spans(range.start..first_end, NonZeroUsize::MIN)?;
    Ok(first.chain(layout.spans(first_end..range.end, STRIDE)?))
}

/// Reads these spans and opens them in order, between the generated bytes of the cut.
fn plaintext(
    ciphertext: Ciphertext,
    mut opener: Opener,
    spans: Chain<Spans, Spans>,
    cut: Cut,
) -> PlaybackStream {
    let reads = stream::iter(spans).map(move |span| {
        let ciphertext = ciphertext.clone();
        async move {
            ciphertext
                .read(span.sealed())
                .await
                .map(|bytes| (span, bytes))
        }
    });
    let pieces = reads.buffered(AHEAD).map(move |read| {
        let (span, bytes) = read?;
        Ok(opener.open(&span, bytes)?)
    });
    let made = |bytes: Bytes| stream::iter((!bytes.is_empty()).then(|| Ok(vec![bytes])));
    let pieces = made(cut.before).chain(pieces).chain(made(cut.after));
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
    Box::pin(slices)
}

impl Inner {
    /// Reads header and final segment while the key is looked up. A refused key ends the join
    /// immediately; the read's own error counts only if the key exists, because after a shred the
    /// object is rightly missing.
    async fn key_and_ends(
        &self,
        key: impl Future<Output = Result<Key, Error>> + Send,
        sealed: &SealedArtefact,
        layout: &Layout,
    ) -> Result<(Key, [Bytes; 2]), Error> {
        let ends = async { Ok(self.ends(sealed, layout).await) };
        let (key, ends) = tokio::try_join!(key, ends)?;
        Ok((key, self.found(ends, sealed.recording).await?))
    }

    /// Returns the result of a read; if the object is not there, determines whether only this
    /// object is missing or the whole store.
    async fn found<T>(&self, read: Result<T, Error>, recording: RecordingId) -> Result<T, Error> {
        match read {
            Err(Error::Store(store::Error::NotFound { .. })) => {
                self.store.probe().await?;
                Err(Error::CiphertextMissing(recording))
            }
            other => other,
        }
    }

    /// Every opening goes through this: checks that the grant has not ended, makes it rest on the
    /// approval that the present decision used, counts the recording against the day's budget, and
    /// writes the entry.
    ///
    /// # Errors
    /// [`Error::GrantEnded`] for a grant that has ended, or whose approval was revoked meanwhile;
    /// [`Error::BudgetSpent`].
    pub(super) async fn enter_opening(
        &self,
        unit: &mut Unit,
        grant: &Grant,
        id: GrantId,
        artefact: Artefact,
        range: &Range<u64>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let row = self.living_grant(unit, id).await?;
        if let Some(approval) = grant.approval().filter(|by| row.approval != Some(*by)) {
            match approvals::lock_approved(unit, approval).await {
                Err(db::Error::Stale(_)) => return Err(Error::GrantEnded),
                locked => locked?,
            }
            grants::rest_on(unit, id, approval).await?;
        }
        if row.opened_at.is_none() {
            grants::open(unit, id, now).await?;
        }
        // At every opening: a grant may last past midnight, and a recording that is already counted
        // costs nothing.
        let object = grant.recording().into();
        let counts = budgets::spend(
            unit,
            grant.principal(),
            grant.purpose(),
            &object,
            grant.budget(),
            now,
        );
        if !counts.await? {
            return Err(Error::BudgetSpent);
        }
        unit.audit(NewEntry::opening_started(now, grant, id, artefact, range));
        Ok(())
    }

    /// Checks that the day's budget has room for an opening under this grant.
    ///
    /// # Errors
    /// [`Error::BudgetSpent`] if it has not.
    pub(super) async fn has_room(&self, grant: &Grant) -> Result<(), Error> {
        let mut tx = self.db.read().await?;
        let object = grant.recording().into();
        let has_room = budgets::has_room(
            &mut tx,
            grant.principal(),
            grant.purpose(),
            &object,
            grant.budget(),
            self.clock.now(),
        );
        has_room.await?.then_some(()).ok_or(Error::BudgetSpent)
    }

    /// Returns header and final segment of an artefact, which an opener needs first.
    pub(super) async fn ends(
        &self,
        sealed: &SealedArtefact,
        layout: &Layout,
    ) -> Result<[Bytes; 2], Error> {
        let ends = self
            .ciphertext(sealed)
            .read_ranges(&[layout.header(), layout.final_segment()])
            .await?;
        Ok(<[Bytes; 2]>::try_from(ends).map_err(|_| crate::seal::Error::Truncated)?)
    }

    pub(super) fn opener(
        &self,
        record_key: &Key,
        recording: RecordingId,
        sealed: &SealedArtefact,
        layout: Layout,
        [header, last]: [Bytes; 2],
    ) -> Result<Opener, Error> {
        let leg = sealed.leg;
        let context = Context {
            vault: self.id,
            recording,
            leg,
            artefact: sealed.artefact,
        };
        Ok(Opener::new(
            &keyring::artefact_key(record_key, leg, sealed.artefact),
            &context,
            layout,
            &header,
            last,
        )?)
    }
}

pub(super) fn layout(sealed: &SealedArtefact) -> Result<(SegmentLength, Layout), Error> {
    let segment = SegmentLength::of_sealed(sealed.segment)?;
    Ok((segment, Layout::of(sealed.sealed_len, segment)?))
}
