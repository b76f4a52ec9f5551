//! A tar writer: files of known length, one after another, as a stream that is never far ahead of
//! its reader.
//!
//! Owns headers and padding (POSIX ustar, IEEE Std 1003.1). Refuses to hold a file: pieces are
//! passed through.

use std::{future::Future, pin::Pin, sync::Arc, task::Poll};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tar::{EntryType, Header};
use tokio::sync::mpsc;

use crate::{
    flow::{
        guard::{Guarded, StreamGuard},
        streams::{Ended, Registered},
    },
    model::time::{Clock, Timestamp},
};

/// The block size of the archive.
const BLOCK: usize = 512;

/// The writer of an archive.
pub(super) struct TarSink {
    pieces: mpsc::Sender<Bytes>,
    at: Timestamp,
    guard: StreamGuard,
    sent: u64,
}

/// Returns a stream of the output of `write`; writing proceeds only while the stream is read.
/// Dropping the stream stops the writing.
pub(super) fn stream<W, F>(
    at: Timestamp,
    write: W,
) -> Guarded<impl Stream<Item = Result<Bytes, Ended>> + Send>
where
    W: FnOnce(TarSink) -> F,
    F: Future<Output = Result<(), Ended>> + Send + 'static,
{
    let (sender, mut pieces) = mpsc::channel(1);
    let guard = StreamGuard::of_nothing();
    let mut writing: Option<Pin<Box<F>>> = Some(Box::pin(write(TarSink {
        pieces: sender,
        at,
        guard: guard.clone(),
        sent: 0,
    })));
    let mut broken = None;
    let pieces = stream::poll_fn(move |context| {
        if let Some(future) = &mut writing
            && let Poll::Ready(written) = future.as_mut().poll(context)
        {
            writing = None;
            broken = written.err();
        }
        // Pieces that were written before the error come first.
        match pieces.poll_recv(context) {
            Poll::Ready(None) => Poll::Ready(broken.take().map(Err)),
            Poll::Ready(Some(piece)) => Poll::Ready(Some(Ok(piece))),
            Poll::Pending => Poll::Pending,
        }
    });
    Guarded::new(pieces, guard)
}

impl TarSink {
    /// Guards the following bytes by this recording's stream. Nothing more is sent once that stream
    /// has ended, or the stream of an earlier recording whose bytes may still be in transit.
    pub(super) fn under(&self, registered: Arc<Registered>, clock: Clock, ends: Timestamp) {
        self.guard.enter(registered, clock, ends, self.sent);
    }

    /// Begins a file; exactly `len` bytes must follow, then [`File::end`].
    pub(super) async fn file(&mut self, path: &str, len: u64) -> Result<File<'_>, Ended> {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header
            .set_path(path)
            .map_err(|_| broken("a path is too long for an archive"))?;
        header.set_size(len);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.at.as_millis() / 1000).unwrap_or(0));
        header.set_cksum();
        self.send(Bytes::copy_from_slice(header.as_bytes())).await?;
        Ok(File {
            out: self,
            len,
            left: len,
        })
    }

    /// Writes a whole file.
    pub(super) async fn whole(&mut self, path: &str, content: Vec<u8>) -> Result<(), Ended> {
        let mut file = self.file(path, content.len() as u64).await?;
        file.write(content.into()).await?;
        file.end().await
    }

    /// Ends the archive with two blocks of zeros.
    pub(super) async fn end(mut self) -> Result<(), Ended> {
        self.send(Bytes::from_static(&[0; 2 * BLOCK])).await
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), Ended> {
        if let Some(ended) = self.guard.has_ended() {
            return Err(ended);
        }
        self.sent += piece.len() as u64;
        // The reader is gone.
        self.pieces.send(piece).await.map_err(|_| Ended::Broken)
    }
}

/// A file being written.
#[must_use = "a file that is not ended is not padded"]
pub(super) struct File<'a> {
    out: &'a mut TarSink,
    len: u64,
    left: u64,
}

impl File<'_> {
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), Ended> {
        self.left = self
            .left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| broken("a file is longer than announced"))?;
        if piece.is_empty() {
            Ok(())
        } else {
            self.out.send(piece).await
        }
    }

    pub(super) async fn end(self) -> Result<(), Ended> {
        if self.left != 0 {
            return Err(broken("a file is shorter than announced"));
        }
        let over = usize::try_from(self.len % BLOCK as u64).unwrap_or(0);
        match over {
            0 => Ok(()),
            over => {
                self.out
                    .send(Bytes::from_static(&[0; BLOCK]).slice(over..))
                    .await
            }
        }
    }
}

fn broken(why: &'static str) -> Ended {
    tracing::error!(why, "an archive was not completed");
    Ended::Broken
}
