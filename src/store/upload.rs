//! Uploads in parts, and what becomes of those that are never finished.
//!
//! S3 keeps the parts of an unfinished upload, unseen and paid for, until somebody aborts it by its
//! id. So the id is written to a small marker object as soon as it is known, and the marker goes
//! when the upload ends. A crash between the two leaves an upload without a marker: a bucket should
//! have a life-cycle rule that aborts incomplete uploads after some days.
//!
//! A marker is named after the random id of what is written. Of an object that says where the
//! upload goes; of a recovery file it does not, so its name stands on a second line.

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
};
use crate::model::{id::ObjectId, time::Timestamp};

/// A marker holds one upload id and maybe a name of some eighty bytes; the longest upload ids in
/// use are a few hundred.
const MAX_MARKER: u64 = 4096;

/// An upload that has begun.
pub(super) enum Upload {
    /// One whose id is recorded in a marker object.
    Marked {
        api: Arc<dyn MultipartStore>,
        path: Path,
        id: MultipartId,
        marker: Path,
        sent: usize,
        landed: Vec<PartId>,
    },
    /// One that the backend cleans up after by itself, or by the sweep of its folder.
    Own(Box<dyn MultipartUpload>),
}

/// A part on its way; it knows nothing of the upload any more and can run beside it.
pub(super) type Part = BoxFuture<'static, object_store::Result<Option<PartId>>>;

impl Upload {
    pub(super) async fn begin(store: &Store, name: Name) -> Result<Self, Error> {
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
        let id = s3.create_multipart(&path).await.map_err(fault)?;
        let marker = store.paths.upload(name.id());
        if let Err(error) = store
            .inner
            .put(&marker, PutPayload::from(write_marker(&id, name)))
            .await
        {
            // Without a marker nobody would find this upload again; the first fault is the one to
            // report.
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

    /// The next part, in order. Nothing is sent until it is polled.
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

    /// Notes what a part came to. Parts land in the order in which they were sent.
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
                // The object is there. A marker that stays is swept later, when its object tells
                // that the upload was finished.
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
            // An empty one was not written by us, and cannot be read as a range.
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
            // Its upload ended while we were on our way.
            Err(object_store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(backend_error(error)),
        };
        // A name that is not of this id is not our writing; a path that is not ours is never
        // touched.
        let Some((id, name)) = read_marker(marked, &String::from_utf8_lossy(&body)) else {
            continue;
        };
        let path = store.paths.of(name);
        match store.inner.head(&path).await {
            // Finished; only its marker was left.
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

fn write_marker(upload: &MultipartId, name: Name) -> String {
    match name {
        Name::Object(_) => upload.clone(),
        Name::Recovery(name) => format!("{upload}\n{name}"),
    }
}

/// The upload, and the name it is of; None if the marker of this id cannot say so.
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
        // The server has forgotten it already.
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(Error::of_backend(store.name(), error)),
    }
}
