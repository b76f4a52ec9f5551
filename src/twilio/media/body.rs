//! The sound itself: a stream that is sure of what it yields.
//!
//! Owns the stream, which ends after the first error. What it checks is in `check`: a connection
//! that breaks is not always an error to HTTP, an error document with the wrong type is not sound,
//! and an encrypted file is authentic only when its tag is.
//!
//! INVARIANT: nothing is yielded before the first 12 bytes of plaintext are known to be RIFF/WAVE;
//! after an error nothing more is yielded; a body that ends without an error is a whole RIFF/WAVE
//! file, and authentic where it was encrypted.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream::BoxStream};

use super::validator::MediaValidator;
use crate::twilio::{
    encryption::Decryptor,
    fetch_error::{FetchError, TransientFailure},
};

/// The bytes of a WAV file in order; memory is bounded by one network read.
pub struct Body {
    /// `None` once it has ended, well or badly.
    chunks: Option<BoxStream<'static, Result<Bytes, TransientFailure>>>,
    check: MediaValidator,
    /// What was read ahead by [`Body::begun`].
    ahead: Option<Bytes>,
}

impl Body {
    /// Of these chunks, which have as many bytes in all as the other side said. How many came
    /// before a break is counted here.
    pub(super) fn new(
        chunks: impl Stream<Item = Result<Bytes, TransientFailure>> + Send + 'static,
        content_length: Option<u64>,
    ) -> Self {
        Self {
            chunks: Some(chunks.boxed()),
            check: MediaValidator::new(content_length),
            ahead: None,
        }
    }

    /// The same, where HTTP says by itself where the body ends.
    #[must_use]
    pub(super) fn framed(mut self) -> Self {
        self.check.framed();
        self
    }

    /// The length in the RIFF header, where it exceeds that of a complete body; known when the body
    /// has ended.
    pub fn riff_len_excess(&self) -> Arc<OnceLock<u64>> {
        self.check.riff_len_excess()
    }

    /// Decrypts the body. Call before the first read.
    #[must_use]
    pub fn decrypted(mut self, decryptor: Decryptor) -> Self {
        self.check.decrypt(decryptor);
        self
    }

    /// Reads as much as shows whether it is sound at all.
    ///
    /// # Errors
    /// What the stream would have yielded first.
    pub async fn begun(mut self) -> Result<Self, FetchError> {
        if let Some(first) = self.next().await {
            self.ahead = Some(first?);
        }
        Ok(self)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(bytes) = this.ahead.take() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        while let Some(chunks) = &mut this.chunks {
            let checked = match ready!(chunks.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => this.check.push(chunk),
                Some(Err(TransientFailure::Broken { .. })) => Err(TransientFailure::Broken {
                    received: this.check.received(),
                }
                .into()),
                Some(Err(hiccup)) => Err(hiccup.into()),
                None => {
                    this.chunks = None;
                    return Poll::Ready(this.check.finish().transpose());
                }
            };
            match checked {
                Ok(None) => {}
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => {
                    this.chunks = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}
