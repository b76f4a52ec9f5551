//! Uploads in parts, and the cleanup of unfinished ones.
//!
//! S3 keeps the parts of an unfinished upload, unseen and paid for, until it is aborted by its id.
//! So the id is written to a small marker object as soon as it is known, and the marker is removed
//! when the upload ends. A crash between the two leaves an upload without a marker; those are found
//! in the store's own list ([`UploadListing`](super::s3::uploads::UploadListing)).
//!
//! A marker is named after the random id of the object or recovery file. For an object the id
//! determines the path of the upload; for a recovery file it does not, so its name is on a second
//! line.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture};
use object_store::{
    MultipartId, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
    multipart::{MultipartStore, PartId},
    path::Path,
};

use super::{
    Kind, Store,
    error::Error,
    name::{Name, RecoveryName},
    s3::{S3Bucket, uploads::OpenUpload},
};
use crate::model::{id::ObjectId, time::Timestamp};

/// The maximum length of a marker: one upload id and possibly a name of some eighty bytes; the
/// longest upload ids in use have a few hundred.
const MAX_MARKER: u64 = 4096;

/// A running upload.
pub(super) enum Upload {
    /// An upload whose id is recorded in a marker object.
    Marked {
        api: Arc<dyn MultipartStore>,
        path: Path,
        id: MultipartId,
        marker: Path,
        sent: usize,
        landed: Vec<PartId>,
    },
    /// An upload that the backend cleans up itself, or through the sweep of its folder.
    Own(Box<dyn MultipartUpload>),
}

/// A part being sent; independent of the upload, so that both can proceed concurrently.
pub(super) type Part = BoxFuture<'static, object_store::Result<Option<PartId>>>;

impl Upload {
    pub(super) async fn begin(store: &Store, name: Name) -> Result<Self, Error> {
        store.may_be_read()?;
        let fault = |error| Error::of_write(store.name(), name, error);
        let path = store.paths.of(name);
        match store.inner.head(&path).await {
            Ok(_) => {
                return Err(Error::AlreadyExists {
                    store: store.name(),
                    name,
                });
            }
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(fault(error)),
        }
        let Kind::S3(s3) = &store.kind else {
            return Ok(Self::Own(
                store.inner.put_multipart(&path).await.map_err(fault)?,
            ));
        };
        let s3 = &s3.objects;
        let id = s3.create_multipart(&path).await.map_err(fault)?;
        let marker = store.paths.upload(name.id());
        if let Err(error) = store
            .inner
            .put(&marker, PutPayload::from(write_marker(&id, name)))
            .await
        {
            // Without a marker no sweep would find this upload; the first error is reported.
            let _aborted = s3.abort_multipart(&path, &id).await;
            return Err(fault(error));
        }
        Ok(Self::Marked {
            api: s3.clone(),
            path,
            id,
            marker,
            sent: 0,
            landed: Vec::new(),
        })
    }

    /// Returns the next part, in order. Nothing is sent until it is polled.
    pub(super) fn part(&mut self, payload: PutPayload) -> Part {
        match self {
            Self::Marked {
                api,
                path,
                id,
                sent,
                ..
            } => {
                let api = api.clone();
                let path = path.clone();
                let id = id.clone();
                let index = *sent;
                *sent += 1;
                async move { api.put_part(&path, &id, index, payload).await.map(Some) }.boxed()
            }
            Self::Own(upload) => upload
                .put_part(payload)
                .map(|done| done.map(|()| None))
                .boxed(),
        }
    }

    /// Records the result of a part. Parts complete in the order in which they were sent.
    pub(super) fn landed(&mut self, part: Option<PartId>) {
        if let (Self::Marked { landed, .. }, Some(part)) = (self, part) {
            landed.push(part);
        }
    }

    pub(super) async fn complete(&mut self, store: &Store) -> object_store::Result<()> {
        match self {
            Self::Marked {
                api,
                path,
                id,
                marker,
                landed,
                ..
            } => {
                api.complete_multipart(path, id, std::mem::take(landed))
                    .await?;
                // The object exists. A remaining marker is swept later, because the object shows
                // that the upload was completed.
                let _removed = store.remove_path(marker).await;
            }
            Self::Own(upload) => drop(upload.complete().await?),
        }
        Ok(())
    }

    pub(super) async fn abort(self, store: &Store) -> Result<(), Error> {
        match self {
            Self::Marked {
                api,
                path,
                id,
                marker,
                ..
            } => {
                abort_marked(store, api.as_ref(), &path, &id).await?;
                store.remove_path(&marker).await
            }
            Self::Own(mut upload) => upload
                .abort()
                .await
                .map_err(|error| Error::of_backend(store.name(), error)),
        }
    }
}

