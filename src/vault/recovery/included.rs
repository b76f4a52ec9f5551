//! Lines that stand in an object of their own, which several files name.
//!
//! ```text
//! {"include":{"object":"obj_…","size":1048612,"key":"…"}}      in the body of a file, sealed as all of it
//! ```
//! Owns that line, and how the object is sealed: one FLOE message, bound to vault and object. A
//! reader of the file gets the object's lines in place of it. Refuses to know what the lines mean,
//! and an object that names another.

use std::num::NonZeroUsize;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    model::id::{ObjectId, VaultId},
    seal::{self, Layout, Opener, RecoveryContext, Sealer, SegmentLength},
    secret::{Key, SecretBuffer},
    store::Store,
    vault::error::Error,
};

/// The most that an object may hold. A reader has all of it in memory.
pub(in crate::vault) const MAX_SIZE: usize = 16 * 1024 * 1024;

/// How the line begins.
const BEGINNING: &[u8] = br#"{"include":"#;

/// Segments opened at a time: 1 MiB.
const STRIDE: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IncludeLine<'a> {
    #[serde(borrow)]
    include: Include<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Include<'a> {
    object: ObjectId,
    size: u64,
    key: &'a str,
}

/// An object with lines.
pub(in crate::vault) struct IncludedObject {
    /// Its name in the store.
    pub(in crate::vault) object: ObjectId,
    /// Its length in bytes.
    pub(in crate::vault) size: u64,
    key: Key,
}

impl IncludedObject {
    /// Seals lines for an object of this name. Returns the ciphertext.
    ///
    /// # Errors
    /// The library's.
    pub(in crate::vault) fn seal(
        vault: VaultId,
        object: ObjectId,
        key: &Key,
        lines: &[u8],
    ) -> Result<Bytes, Error> {
        let header = header(vault, object);
        let context = RecoveryContext { header: &header };
        let mut sealer = Sealer::new(key, &context, SegmentLength::Media)?;
        let mut out = BytesMut::new();
        sealer.push(lines, &mut out)?;
        sealer.finish(&mut out)?;
        Ok(out.freeze())
    }

    pub(in crate::vault) fn new(object: ObjectId, size: u64, key: Key) -> Self {
        Self { object, size, key }
    }

    /// Appends the line that names it, without a line end.
    pub(in crate::vault) fn push_line(&self, out: &mut SecretBuffer) {
        let key = Zeroizing::new(BASE64.encode(self.key.expose()));
        let include = Include {
            object: self.object,
            size: self.size,
            key: &key,
        };
        serde_json::to_writer(out, &IncludeLine { include })
            .expect("ids, numbers and text have a JSON form, and a buffer takes all of it");
    }

    /// Returns whether a line names an object.
    pub(super) fn is_named_by(line: &[u8]) -> bool {
        line.starts_with(BEGINNING)
    }

    /// Parses a line that names an object.
    pub(super) fn parse(line: &[u8]) -> Result<Self, &'static str> {
        const FAULT: &str = "a line of it names no object with rows";
        let IncludeLine { include } = serde_json::from_slice(line).map_err(|_| FAULT)?;
        let bytes = BASE64
            .decode(include.key)
            .map(Zeroizing::new)
            .map_err(|_| FAULT)?;
        if include.size > MAX_SIZE as u64 + MAX_SIZE as u64 / 64 {
            return Err("an object that it names is too long");
        }
        Ok(Self {
            object: include.object,
            size: include.size,
            key: Key::from_slice(&bytes).ok_or(FAULT)?,
        })
    }

    /// Reads its lines, all of which are authentic.
    ///
    /// # Errors
    /// [`Error::SharedRows`] if it is not there, or was altered or cut; the store's.
    pub(super) async fn read(
        &self,
        store: &Store,
        vault: VaultId,
        into: &mut SecretBuffer,
    ) -> Result<(), Error> {
        let body = match store.size(self.object).await {
            Ok(size) if size == self.size => store.read(self.object, 0..size).await?,
            Ok(_) | Err(crate::store::Error::NotFound { .. }) => {
                return Err(Error::SharedRows(self.object));
            }
            Err(error) => return Err(error.into()),
        };
        self.open(vault, &body, into)
            .map_err(|_| Error::SharedRows(self.object))
    }

    fn open(
        &self,
        vault: VaultId,
        body: &Bytes,
        into: &mut SecretBuffer,
    ) -> Result<(), seal::Error> {
        let piece = |range: std::ops::Range<u64>| {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let piece = body.get(place(range.start)..place(range.end));
            piece
                .map(|piece| body.slice_ref(piece))
                .ok_or(seal::Error::Truncated)
        };
        let layout = Layout::of(self.size, SegmentLength::Media)?;
        let header = header(vault, self.object);
        let mut opener = Opener::new(
            &self.key,
            &RecoveryContext { header: &header },
            layout,
            &piece(layout.header())?,
            piece(layout.final_segment())?,
        )?;
        for span in layout.spans(0..layout.plain_len(), STRIDE)? {
            let sealed = piece(span.sealed())?;
            for slice in opener.open(&span, sealed)? {
                into.extend_from_slice(&slice);
            }
        }
        Ok(())
    }
}

/// What the message is bound to.
fn header(vault: VaultId, object: ObjectId) -> Vec<u8> {
    format!("recvault/rows/1 {vault} {object}\n").into_bytes()
}
