//! The files of a SQLite database: whether this process still writes to the files that the next
//! process would open.
//!
//! SQLite goes on writing to a file that was removed, moved or replaced while it is open. Changes
//! that are acknowledged after that are in a file without a name, and are lost with the process.
//!
//! Owns the identity of the files when they were opened. Refuses to know the reaction to a
//! difference: [`Gate`](super::gate::Gate) has it.
//!
//! INVARIANT: the write-ahead log and its index are compared only while a writing connection is
//! open, because the last connection to close removes them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

/// The files of one database.
#[derive(Debug)]
pub(super) struct Files {
    database: Seen,
    /// The write-ahead log and its index.
    beside: RwLock<Vec<Seen>>,
}

/// The identity of a file when it was opened.
#[derive(Debug)]
struct Seen {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The result of a comparison.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FileIdentity {
    /// The same files.
    Same,
    /// A file is gone or was replaced.
    Other(PathBuf),
    /// The system could not be asked.
    Unknown(io::ErrorKind),
}

impl Files {
    /// Records the database file that was just opened.
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        Ok(Self {
            database: Seen::now(database.to_owned())?,
            beside: RwLock::default(),
        })
    }

    /// Records the write-ahead log and index of a writing connection that was just opened.
    pub(super) fn writer_opened(&self) -> io::Result<()> {
        let beside: io::Result<Vec<Seen>> = ["-wal", "-shm"]
            .into_iter()
            .map(|end| Seen::now(with_end(&self.database.path, end)))
            .collect();
        *self.beside.write().unwrap_or_else(PoisonError::into_inner) = beside?;
        Ok(())
    }

    /// Forgets them before the writing connection is closed.
    pub(super) fn writer_closes(&self) {
        self.beside
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Compares the files with those that were opened. Takes some microseconds, so it can run
    /// before every commit.
    pub(super) fn look(&self) -> FileIdentity {
        let beside = self.beside.read().unwrap_or_else(PoisonError::into_inner);
        let found = std::iter::once(&self.database)
            .chain(&*beside)
            .map(Seen::look);
        found
            .into_iter()
            .find(|found| *found != FileIdentity::Same)
            .unwrap_or(FileIdentity::Same)
    }
}

impl Seen {
    fn now(path: PathBuf) -> io::Result<Self> {
        let meta = fs::metadata(&path)?;
        Ok(Self {
            path,
            device: meta.dev(),
            inode: meta.ino(),
        })
    }

    fn look(&self) -> FileIdentity {
        match fs::metadata(&self.path) {
            Ok(meta) if (meta.dev(), meta.ino()) == (self.device, self.inode) => FileIdentity::Same,
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                FileIdentity::Unknown(error.kind())
            }
            _ => FileIdentity::Other(self.path.clone()),
        }
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_as_long_as_its_name_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault.db");
        for end in ["", "-wal", "-shm"] {
            fs::write(with_end(&path, end), "rows").unwrap();
        }
        let files = Files::of(&path).unwrap();
        files.writer_opened().unwrap();
        assert_eq!(files.look(), FileIdentity::Same);
        for end in ["", "-wal", "-shm"] {
            let named = with_end(&path, end);
            let away = folder.path().join("away");
            fs::rename(&named, &away).unwrap();
            assert_eq!(
                files.look(),
                FileIdentity::Other(named.clone()),
                "it is gone"
            );
            fs::copy(&away, &named).unwrap();
            assert_eq!(
                files.look(),
                FileIdentity::Other(named.clone()),
                "an identical copy is another file"
            );
            fs::rename(&away, &named).unwrap();
            assert_eq!(
                files.look(),
                FileIdentity::Same,
                "nothing was lost if it is put back"
            );
        }
        // The last connection to close removes the files beside the database.
        files.writer_closes();
        fs::remove_file(with_end(&path, "-wal")).unwrap();
        assert_eq!(files.look(), FileIdentity::Same);
    }
}
