//! Reading a recovery file: authenticated at both ends before the first line, in bounded memory.

use std::{num::NonZeroUsize, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    Header, MAX_HEADER, Roots,
    included::{IncludedObject, MAX_SIZE},
};
use crate::{
    custody::Custody,
    keyring::{self, RootKey},
    model::id::ObjectId,
    seal::{self, Layout, Opener, RecoveryContext, SegmentLength, Spans},
    secret::SecretBuffer,
    store::{RecoveryName, Store},
    vault::error::Error,
};

/// Segments read at a time: 1 MiB.
const STRIDE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

/// A recovery file whose header was read but not authenticated.
pub(in crate::vault) struct Front {
    /// Its header.
    pub(in crate::vault) header: Header,
    /// Its name.
    pub(in crate::vault) name: RecoveryName,
    store: Store,
    line: Bytes,
    size: u64,
}

impl Front {
    /// Reads the header of the file of this name.
    ///
    /// # Errors
    /// [`Error::RecoveryFile`] if it is none; the store's.
    pub(in crate::vault) async fn read(store: &Store, name: RecoveryName) -> Result<Self, Error> {
        let size = store.recovery_size(name).await?;
        let front = store
            .read_recovery(name, 0..size.min(MAX_HEADER as u64))
            .await?;
        let (header, length) = Header::read(name, &front)?;
        Ok(Self {
            header,
            store: store.clone(),
            name,
            line: front.slice(..length),
            size,
        })
    }

    /// Opens the file with its epoch's root page key.
    ///
    /// # Errors
    /// [`Error::Seal`] if this is not the key, or the file was altered or cut.
    pub(in crate::vault) async fn open(&self, root: Arc<RootKey>) -> Result<RecoveryFile, Error> {
        let store = self.store.clone();
        let name = self.name;
        let body = self.line.len() as u64;
        let layout = Layout::of(self.size - body, SegmentLength::Media)?;
        let shifted = |range: std::ops::Range<u64>| range.start + body..range.end + body;
        let head = store.read_recovery(name, shifted(layout.header())).await?;
        let last = store
            .read_recovery(name, shifted(layout.final_segment()))
            .await?;
        let context = RecoveryContext { header: &self.line };
        let opener = Opener::new(
            &keyring::recovery_key(&root, name.id),
            &context,
            layout,
            &head,
            last,
        )?;
        let spans = layout.spans(0..layout.plain_len(), STRIDE)?;
        let buffer = SecretBuffer::with_capacity(4 * 1024 * 1024);
        Ok(RecoveryFile {
            header: self.header.clone(),
            root,
            store,
            name,
            body,
            opener,
            spans,
            buffer,
            at: 0,
            included: IncludedLines::default(),
            objects: Vec::new(),
        })
    }
}

/// A recovery file whose header, first and final segment are authentic.
pub(in crate::vault) struct RecoveryFile {
    /// Its header.
    pub(in crate::vault) header: Header,
    /// Its epoch's root page key.
    pub(in crate::vault) root: Arc<RootKey>,
    /// Its name.
    pub(in crate::vault) name: RecoveryName,
    store: Store,
    body: u64,
    opener: Opener,
    spans: Spans,
    buffer: SecretBuffer,
    at: usize,
    /// The lines of the object that the last line named, as far as they are not read.
    included: IncludedLines,
    /// The objects that lines named so far.
    pub(in crate::vault) objects: Vec<ObjectId>,
}

/// Lines of an object that a file names.
#[derive(Default)]
struct IncludedLines {
    lines: SecretBuffer,
    at: usize,
}

impl IncludedLines {
    /// Returns the place of the next line, without its line end; `None` after the last.
    ///
    /// # Errors
    /// If the object does not end with a line end.
    fn next(&mut self) -> Result<Option<Range<usize>>, Error> {
        let rest = self.lines.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let length = rest.iter().position(|byte| *byte == b'\n');
        let end = self.at + length.ok_or(seal::Error::Truncated)?;
        let start = std::mem::replace(&mut self.at, end + 1);
        Ok(Some(start..end))
    }
}

impl RecoveryFile {
    /// Opens the file of this name.
    ///
    /// # Errors
    /// [`Error::RecoveryFile`] if it is none, [`Error::Custody`] if its root is gone,
    /// [`Error::Seal`] if it was altered or cut.
    pub(in crate::vault) async fn open(
        store: &Store,
        name: RecoveryName,
        custody: &dyn Custody,
        roots: &mut Roots,
    ) -> Result<Self, Error> {
        let front = Front::read(store, name).await?;
        let root = roots.open(custody, &front.header).await?;
        front.open(root).await
    }

    /// Returns the next line, without its line end; `None` after the last. The lines of an object
    /// that a line names stand in its place.
    ///
    /// # Errors
    /// [`Error::Seal`] if the next bytes are not authentic; [`Error::SharedRows`] if those of an
    /// object are not, or it is not there; the store's.
    pub(in crate::vault) async fn line(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            if let Some(place) = self.included.next()? {
                return Ok(self.included.lines.get(place));
            }
            let Some(place) = self.own_line().await? else {
                return Ok(None);
            };
            let line = self.buffer.get(place.clone()).unwrap_or_default();
            if !IncludedObject::is_named_by(line) {
                return Ok(self.buffer.get(place));
            }
            let object = IncludedObject::parse(line).map_err(|why| Error::RecoveryFile {
                name: self.name.to_string(),
                why,
            })?;
            let mut lines = SecretBuffer::with_capacity(MAX_SIZE / 8);
            // Rare, and large: not in the future of every line.
            Box::pin(object.read(&self.store, self.header.vault, &mut lines)).await?;
            self.objects.push(object.object);
            self.included = IncludedLines { lines, at: 0 };
        }
    }

    /// Returns the place of the next line in the buffer, without its line end.
    async fn own_line(&mut self) -> Result<Option<Range<usize>>, Error> {
        let mut looked = self.at;
        let end = loop {
            let fresh = self.buffer.get(looked..).unwrap_or_default();
            if let Some(found) = fresh.iter().position(|byte| *byte == b'\n') {
                break looked + found;
            }
            looked = self.buffer.len() - self.at;
            if !self.fill().await? {
                // A file ends with a line end.
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(seal::Error::Truncated.into())
                };
            }
        };
        let start = std::mem::replace(&mut self.at, end + 1);
        Ok(Some(start..end))
    }

    /// Drops the lines that were returned and opens the next piece. Returns false at the end.
    async fn fill(&mut self) -> Result<bool, Error> {
        self.buffer.drop_front(self.at);
        self.at = 0;
        let Some(span) = self.spans.next() else {
            return Ok(false);
        };
        let sealed = span.sealed();
        let bytes = self
            .store
            .read_recovery(self.name, sealed.start + self.body..sealed.end + self.body)
            .await?;
        for slice in self.opener.open(&span, bytes)? {
            self.buffer.extend_from_slice(&slice);
        }
        Ok(true)
    }
}
