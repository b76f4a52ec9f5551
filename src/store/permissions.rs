//! A permission check: every operation of a deposit, a sweep and a shred, once, on objects of its
//! own.
//!
//! Owns the order and the names of the permissions. INVARIANT: on a store that passes, objects can
//! be stored, found and removed; a failure names the missing permission.

use futures_util::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload, path::Path};

use super::{PROBE, Store, error::Error};
use crate::model::id::ObjectId;

const CREATE: &str = "write an object only if it is not there (s3:PutObject with If-None-Match; the server must support it)";
const READ: &str = "read an object (s3:GetObject)";
const LIST: &str = "list objects (s3:ListBucket)";
const PARTS: &str = "upload in parts (s3:PutObject, s3:AbortMultipartUpload)";
const DELETE: &str = "delete an object (s3:DeleteObject)";

impl Store {
    /// Runs once every operation of a vault: writes a small object and expects a second write to be
    /// refused, reads and lists it, uploads one in parts, and deletes both. Does more than
    /// [`Self::probe`]; meant for the start of a service, not for every health check.
    ///
    /// # Errors
    /// [`Error::Lacks`] with the first missing permission.
    pub async fn check_permissions(&self) -> Result<(), Error> {
        self.stands().await?;
        let id = hex::encode(ObjectId::random(&mut rand::rng()).as_bytes());
        let folder = self.paths.rehearsal();
        let [small, parts, missing] =
            ["small", "parts", "missing"].map(|name| Path::from(format!("{folder}/{id}-{name}")));
        let done = self.try_everything(&folder, &small, &parts, &missing).await;
        let mut deleted = Ok(());
        for path in [&small, &parts] {
            let gone = self.inner.delete(path).await;
            if let Err(error) = gone
                && !matches!(error, object_store::Error::NotFound { .. })
            {
                deleted = Err(Error::of_right(self.name(), DELETE, error));
            }
        }
        done.and(deleted)
    }

    async fn try_everything(
        &self,
        folder: &Path,
        small: &Path,
        parts: &Path,
        missing: &Path,
    ) -> Result<(), Error> {
        let lacks = |right| move |error| Error::of_right(self.name(), right, error);
        let instead = |right, why: &str| {
            Err(Error::Lacks {
                store: self.name(),
                right,
                why: why.to_owned(),
            })
        };
        let create = || {
            self.inner.put_opts(
                small,
                PutPayload::from_static(PROBE),
                PutMode::Create.into(),
            )
        };
        create().await.map_err(lacks(CREATE))?;
        match create().await {
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(Error::of_right(self.name(), CREATE, error)),
            Ok(_) => return instead(CREATE, "it overwrote an existing object"),
        }
        let back = self
            .inner
            .get_range(small, 0..PROBE.len() as u64)
            .await
            .map_err(lacks(READ))?;
        if back != PROBE {
            return instead(READ, "it gave back other bytes than were written");
        }
        let listed: Vec<_> = self
            .inner
            .list(Some(folder))
            .try_collect()
            .await
            .map_err(lacks(LIST))?;
        if !listed.iter().any(|meta| meta.location == *small) {
            return instead(LIST, "a written object is not in the list");
        }
        match self.inner.head(missing).await {
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(Error::of_right(self.name(), LIST, error)),
            Ok(_) => return instead(LIST, "it reports an object that was never written"),
        }
        self.try_parts(parts, false).await.map_err(lacks(PARTS))?;
        self.try_parts(parts, true).await.map_err(lacks(PARTS))
    }

    /// Uploads in parts, and completes or aborts the upload. A failed one is aborted, too; if that
    /// fails, the sweep of unrecorded uploads aborts it a day later.
    async fn try_parts(&self, path: &Path, is_completed: bool) -> object_store::Result<()> {
        let mut upload = self.inner.put_multipart(path).await?;
        let sent = async {
            upload.put_part(PutPayload::from_static(PROBE)).await?;
            if is_completed {
                upload.complete().await?;
            }
            Ok(())
        };
        let sent = sent.await;
        if sent.is_ok() && is_completed {
            return Ok(());
        }
        let aborted = upload.abort().await;
        sent.and(aborted)
    }
}
