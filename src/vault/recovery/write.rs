//! Writing a recovery file: sealed while it is assembled, in bounded memory.

use bytes::{Bytes, BytesMut};

use super::{Header, MAX_HEADER};
use crate::{
    keyring::{self, RootKey},
    model::crash,
    seal::{RecoveryContext, Sealer, SegmentLength},
    secret::SecretBuffer,
    store::{RecoveryName, Store, Writer},
    vault::error::Error,
};

/// Ciphertext passed to the store at a time.
const PIECE: usize = 1024 * 1024;

/// A recovery file that is being written. If dropped without [`Self::finish`], it leaves nothing
/// that is listed.
pub(in crate::vault) struct Writing {
    writer: Writer,
    sealer: Sealer,
    out: BytesMut,
    /// Plaintext lines that are not sealed yet.
    lines: SecretBuffer,
    written: u64,
}

impl Writing {
    /// Begins a file.
    ///
    /// # Errors
    /// The library's.
    pub(in crate::vault) async fn begin(
        store: &Store,
        name: RecoveryName,
        header: &Header,
        root: &RootKey,
    ) -> Result<Self, Error> {
        let line = header.line();
        if line.len() > MAX_HEADER {
            return Err(Error::RecoveryFile {
                name: name.to_string(),
                why: "its header would be too long: the vault was restored too often",
            });
        }
        let key = keyring::recovery_key(root, name.id);
        let sealer = Sealer::new(
            &key,
            &RecoveryContext { header: &line },
            SegmentLength::Media,
        )?;
        let mut writer = store.recovery_writer(name);
        let written = line.len() as u64;
        writer.write(Bytes::from(line)).await?;
        Ok(Self {
            writer,
            sealer,
            out: BytesMut::new(),
            lines: SecretBuffer::with_capacity(PIECE + PIECE / 4),
            written,
        })
    }

    /// Adds a line, which `line` appends to the buffer without its end.
    ///
    /// # Errors
    /// The store's; the file is then lost.
    pub(in crate::vault) async fn line(
        &mut self,
        line: impl FnOnce(&mut SecretBuffer),
    ) -> Result<(), Error> {
        line(&mut self.lines);
        self.lines.push(b'\n');
        if self.lines.len() >= PIECE {
            self.seal().await
        } else {
            Ok(())
        }
    }

    /// Adds lines, each with its line end.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub(in crate::vault) async fn lines(&mut self, lines: &[u8]) -> Result<(), Error> {
        self.lines.extend_from_slice(lines);
        if self.lines.len() >= PIECE {
            self.seal().await
        } else {
            Ok(())
        }
    }

    /// Makes the file durable, and only then visible. Returns the number of bytes written.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::vault) async fn finish(mut self) -> Result<u64, Error> {
        self.seal().await?;
        let sealed = self.sealer.finish(&mut self.out)?;
        self.writer.write(self.out.split().freeze()).await?;
        self.writer.finish().await?;
        Ok(self.written + sealed.sealed_len)
    }

    /// Abandons the file and removes the uploaded parts; if that fails, the sweep removes them.
    pub(in crate::vault) async fn abort(self) {
        let _ = self.writer.abort().await;
    }

    async fn seal(&mut self) -> Result<(), Error> {
        self.sealer.push(&self.lines, &mut self.out)?;
        self.lines.clear();
        self.writer.write(self.out.split().freeze()).await?;
        crash::point("snapshot.first_bytes");
        Ok(())
    }
}