/// Aborts every upload whose marker is older than `older_than`.
pub(super) async fn sweep(
    store: &Store,
    api: &dyn MultipartStore,
    older_than: Timestamp,
) -> Result<u64, Error> {
    let backend_error = |error| Error::of_backend(store.name(), error);
    let markers: Vec<(Path, ObjectId, u64)> = store
        .inner
        .list(Some(&store.paths.uploads()))
        .try_filter_map(|meta| {
            // An empty marker is not ours, and cannot be read as a range.
            let wanted =
                meta.size > 0 && meta.last_modified.timestamp_millis() < older_than.as_millis();
            let id = store.paths.parse_upload(&meta.location).filter(|_| wanted);
            std::future::ready(Ok(id.map(|id| (meta.location, id, meta.size))))
        })
        .boxed()
        .try_collect()
        .await
        .map_err(backend_error)?;
    let mut swept = 0;
    for (marker, marked, size) in markers {
        let body = match store
            .inner
            .get_range(&marker, 0..size.min(MAX_MARKER))
            .await
        {
            Ok(body) => body,
            // Its upload ended meanwhile.
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(backend_error(error)),
        };
        // A name that does not have this id is not ours; a foreign path is never touched.
        let Some((id, name)) = read_marker(marked, &String::from_utf8_lossy(&body)) else {
            continue;
        };
        let path = store.paths.of(name);
        match store.inner.head(&path).await {
            // Completed; only its marker remained.
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => {
                abort_marked(store, api, &path, &id).await?;
                swept += 1;
            }
            Err(error) => return Err(backend_error(error)),
        }
        store.remove_path(&marker).await?;
    }
    Ok(swept)
}

/// The result of a sweep of unrecorded uploads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnrecordedSwept {
    /// Uploads that were aborted.
    pub aborted: u64,
    /// Whether the store does not let its uploads be listed, so that none could be found.
    pub refused: bool,
}

/// Aborts every upload of ours that began before `older_than` by the store's clock and is in no
/// marker.
pub(super) async fn sweep_unrecorded(
    store: &Store,
    s3: &S3Bucket,
    older_than: Timestamp,
) -> Result<UnrecordedSwept, Error> {
    let prefix = store.paths.beginning();
    let Some(open) = s3.uploads.list(store.name(), &prefix).await? else {
        return Ok(UnrecordedSwept {
            aborted: 0,
            refused: true,
        });
    };
    let mut swept = UnrecordedSwept::default();
    for upload in open {
        let Ok(path) = Path::parse(&upload.key) else {
            continue;
        };
        let name = store.paths.parse(&path);
        let is_ours = name.is_some() || path.prefix_matches(&store.paths.rehearsal());
        // A path that is not ours is never touched.
        if !is_ours || upload.initiated >= older_than {
            continue;
        }
        if let Some(name) = name
            && is_recorded(store, name, &upload).await?
        {
            continue;
        }
        abort_marked(store, s3.objects.as_ref(), &path, &upload.id).await?;
        swept.aborted += 1;
    }
    Ok(swept)
}

/// Whether a marker has this upload: its process lives, or the sweep of markers aborts it when its
/// time comes.
async fn is_recorded(store: &Store, name: Name, upload: &OpenUpload) -> Result<bool, Error> {
    let marker = store.paths.upload(name.id());
    match store.inner.get_range(&marker, 0..MAX_MARKER).await {
        Ok(body) => Ok(read_marker(name.id(), &String::from_utf8_lossy(&body))
            .is_some_and(|(id, marked)| id == upload.id && marked == name)),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        // An empty marker has no such range. What cannot be read is left alone.
        Err(_) => Ok(true),
    }
}

fn write_marker(upload: &MultipartId, name: Name) -> String {
    match name {
        Name::Object(_) => upload.clone(),
        Name::Recovery(name) => format!("{upload}\n{name}"),
    }
}

/// Parses the upload id and its name; `None` if the marker of this id is invalid.
fn read_marker(id: ObjectId, body: &str) -> Option<(MultipartId, Name)> {
    let (upload, name) = match body.split_once('\n') {
        Some((upload, name)) => (upload, Name::Recovery(name.parse::<RecoveryName>().ok()?)),
        None => (body, Name::Object(id)),
    };
    (name.id() == id).then(|| (upload.to_owned(), name))
}

async fn abort_marked(
    store: &Store,
    api: &dyn MultipartStore,
    path: &Path,
    id: &MultipartId,
) -> Result<(), Error> {
    match api.abort_multipart(path, id).await {
        // The server no longer has the upload.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(Error::of_backend(store.name(), error)),
    }
}
