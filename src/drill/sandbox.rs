//! The folder that a drill works in: accessible to its owner only, and removed at the end unless
//! the caller named it.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{model::id::ObjectId, vault::Error};

/// A folder for a drill's files: ciphertext and sealed pages.
#[derive(Debug)]
pub struct Sandbox {
    path: PathBuf,
    rooms: AtomicU32,
    is_kept: bool,
}

impl Sandbox {
    /// Takes the named folder, which must not exist or must be empty, or creates one in the
    /// system's temporary folder.
    ///
    /// # Errors
    /// [`Error::Sandbox`].
    pub fn make(named: Option<&Path>) -> Result<Self, Error> {
        let is_kept = named.is_some();
        let path = named.map_or_else(
            || {
                std::env::temp_dir().join(format!(
                    "recvault-drill-{}",
                    hex::encode(ObjectId::random(&mut rand::rng()).as_bytes())
                ))
            },
            Path::to_owned,
        );
        make(&path)?;
        // Database and store take relative paths from here.
        let path = fs::canonicalize(&path).map_err(fault(&path))?;
        match fs::read_dir(&path).map_err(fault(&path))?.next() {
            None => Ok(Self {
                path,
                rooms: AtomicU32::new(0),
                is_kept,
            }),
            Some(_) => Err(Error::Sandbox {
                path: path.display().to_string(),
                why: "it is not empty; give the drill an empty folder".into(),
            }),
        }
    }

    /// Creates an empty folder in it.
    ///
    /// # Errors
    /// [`Error::Sandbox`].
    pub(super) fn room(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.path.join(format!(
            "{name}-{}",
            self.rooms.fetch_add(1, Ordering::Relaxed)
        ));
        make(&path)?;
        Ok(path)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.is_kept {
            // On failure, only ciphertext remains.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn make(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(fault(path))
}

/// Returns a function that converts an I/O error at this path.
pub(super) fn fault(path: &Path) -> impl Fn(io::Error) -> Error {
    move |cause| Error::Sandbox {
        path: path.display().to_string(),
        why: cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_sandbox_is_its_owners_alone_and_leaves_nothing() {
        let sandbox = Sandbox::make(None).unwrap();
        let path = sandbox.path.clone();
        let room = sandbox.room("database").unwrap();
        assert!(room != sandbox.room("database").unwrap() && room.starts_with(&path));
        for folder in [&path, &room] {
            assert_eq!(
                fs::metadata(folder).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
        drop(sandbox);
        assert!(!path.exists());
    }

    #[test]
    fn a_named_one_must_be_empty_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let named = folder.path().join("new");
        Sandbox::make(Some(&named)).unwrap().room("x").unwrap();
        assert!(named.join("x-0").is_dir());
        let refused = Sandbox::make(Some(&named)).unwrap_err().to_string();
        assert!(refused.contains("is not empty"), "{refused}");
    }
}
