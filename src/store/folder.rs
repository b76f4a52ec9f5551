//! A folder as a store: what the common interface leaves open there.
//!
//! Owns who may look into the folder, listing, and what a killed process leaves behind: a writer fills `name#1` and renames it, so such a file
//! is an upload that was not finished. Symbolic links are not followed below the folder.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::local::LocalFileSystem;

use super::{Error, Listed, path};
use crate::model::time::Timestamp;

/// The folder that holds `objects/`.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Device and inode when it was opened.
    place: (u64, u64),
}

/// A regular file in a shard.
struct Found {
    path: PathBuf,
    name: String,
    size: u64,
    modified: Timestamp,
}

impl Folder {
    /// Opens the folder, or makes one that only we may look into.
    pub(super) fn open(root: &Path) -> Result<(Self, LocalFileSystem), Error> {
        let fault = |error: &io::Error| Error::setting("url", format!("cannot use folder `{}`: {}", root.display(), error.kind()));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|error| fault(&error))?;
        let objects = root.join(path::OBJECTS);
        if fs::symlink_metadata(&objects).is_ok_and(|meta| meta.is_symlink()) {
            return Err(Error::setting("url", format!("`{}` is a symbolic link; name the folder it points into", objects.display())));
        }
        let inner = LocalFileSystem::new_with_prefix(root)
            .map_err(|_| Error::setting("url", format!("cannot use folder `{}`", root.display())))?
            .with_fsync(true);
        let place = fs::metadata(root).map(|meta| (meta.dev(), meta.ino())).map_err(|error| fault(&error))?;
        Ok((Self { root: root.to_owned(), place }, inner))
    }

    /// Whether this is still the folder that was opened. Writers make missing folders, so a disk that is not mounted any more would
    /// otherwise pass for an empty store.
    pub(super) async fn is_there(&self) -> Result<(), Error> {
        let (root, place) = (self.root.clone(), self.place);
        match blocking(move || fs::metadata(root)).await? {
            meta if (meta.dev(), meta.ino()) == place => Ok(()),
            _ => Err(Error::Unavailable { store: "folder", reason: "its folder is not the one that was opened".into() }),
        }
    }

    /// Whole objects, one shard at a time.
    pub(super) fn objects(&self, older_than: Timestamp) -> BoxStream<'static, Result<Listed, Error>> {
        self.files()
            .try_filter_map(move |(shard, found)| {
                let id = path::parse_file_name(&found.name).filter(|id| path::shard(*id) == shard && found.modified < older_than);
                std::future::ready(Ok(id.map(|id| Listed { id, size: found.size })))
            })
            .boxed()
    }

    /// Removes unfinished files that were last written before `older_than`.
    pub(super) async fn sweep(&self, older_than: Timestamp) -> Result<u64, Error> {
        let stale: Vec<PathBuf> = self
            .files()
            .try_filter_map(|(_, found)| {
                let stale = is_staging(&found.name) && found.modified < older_than;
                std::future::ready(Ok(stale.then_some(found.path)))
            })
            .try_collect()
            .await?;
        blocking(move || {
            for path in &stale {
                remove(path)?;
            }
            Ok(stale.len() as u64)
        })
        .await
    }

    /// Regular files of all shards, each with the name of its shard.
    fn files(&self) -> BoxStream<'static, Result<(String, Found), Error>> {
        let objects = self.root.join(path::OBJECTS);
        stream::once(blocking(move || entries(&objects)))
            .map_ok(|shards| stream::iter(shards.into_iter().map(Ok)))
            .try_flatten()
            .try_filter(|shard| std::future::ready(shard.file_type().is_ok_and(|kind| kind.is_dir())))
            .and_then(|shard| {
                let name = shard.file_name().to_string_lossy().into_owned();
                blocking(move || Ok((name, found_in(&shard.path())?)))
            })
            .map_ok(|(shard, found)| stream::iter(found.into_iter().map(move |found| Ok((shard.clone(), found)))))
            .try_flatten()
            .boxed()
    }
}

/// `0123….floe#1`, as object_store names a file that is being written.
fn is_staging(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(object, number)| {
        path::parse_file_name(object).is_some() && !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// What is in a folder; nothing, if it does not exist.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

fn found_in(shard: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in entries(shard)? {
        // Neither call follows a link. A file may vanish in between; then it is not there.
        let meta = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
            found.push(Found { path: entry.path(), name, size: meta.len(), modified: modified(&meta)? });
        }
    }
    Ok(found)
}

fn modified(meta: &fs::Metadata) -> io::Result<Timestamp> {
    let since = meta.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(0).after(since))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Error::of_file(&error)),
        Err(_) => Err(Error::Unavailable { store: "folder", reason: "the process is shutting down".into() }),
    }
}
