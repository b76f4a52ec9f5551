//! The audio itself: a stream that yields only checked bytes.
//!
//! Owns the stream, which ends after the first error. The checks are in `validator`: a connection
//! that breaks is not always an error to HTTP, an error document with the wrong type is not audio,
//! and an encrypted file is authentic only if its tag is correct.
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
    /// `None` after the end, with or without an error.
    chunks: Option<BoxStream<'static, Result<Bytes, TransientFailure>>>,
    check: MediaValidator,
    /// The bytes read ahead by [`Body::begun`].
    ahead: Option<Bytes>,
}

impl Body {
    /// Creates a body from these chunks, whose total length is `content_length`, if stated. The
    /// bytes received before a break are counted here.
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

    /// Marks the body as one whose end HTTP itself states.
    #[must_use]
    pub(super) fn framed(mut self) -> Self {
        self.check.framed();
        self
    }

    /// The length in the RIFF header, if it exceeds that of a complete body. Known when the body
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

    /// Reads enough to check that it is RIFF/WAVE.
    ///
    /// # Errors
    /// The first error of the stream.
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
