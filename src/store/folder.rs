//! A folder as a store: behaviour that the common interface leaves open.
//!
//! Owns the access mode of the folder, listing, the durability of a removal, and the remains of a
//! killed process: a writer fills `name#1` and renames it, so such a file is an unfinished upload.
//! Symbolic links are not followed below the folder.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use futures_util::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::local::LocalFileSystem;

use super::{
    Found,
    error::Error,
    name::{Name, OBJECTS, RecoveryKind},
};
use crate::model::time::Timestamp;

/// The folder that contains `objects/` and similar folders.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Its device and inode when it was opened.
    identity: (u64, u64),
}

/// A regular file.
struct File {
    path: PathBuf,
    /// Its path below the root.
    below: String,
    size: u64,
    modified: Timestamp,
}

impl Folder {
    /// Creates a folder that is accessible to its owner only, unless it exists, and opens it.
    pub(super) fn make(root: &Path) -> Result<(Self, LocalFileSystem), Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|error| unusable(root, &error))?;
        Self::open(root)
    }

    /// Opens an existing folder. A missing one is never created here: its disk may not be mounted,
    /// and files written to a new folder in its place would be hidden once it is.
    pub(super) fn open(root: &Path) -> Result<(Self, LocalFileSystem), Error> {
        match fs::metadata(root) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(unusable(root, &io::ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoFolder {
                    path: root.display().to_string(),
                });
            }
            Err(error) => return Err(unusable(root, &error)),
        }
        for top in tops().map(|top| root.join(top)) {
            if fs::symlink_metadata(&top).is_ok_and(|meta| meta.is_symlink()) {
                return Err(Error::setting(
                    "url",
                    format!(
                        "`{}` is a symbolic link; name the folder it points into",
                        top.display()
                    ),
                ));
            }
        }
        let inner = LocalFileSystem::new_with_prefix(root)
            .map_err(|_| Error::setting("url", format!("cannot use folder `{}`", root.display())))?
            .with_fsync(true);
        let identity = fs::metadata(root)
            .map(|meta| (meta.dev(), meta.ino()))
            .map_err(|error| unusable(root, &error))?;
        Ok((
            Self {
                root: root.to_owned(),
                identity,
            },
            inner,
        ))
    }

    /// Checks that this is still the folder that was opened. Writers create missing folders, so an
    /// unmounted disk would otherwise pass for an empty store.
    pub(super) async fn is_there(&self) -> Result<(), Error> {
        let root = self.root.clone();
        let identity = self.identity;
        match blocking(move || fs::metadata(root)).await? {
            meta if (meta.dev(), meta.ino()) == identity => Ok(()),
            _ => Err(Error::Unavailable {
                store: "folder",
                reason: "its folder was replaced since it was opened".into(),
            }),
        }
    }

    /// Makes the removal of a file durable, given its path below the root. The common interface
    /// syncs writes, but not removals.
    pub(super) async fn sync_parent(&self, below: &str) -> Result<(), Error> {
        let file = self.root.join(below);
        blocking(
            move || match fs::File::open(file.parent().unwrap_or(&file)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                folder => folder?.sync_all(),
            },
        )
        .await
    }

    /// Returns complete files with a valid name below `top`.
    pub(super) fn named(&self, top: &'static str) -> BoxStream<'static, Result<Found, Error>> {
        let found = |file: File| {
            Name::parse(&file.below).map(|name| Found {
                name,
                size: file.size,
                modified: file.modified,
            })
        };
        self.files(top)
            .try_filter_map(move |file| std::future::ready(Ok(found(file))))
            .boxed()
    }

    /// Removes unfinished files that were last written before `older_than`.
    pub(super) async fn sweep(&self, older_than: Timestamp) -> Result<u64, Error> {
        let stale: Vec<PathBuf> = stream::iter(tops())
            .flat_map(|top| self.files(top))
            .try_filter_map(|file| {
                let stale = is_staging(&file.below) && file.modified < older_than;
                std::future::ready(Ok(stale.then_some(file.path)))
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

    /// Returns regular files in `top` and in the folders directly below it, one folder at a time.
    fn files(&self, top: &'static str) -> BoxStream<'static, Result<File, Error>> {
        let folder = self.root.join(top);
        stream::once(blocking(move || folders(folder, top)))
            .map_ok(|folders| stream::iter(folders.into_iter().map(Ok)))
            .try_flatten()
            .and_then(|(folder, below)| blocking(move || files_in(&folder, &below)))
            .map_ok(|files| stream::iter(files.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }
}

fn unusable(root: &Path, error: &io::Error) -> Error {
    Error::setting(
        "url",
        format!("cannot use folder `{}`: {}", root.display(), error.kind()),
    )
}

/// Returns the folders that contain the store's files.
fn tops() -> impl Iterator<Item = &'static str> {
    std::iter::once(OBJECTS).chain(RecoveryKind::ALL.map(RecoveryKind::folder))
}

/// Returns whether a name is `0123….floe#1`, object_store's name of a file that is being written.
fn is_staging(below: &str) -> bool {
    below.rsplit_once('#').is_some_and(|(whole, number)| {
        Name::parse(whole).is_some()
            && !number.is_empty()
            && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

/// Returns a folder and those directly in it, each with its path below the root.
fn folders(top: PathBuf, below: &str) -> io::Result<Vec<(PathBuf, String)>> {
    let within = entries(&top)?;
    let mut folders = vec![(top, below.to_owned())];
    for entry in within {
        // Excludes a link to a folder.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            folders.push((
                entry.path(),
                format!("{below}/{}", entry.file_name().to_string_lossy()),
            ));
        }
    }
    Ok(folders)
}

/// Returns the entries of a folder; none if it does not exist.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}

fn files_in(folder: &Path, below: &str) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in entries(folder)? {
        // Neither call follows a link. A file may vanish in between; then it is skipped.
        let meta = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        if let (true, Ok(name)) = (meta.is_file(), entry.file_name().into_string()) {
            files.push(File {
                path: entry.path(),
                below: format!("{below}/{name}"),
                size: meta.len(),
                modified: modified(&meta)?,
            });
        }
    }
    Ok(files)
}

fn modified(meta: &fs::Metadata) -> io::Result<Timestamp> {
    let since = meta
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(Timestamp::from_millis(0).after(since))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| Error::of_file(&error)),
        Err(_) => Err(Error::Unavailable {
            store: "folder",
            reason: "the process is shutting down".into(),
        }),
    }
}
