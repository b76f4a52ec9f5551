//! The SHA-256 of an object, computed while it is sealed and stored.
//!
//! Owns the order of the parts. SHA-256 takes longer than sealing and storing together, so it has a
//! thread of its own. INVARIANT: at most one part is being digested, so at most one is held in
//! memory for it.

use aws_lc_rs::digest::{self, SHA256};
use bytes::Bytes;
use tokio::task::JoinHandle;

use super::error::Error;
use crate::seal;

/// The digest of the parts so far. If dropped, its thread ends after the current part.
#[derive(Default)]
pub(super) struct Digest(Option<JoinHandle<digest::Context>>);

impl Digest {
    /// Waits for the previous part and starts this one.
    ///
    /// # Errors
    /// [`seal::Error::Library`] when the process is ending.
    pub(super) async fn update(&mut self, part: Bytes) -> Result<(), Error> {
        let mut context = self.so_far().await?;
        self.0 = Some(tokio::task::spawn_blocking(move || {
            context.update(&part);
            context
        }));
        Ok(())
    }

    /// Waits for the last part.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub(super) async fn finish(mut self) -> Result<[u8; 32], Error> {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.so_far().await?.finish().as_ref());
        Ok(sha256)
    }

    async fn so_far(&mut self) -> Result<digest::Context, Error> {
        match self.0.take() {
            None => Ok(digest::Context::new(&SHA256)),
            Some(running) => Ok(running.await.map_err(|_| seal::Error::Library)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_count_in_the_order_in_which_they_came() {
        let object: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for part in [1_000, 65_536, 99_999, 100_000, 100_001] {
            let mut digest = Digest::default();
            for part in object.chunks(part) {
                digest.update(Bytes::copy_from_slice(part)).await.unwrap();
            }
            assert_eq!(
                digest.finish().await.unwrap()[..],
                *digest::digest(&SHA256, &object).as_ref(),
                "parts of {part}"
            );
        }
    }

    #[tokio::test]
    async fn nothing_has_a_digest_too() {
        assert_eq!(
            Digest::default().finish().await.unwrap()[..],
            *digest::digest(&SHA256, b"").as_ref()
        );
    }
}
