//! Sealed objects and recovery files in a folder, in memory, or in anything that speaks S3.
//!
//! Owns how they are named, written once, read in ranges and removed; it is the only maker of
//! paths. It refuses to know what is in a file or whom it belongs to: all it ever sees is
//! ciphertext under a random id, and of a recovery file where it stands in time.
//!
//! INVARIANT: what can be listed or read is whole and durable. What a crash leaves behind cannot be
//! read, and [`Store::sweep_uploads`] and [`Store::sweep_unrecorded`] remove it.

mod error;
mod folder;
mod name;
mod path;
mod permissions;
mod recovery;
mod s3;
mod settings;
mod upload;
mod writer;

use std::{fmt, ops::Range, path::Path as FilePath, sync::Arc};

use bytes::Bytes;
pub use error::Error;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
pub use name::{InvalidRecoveryName, Name, RecoveryKind, RecoveryName};
use object_store::{
    ObjectStore, ObjectStoreExt, PutPayload, local::LocalFileSystem, memory::InMemory,
};
pub use settings::StoreSettings;
pub use upload::UnrecordedSwept;
pub use writer::Writer;

use self::{folder::Folder, name::OBJECTS, path::Paths, s3::S3Bucket, settings::StoreLocation};
use crate::model::{id::ObjectId, time::Timestamp};

/// Ranges closer than this are fetched as one: cheaper than a second request, and not much more
/// than what was asked for.
const COALESCE: u64 = 64 * 1024;

/// What [`Store::probe`] writes and expects to read back.
const PROBE: &[u8] = b"recvault";

/// Where sealed objects are kept. Clones share one connection pool.
#[derive(Clone)]
pub struct Store {
    inner: Arc<dyn ObjectStore>,
    kind: Kind,
    paths: Paths,
}

/// What this store can do beyond the common interface.
#[derive(Clone)]
enum Kind {
    Folder(Folder),
    S3(S3Bucket),
    Memory,
    Adapter,
    /// A folder that was not there when the process began: nothing in it is read or written, also
    /// if it appears.
    Away(Arc<str>),
}

/// One object, as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: ObjectId,
    /// Its length in bytes.
    pub size: u64,
}

/// One whole file of ours.
struct Found {
    name: Name,
    size: u64,
    modified: Timestamp,
}

impl Store {
    /// Opens the store that `settings` name; relative paths begin at `base`. A folder must be
    /// there; an S3 bucket is not contacted yet.
    ///
    /// # Errors
    /// [`Error::NoFolder`]; [`Error::Setting`] naming the key at fault.
    pub fn open(settings: &StoreSettings, base: &FilePath) -> Result<Self, Error> {
        Self::of(settings, base, Folder::open)
    }

    /// The same for a store that is meant to be new: a folder is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the key at fault.
    pub fn make(settings: &StoreSettings, base: &FilePath) -> Result<Self, Error> {
        Self::of(settings, base, Folder::make)
    }

    fn of(
        settings: &StoreSettings,
        base: &FilePath,
        folder: fn(&FilePath) -> Result<(Folder, LocalFileSystem), Error>,
    ) -> Result<Self, Error> {
        Ok(match settings.place(base)? {
            StoreLocation::Memory => Self {
                inner: Arc::new(InMemory::new()),
                kind: Kind::Memory,
                paths: Paths::default(),
            },
            StoreLocation::Folder(root) => {
                let (folder, inner) = folder(&root)?;
                Self {
                    inner: Arc::new(inner),
                    kind: Kind::Folder(folder),
                    paths: Paths::default(),
                }
            }
            StoreLocation::S3 { bucket, prefix } => {
                let s3 = s3::client(settings, &bucket, base)?;
                Self {
                    inner: s3.objects.clone(),
                    kind: Kind::S3(s3),
                    paths: Paths::under(prefix),
                }
            }
        })
    }

