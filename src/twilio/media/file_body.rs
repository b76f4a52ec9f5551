//! The bytes of a file: a stream that yields only what was checked.
//!
//! Owns the length, the decryption and the structure of a file. The file of a message may hold
//! anything; that of Video has a container.
//!
//! INVARIANT: a body that ends without an error has as many bytes as the server stated, and the
//! structure of the expected container. Nothing is yielded before the beginning of the plaintext is
//! that of the container. After an error nothing more is yielded. What was decrypted is not
//! authentic (`encryption`).

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream::BoxStream};

use crate::twilio::{
    container::{ContainerCheck, ContainerFault, FileContainer},
    encryption::FileDecryptor,
    fetch_error::{FetchError, FetchRefusal, TransientFailure},
};

/// The bytes of a file in order; memory is bounded by one network read.
pub struct FileBody {
    /// `None` after the end, with or without an error.
    chunks: Option<BoxStream<'static, Result<Bytes, TransientFailure>>>,
    expected: Option<u64>,
    received: u64,
    decryptor: Option<FileDecryptor>,
    container: FileContainer,
    check: ContainerCheck,
    /// The first bytes of the plaintext; `None` once the container is certain.
    head: Option<BytesMut>,
}

const ALTERED: FetchError = FetchError::Refused {
    cause: FetchRefusal::EnvelopeContent("its padding or its length is wrong"),
};

impl FileBody {
    /// Creates a body from these chunks, whose total length is `expected`, if stated.
    pub(super) fn new(
        chunks: impl Stream<Item = Result<Bytes, TransientFailure>> + Send + 'static,
        expected: Option<u64>,
    ) -> Self {
        Self {
            chunks: Some(chunks.boxed()),
            expected,
            received: 0,
            decryptor: None,
            container: FileContainer::Any,
            check: ContainerCheck::of(FileContainer::Any),
            head: None,
        }
    }

    /// Requires the structure of a container. Call before the first read.
    #[must_use]
    pub(super) fn within(mut self, container: FileContainer) -> Self {
        self.container = container;
        self.check = ContainerCheck::of(container);
        self.head = (container != FileContainer::Any).then(BytesMut::new);
        self
    }

    /// Decrypts the body. Call before the first read.
    #[must_use]
    pub fn decrypted(mut self, decryptor: FileDecryptor) -> Self {
        self.decryptor = Some(decryptor.expecting(self.container));
        self
    }

    /// Takes a piece; returns the bytes that may be passed on.
    fn push(&mut self, chunk: Bytes) -> Result<Bytes, FetchError> {
        self.received += chunk.len() as u64;
        if let Some(expected) = self.expected.filter(|&expected| self.received > expected) {
            return Err(self.wrong_length(expected));
        }
        let plain = match &mut self.decryptor {
            Some(decryptor) => decryptor.push(&chunk).map_err(|_| ALTERED)?,
            None => chunk,
        };
        self.inspect(plain)
    }

    /// Checks the end; returns the last bytes.
    fn finish(&mut self) -> Result<Bytes, FetchError> {
        if let Some(expected) = self.expected.filter(|&expected| self.received != expected) {
            return Err(self.wrong_length(expected));
        }
        let last = match self.decryptor.take() {
            Some(decryptor) => decryptor.finish().map_err(|_| ALTERED)?,
            None => Bytes::new(),
        };
        let last = self.inspect(last)?;
        self.check.finish().map_err(|fault| self.broken(fault))?;
        Ok(last)
    }

    /// Holds the first bytes back until the container is certain.
    fn inspect(&mut self, plain: Bytes) -> Result<Bytes, FetchError> {
        let checked = self.check.push(&plain);
        checked.map_err(|fault| self.broken(fault))?;
        let Some(head) = &mut self.head else {
            return Ok(plain);
        };
        head.extend_from_slice(&plain);
        if self.check.has_begun() {
            Ok(self.head.take().unwrap_or_default().freeze())
        } else {
            Ok(Bytes::new())
        }
    }

    fn broken(&self, fault: ContainerFault) -> FetchError {
        let container = self.container.name();
        match fault {
            ContainerFault::Other => FetchRefusal::Container {
                expected: container,
            }
            .into(),
            ContainerFault::Malformed => FetchRefusal::Damaged { container }.into(),
            ContainerFault::Cut => TransientFailure::Cut { container }.into(),
        }
    }

    fn wrong_length(&self, expected: u64) -> FetchError {
        TransientFailure::Length {
            received: self.received,
            expected,
        }
        .into()
    }
}

impl Stream for FileBody {
    type Item = Result<Bytes, FetchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Some(chunks) = &mut this.chunks {
            let checked = match ready!(chunks.poll_next_unpin(cx)) {
                Some(Ok(chunk)) => this.push(chunk),
                Some(Err(TransientFailure::Broken { .. })) => Err(TransientFailure::Broken {
                    received: this.received,
                }
                .into()),
                Some(Err(failure)) => Err(failure.into()),
                None => {
                    this.chunks = None;
                    this.finish()
                }
            };
            match checked {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Err(error) => {
                    this.chunks = None;
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl fmt::Debug for FileBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileBody(…)")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt as _, stream};
    use proptest::prelude::*;

    use super::*;

    async fn read(
        chunks: &[&[u8]],
        expected: Option<u64>,
        container: FileContainer,
    ) -> Result<Vec<u8>, FetchError> {
        let owned = chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk)));
        let chunks = stream::iter(owned.collect::<Vec<_>>());
        let body = FileBody::new(chunks, expected).within(container);
        let pieces: Vec<Bytes> = body.try_collect().await?;
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_file_has_the_length_that_was_stated() {
        let any = FileContainer::Any;
        for expected in [Some(5), None] {
            let chunks: [&[u8]; 3] = [b"ab", b"", b"cde"];
            assert_eq!(read(&chunks, expected, any).await.unwrap(), b"abcde");
        }
        for expected in [0, 4, 6] {
            let told = read(&[b"ab", b"cde"], Some(expected), any).await;
            assert!(told.is_err(), "{expected}");
        }
        assert!(read(&[], Some(1), any).await.is_err());
        assert_eq!(read(&[], Some(0), any).await.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_file_of_video_is_what_its_container_says() {
        let matroska: &[u8] = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x84\xec\x82ab";
        let mp4: &[u8] = b"\0\0\0\x0cftypisom\0\0\0\x08moov";
        for (file, container, fits) in [
            (matroska, FileContainer::Matroska, true),
            (mp4, FileContainer::Mp4, true),
            (mp4, FileContainer::Matroska, false),
            (matroska, FileContainer::Mp4, false),
            (&matroska[..12], FileContainer::Matroska, false),
            (&mp4[..12], FileContainer::Mp4, false),
            (b"{\"error\":1}", FileContainer::Matroska, false),
            (b"\x1a\x45", FileContainer::Matroska, false),
            (b"", FileContainer::Mp4, false),
        ] {
            for at in [1, 3, 100] {
                let chunks: Vec<&[u8]> = file.chunks(at).collect();
                let told = read(&chunks, None, container).await;
                assert_eq!(told.is_ok(), fits, "{file:?} {at}");
                assert!(told.is_err() || told.unwrap() == file);
            }
        }
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6), expected in proptest::option::of(0_u64..60)) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let told = futures_util::FutureExt::now_or_never(read(&chunks, expected, FileContainer::Any));
            if let Some(Ok(all)) = told {
                prop_assert_eq!(all, chunks.concat());
            }
        }
    }
}
