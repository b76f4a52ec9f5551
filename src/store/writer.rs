//! Writing one object, or one recovery file.
//!
//! Owns cutting into parts of equal length and the memory limit: one part is sent while the next
//! one fills, never more. Parts are lists of the caller's own buffers; nothing is copied. A short
//! object is one create-only put.
//!
//! INVARIANT: an object is finished only if the store accepted every byte. After a failed or
//! cancelled [`Writer::write`] it cannot be finished. A step that fails removes what was sent, so
//! callers need not.

use bytes::Bytes;
use object_store::{ObjectStore, PutMode, PutPayload, multipart::PartId};
use tokio::task::JoinSet;

use super::{Store, error::Error, name::Name, upload::Upload};

/// Bytes of every part but the last.
const PART: usize = 8 * 1024 * 1024;

/// The limit of S3 for one upload; with 8 MiB each that is 78 GiB.
const MAX_PARTS: usize = 10_000;

/// An object or recovery file that is being written. Dropped without [`Self::finish`], it leaves
/// nothing that can be read or listed, and at most what [`Store::sweep_uploads`] removes.
pub struct Writer {
    store: Store,
    name: Name,
    /// The part being filled: the caller's buffers, in order.
    held: Vec<Bytes>,
    held_len: usize,
    /// `None` while the object may still be a short one.
    upload: Option<Upload>,
    parts: usize,
    /// At most one part being sent. It is a task of its own, so that it proceeds while the caller
    /// produces the next part; dropping the set aborts it.
    in_flight: JoinSet<object_store::Result<Option<PartId>>>,
    /// Set while a write is running; it stays set if the write does not complete.
    broken: bool,
}

impl Writer {
    pub(super) fn new(store: Store, name: Name) -> Self {
        Self {
            store,
            name,
            held: Vec::new(),
            held_len: 0,
            upload: None,
            parts: 0,
            in_flight: JoinSet::new(),
            broken: false,
        }
    }

    /// Takes the next bytes, of any length. Returns as soon as they are accepted: a full part is
    /// sent in the background, after waiting for the previous one only.
    ///
    /// # Errors
    /// A fault of the store, possibly of an earlier part; the object is then lost, and the parts
    /// sent so far are removed. [`Store::sweep_uploads`] removes whatever remains.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(self.lost());
        }
        let taken = self.take(bytes).await;
        match &taken {
            Ok(()) => self.broken = false,
            Err(_) => drop(self.remove_sent().await),
        }
        taken
    }

    async fn take(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        while self.held_len + bytes.len() >= PART {
            let head = bytes.split_to(PART - self.held_len);
            self.hold(head);
            self.send().await?;
        }
        self.hold(bytes);
        Ok(())
    }

    /// Makes the object durable, and only then visible.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if the name is taken, or a fault of the store; the object then does
    /// not exist, except that after [`Error::Unavailable`] the store may have completed the request
    /// without a response.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.broken {
            return Err(self.lost());
        }
        let finished = self.complete().await;
        if finished.is_err() {
            let _ = self.remove_sent().await;
        }
        finished?;
        // A disk that was unmounted meanwhile would leave the object in another place.
        self.store.stands().await
    }

    async fn complete(&mut self) -> Result<(), Error> {
        self.store.stands().await?;
        if self.upload.is_none() {
            let payload = PutPayload::from_iter(std::mem::take(&mut self.held));
            let put = self
                .store
                .inner
                .put_opts(
                    &self.store.paths.of(self.name),
                    payload,
                    PutMode::Create.into(),
                )
                .await;
            return put
                .map(drop)
                .map_err(|error| Error::of_write(self.store.name(), self.name, error));
        }
        if self.held_len > 0 {
            self.send().await?;
        }
        self.join_part().await?;
        match &mut self.upload {
            Some(upload) => upload
                .complete(&self.store)
                .await
                .map_err(|error| Error::of_write(self.store.name(), self.name, error)),
            None => Err(self.lost()),
        }
    }

    /// Abandons the object and removes the parts that were sent.
    ///
    /// # Errors
    /// A fault of the store; the sweep then removes the rest.
    pub async fn abort(mut self) -> Result<(), Error> {
        self.remove_sent().await
    }

    async fn remove_sent(&mut self) -> Result<(), Error> {
        self.in_flight.shutdown().await;
        match self.upload.take() {
            Some(upload) => upload.abort(&self.store).await,
            None => Ok(()),
        }
    }

    fn hold(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.held_len += bytes.len();
            self.held.push(bytes);
        }
    }

    /// Sends the filled part as the next one, once the previous one is complete.
    async fn send(&mut self) -> Result<(), Error> {
        if self.parts == MAX_PARTS {
            return Err(Error::TooLong {
                store: self.store.name(),
                name: self.name,
                max_parts: MAX_PARTS,
            });
        }
        self.join_part().await?;
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => self
                .upload
                .insert(Upload::begin(&self.store, self.name).await?),
        };
        self.in_flight
            .spawn(upload.part(PutPayload::from_iter(std::mem::take(&mut self.held))));
        self.held_len = 0;
        self.parts += 1;
        Ok(())
    }

    /// Waits for the part being sent.
    async fn join_part(&mut self) -> Result<(), Error> {
        while let Some(done) = self.in_flight.join_next().await {
            let part = done
                .map_err(|_| self.lost())?
                .map_err(|error| Error::of_write(self.store.name(), self.name, error))?;
            if let Some(upload) = &mut self.upload {
                upload.landed(part);
            }
        }
        Ok(())
    }

    fn lost(&self) -> Error {
        Error::Unavailable {
            store: self.store.name(),
            reason: "an earlier part of this object was lost".into(),
        }
    }
}