    /// A store over any other: a throttled or failing one in a test. Its abandoned uploads are its
    /// own affair.
    pub fn over(inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            inner,
            kind: Kind::Adapter,
            paths: Paths::default(),
        }
    }

    /// A store whose folder is not there, for what can be done without: every operation fails with
    /// [`Error::NoFolder`].
    pub fn away(path: String) -> Self {
        Self {
            inner: Arc::new(InMemory::new()),
            kind: Kind::Away(path.into()),
            paths: Paths::default(),
        }
    }

    /// The word by which errors name this store.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Folder(_) | Kind::Away(_) => "folder",
            Kind::S3(_) => "s3",
            Kind::Memory => "memory",
            Kind::Adapter => "adapter",
        }
    }

    /// Begins an object. Ids are random, so a second writer of the same id is a mistake: an object
    /// of up to one part is refused by the backend itself if the id is taken. A longer one is
    /// refused when its upload begins; that nobody else finishes the same id in between rests on
    /// the 128 random bits.
    pub fn writer(&self, id: ObjectId) -> Writer {
        Writer::new(self.clone(), id.into())
    }

    /// Reads one range of bytes. An empty range is answered without asking the store.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::OutOfRange`] if the object ends before the range does, or a
    /// fault of the store.
    pub async fn read(&self, id: ObjectId, range: Range<u64>) -> Result<Bytes, Error> {
        self.read_one(id.into(), range).await
    }

    /// Reads several ranges, in the time of one round trip, each exactly as long as asked. All of
    /// it is held in memory, so the caller bounds it.
    ///
    /// # Errors
    /// As [`Self::read`]; one bad range fails all.
    pub async fn read_ranges(
        &self,
        id: ObjectId,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, Error> {
        self.read_all(id.into(), ranges).await
    }

    /// Length of an object in bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], or a fault of the store.
    pub async fn size(&self, id: ObjectId) -> Result<u64, Error> {
        self.size_of(id.into()).await
    }

    /// Removes an object durably; one that is not there is removed already.
    ///
    /// # Errors
    /// A fault of the store; whether the object is gone is not known then. A folder that is not the
    /// one that was opened is one, so that an unmounted disk does not pass for a removal.
    pub async fn delete(&self, id: ObjectId) -> Result<(), Error> {
        self.remove(id.into()).await
    }

    /// Every whole object that was last written before `older_than`, in no order. What is not ours
    /// is passed over.
    pub fn list(&self, older_than: Timestamp) -> BoxStream<'static, Result<Listed, Error>> {
        self.named(OBJECTS)
            .try_filter_map(move |found| {
                std::future::ready(Ok(match found.name {
                    Name::Object(id) if found.modified < older_than => Some(Listed {
                        id,
                        size: found.size,
                    }),
                    _ => None,
                }))
            })
            .boxed()
    }

    /// Removes what writers began before `older_than` and never finished, and says how many. Choose
    /// a time that no live upload is older than.
    ///
    /// # Errors
    /// A fault of the store; what could be removed until then is removed.
    pub async fn sweep_uploads(&self, older_than: Timestamp) -> Result<u64, Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.sweep(older_than).await,
            Kind::S3(s3) => upload::sweep(self, s3.objects.as_ref(), older_than).await,
            Kind::Memory | Kind::Adapter => Ok(0),
            Kind::Away(_) => self.stands().await.map(|()| 0),
        }
    }

    /// Aborts uploads of ours that the store itself says began before `older_than` and that nobody
    /// recorded: their process died between starting and recording them. Only S3 has such. Choose a
    /// time that no live upload is older than, with room for a store whose clock differs.
    ///
    /// # Errors
    /// A fault of the store; what was aborted until then stays aborted. A store that does not let
    /// its uploads be listed is no fault: the result says so.
    pub async fn sweep_unrecorded(&self, older_than: Timestamp) -> Result<UnrecordedSwept, Error> {
        match &self.kind {
            Kind::S3(s3) => upload::sweep_unrecorded(self, s3, older_than).await,
            Kind::Folder(_) | Kind::Memory | Kind::Adapter => Ok(UnrecordedSwept::default()),
            Kind::Away(_) => self.stands().await.map(|()| UnrecordedSwept::default()),
        }
    }

    /// Writes and reads back one tiny object: the store is there, and takes our credentials for
    /// both.
    ///
    /// # Errors
    /// A fault of the store.
    pub async fn probe(&self) -> Result<(), Error> {
        self.stands().await?;
        let path = self.paths.probe();
        let backend_error = |error| Error::of_backend(self.name(), error);
        self.inner
            .put(&path, PutPayload::from_static(PROBE))
            .await
            .map_err(backend_error)?;
        let back = self
            .inner
            .get_range(&path, 0..PROBE.len() as u64)
            .await
            .map_err(backend_error)?;
        if back != PROBE {
            return Err(Error::Unavailable {
                store: self.name(),
                reason: "it returned other bytes than were written".into(),
            });
        }
        Ok(())
    }

    /// Whether what is written now would be found again: a folder must still be the one that was
    /// opened.
    async fn stands(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Folder(folder) => folder.is_there().await,
            Kind::Away(path) => Err(no_folder(path)),
            Kind::S3(_) | Kind::Memory | Kind::Adapter => Ok(()),
        }
    }

    /// Every whole file of ours below `top`, in no order. What is not ours is passed over.
    fn named(&self, top: &'static str) -> BoxStream<'static, Result<Found, Error>> {
        match &self.kind {
            Kind::Folder(folder) => return folder.named(top),
            Kind::Away(path) => {
                let error = no_folder(path);
                return futures_util::stream::once(async { Err(error) }).boxed();
            }
            Kind::S3(_) | Kind::Memory | Kind::Adapter => {}
        }
        let store = self.name();
        let paths = self.paths.clone();
        self.inner
            .list(Some(&self.paths.top(top)))
            .map_err(move |error| Error::of_backend(store, error))
            .try_filter_map(move |meta| {
                let modified = Timestamp::from_millis(meta.last_modified.timestamp_millis());
                std::future::ready(Ok(paths.parse(&meta.location).map(|name| Found {
                    name,
                    size: meta.size,
                    modified,
                })))
            })
            .boxed()
    }

    async fn size_of(&self, name: Name) -> Result<u64, Error> {
        self.may_be_read()?;
        let meta = self
            .inner
            .head(&self.paths.of(name))
            .await
            .map_err(|error| Error::of_name(self.name(), name, error))?;
        Ok(meta.size)
    }

    async fn read_one(&self, name: Name, range: Range<u64>) -> Result<Bytes, Error> {
        let mut found = self.read_all(name, &[range]).await?;
        found.pop().ok_or_else(|| self.short())
    }

    /// What is away is not missing.
    fn may_be_read(&self) -> Result<(), Error> {
        match &self.kind {
            Kind::Away(path) => Err(no_folder(path)),
            _ => Ok(()),
        }
    }

    async fn read_all(&self, name: Name, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, Error> {
        self.may_be_read()?;
        let path = self.paths.of(name);
        let wanted: Vec<Range<u64>> = ranges
            .iter()
            .filter(|range| !range.is_empty())
            .cloned()
            .collect();
        let found = match self.kind {
            _ if wanted.is_empty() => Ok(Vec::new()),
            Kind::Folder(_) => self.inner.get_ranges(&path, &wanted).await,
            _ => {
                object_store::coalesce_ranges(&wanted, |range| self.exactly(&path, range), COALESCE)
                    .await
            }
        };
        match found {
            Ok(found)
                if found
                    .iter()
                    .map(|bytes| bytes.len() as u64)
                    .eq(wanted.iter().map(|range| range.end - range.start)) =>
            {
                let mut found = found.into_iter();
                Ok(ranges
                    .iter()
                    .map(|range| {
                        if range.is_empty() {
                            Bytes::new()
                        } else {
                            found.next().unwrap_or_default()
                        }
                    })
                    .collect())
            }
            Ok(_) => Err(self.short()),
            Err(error) => Err(self.why_not_read(name, &wanted, error).await),
        }
    }

    /// Removes a whole file of ours, so that it stays removed.
    async fn remove(&self, name: Name) -> Result<(), Error> {
        self.stands().await?;
        self.remove_path(&self.paths.of(name)).await?;
        let Kind::Folder(folder) = &self.kind else {
            return Ok(());
        };
        // Also if the file was gone before: whoever removed it may have been cut off here.
        folder.sync_parent(&name.below()).await?;
        // "Not found" counts only if this disk said it.
        self.stands().await
    }

    async fn remove_path(&self, path: &object_store::path::Path) -> Result<(), Error> {
        match self.inner.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::of_backend(self.name(), error)),
        }
    }

    /// A backend may answer a range that ends beyond the file with less; that must not pass for the
    /// whole.
    async fn exactly(
        &self,
        path: &object_store::path::Path,
        range: Range<u64>,
    ) -> object_store::Result<Bytes> {
        let found = self.inner.get_range(path, range.clone()).await?;
        if found.len() as u64 == range.end - range.start {
            return Ok(found);
        }
        Err(object_store::Error::Generic {
            store: self.name(),
            source: "fewer bytes than asked for".into(),
        })
    }

    fn short(&self) -> Error {
        Error::Unavailable {
            store: self.name(),
            reason: "it returned fewer bytes than requested".into(),
        }
    }

    /// Backends word "beyond the end" differently; the length of the whole settles it.
    async fn why_not_read(
        &self,
        name: Name,
        wanted: &[Range<u64>],
        error: object_store::Error,
    ) -> Error {
        let end = wanted.iter().map(|range| range.end).max().unwrap_or(0);
        match Error::of_name(self.name(), name, error) {
            Error::Unavailable { store, reason } => match self.size_of(name).await {
                Ok(size) if size < end => Error::OutOfRange {
                    store,
                    name,
                    end,
                    size,
                },
                _ => Error::Unavailable { store, reason },
            },
            other => other,
        }
    }
}

fn no_folder(path: &str) -> Error {
    let path = path.to_owned();
    Error::NoFolder { path }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.name()).finish()
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
