//! Old copies from any source, brought into a readable form.
//!
//! Owns the search and the criteria for a copy. A SQLite file is copied before it is opened, twice
//! if a write-ahead log lies beside it: each of the two may hold pages that the other lacks.
//! Snapshots and pieces of the journal are read in place, through links in the sandbox that give
//! them their original names. The given copies are not changed, except that a PostgreSQL database
//! of an older schema is migrated to this program's, as on any other opening.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Old,
    sandbox::{Sandbox, fault},
};
use crate::{
    db::{self, Db},
    store::{self, RecoveryKind, RecoveryName, Store},
    vault::{Error, RetainedFile},
};

/// The kind of an examined copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExaminedKind {
    /// The database in use.
    LiveDatabase,
    /// A snapshot in the store in use.
    LiveSnapshot,
    /// A piece of the journal in the store in use.
    LiveJournal,
    /// A database; of SQLite, with its write-ahead log.
    Database,
    /// A SQLite database without its write-ahead log.
    DatabaseWithoutWal,
    /// A snapshot.
    Snapshot,
    /// A piece of the journal.
    Journal,
    /// A folder without any copy.
    Store,
    /// A file that is none of these.
    File,
}

impl ExaminedKind {
    /// Returns whether it is a database, of which pages are read and no header.
    pub(super) fn is_database(self) -> bool {
        matches!(
            self,
            Self::LiveDatabase | Self::Database | Self::DatabaseWithoutWal
        )
    }
}

/// The source of an old copy's contents.
pub(super) enum OldCopySource {
    Db(Db),
    File(Store, RecoveryName),
}

/// An old copy that was found.
pub(super) struct OldCopy {
    /// Its name as given, for people.
    pub(super) name: String,
    /// Its kind.
    pub(super) kind: ExaminedKind,
    /// Its source, or why it cannot be read.
    pub(super) source: Result<OldCopySource, String>,
    /// Whether it may be empty or corrupt, because the same copy is also read in another form.
    pub(super) is_spare: bool,
}

impl OldCopy {
    fn new(name: String, kind: ExaminedKind, source: Result<OldCopySource, String>) -> Self {
        Self {
            name,
            kind,
            source,
            is_spare: false,
        }
    }
}

/// Finds all given copies.
///
/// # Errors
/// The sandbox's only.
pub(super) async fn find(old: &Old, sandbox: &Sandbox) -> Result<Vec<OldCopy>, Error> {
    let mut found = Vec::new();
    for url in &old.dbs {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let settings = db::DatabaseSettings {
                url: url.clone(),
                connections: 2,
            };
            let opened = Db::open(&settings, Path::new("/"))
                .await
                .map(OldCopySource::Db)
                .map_err(|error| error.to_string());
            found.push(OldCopy::new(
                without_password(url),
                ExaminedKind::Database,
                opened,
            ));
        } else {
            let path = url.strip_prefix("sqlite:").unwrap_or(url);
            found.extend(sqlite(Path::new(path), sandbox).await?);
        }
    }
    for folder in &old.stores {
        let before = found.len();
        let mut files = Vec::new();
        if let Err(cause) = walk(folder, &mut files) {
            found.push(OldCopy::new(
                folder.display().to_string(),
                ExaminedKind::Store,
                Err(cause.to_string()),
            ));
        }
        files.sort_unstable();
        for path in files {
            found.extend(file(&path, !is_expected(&path, folder), sandbox)?);
        }
        if found.len() == before {
            let why = "it holds no snapshot and no piece of the journal".to_owned();
            found.push(OldCopy::new(
                folder.display().to_string(),
                ExaminedKind::Store,
                Err(why),
            ));
        }
    }
    for path in &old.files {
        found.extend(file(path, false, sandbox)?);
    }
    Ok(found)
}

/// Returns a SQLite file with its write-ahead log, and without it.
async fn sqlite(path: &Path, sandbox: &Sandbox) -> Result<Vec<OldCopy>, Error> {
    let log = path.with_file_name(wal_name(path));
    let has_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    let mut found = Vec::new();
    for with_log in [true, false]
        .into_iter()
        .filter(|with_log| *with_log || has_log)
    {
        let room = sandbox.room("database")?;
        let opened = match copy(
            path,
            has_log.then_some(log.as_path()).filter(|_| with_log),
            &room,
        ) {
            Err(cause) => Err(cause.to_string()),
            Ok(()) => {
                let settings = db::DatabaseSettings {
                    url: "sqlite:vault.db".into(),
                    connections: 1,
                };
                Db::open(&settings, &room)
                    .await
                    .map(OldCopySource::Db)
                    .map_err(|error| error.to_string())
            }
        };
        let kind = if with_log {
            ExaminedKind::Database
        } else {
            ExaminedKind::DatabaseWithoutWal
        };
        found.push(OldCopy {
            is_spare: !with_log,
            ..OldCopy::new(path.display().to_string(), kind, opened)
        });
    }
    Ok(found)
}

fn wal_name(path: &Path) -> std::ffi::OsString {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push("-wal");
    name
}

fn copy(path: &Path, log: Option<&Path>, room: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    // The log first: pages that a checkpoint moves to the file meanwhile are in both.
    if let Some(log) = log {
        fs::copy(log, room.join("vault.db-wal"))?;
    }
    fs::copy(path, room.join("vault.db")).map(drop)
}

/// Returns a recovery file; `None` if the file is another one and may be.
fn file(path: &Path, may_be_other: bool, sandbox: &Sandbox) -> Result<Option<OldCopy>, Error> {
    let shown = path.display().to_string();
    // Skips an unfinished upload: it is never listed, and the finished file holds the same content.
    if may_be_unfinished(path) {
        return Ok(None);
    }
    let name = match front(path) {
        Ok(front) => RetainedFile::name_of(&front),
        Err(cause) => {
            return Ok(Some(OldCopy::new(
                shown,
                ExaminedKind::File,
                Err(cause.to_string()),
            )));
        }
    };
    let Some(name) = name else {
        let why = "it has no header of a snapshot or of a piece of the journal".to_owned();
        return Ok((!may_be_other).then(|| OldCopy::new(shown, ExaminedKind::File, Err(why))));
    };
    let kind = match name.kind {
        RecoveryKind::Snapshot => ExaminedKind::Snapshot,
        RecoveryKind::Journal => ExaminedKind::Journal,
    };
    let room = sandbox.room("file")?;
    let link = room.join(name.to_string());
    let folder = link.parent().unwrap_or(&room);
    fs::create_dir_all(folder).map_err(fault(folder))?;
    let target = fs::canonicalize(path).map_err(fault(path))?;
    symlink(target, &link).map_err(fault(&link))?;
    let settings = store::StoreSettings {
        url: "folder:.".into(),
        ..store::StoreSettings::default()
    };
    let source = Store::open(&settings, &room)
        .map(|store| OldCopySource::File(store, name))
        .map_err(|error| error.to_string());
    Ok(Some(OldCopy::new(shown, kind, source)))
}

/// Returns whether a store's writer may have left this file unfinished.
fn may_be_unfinished(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().contains(".floe#"))
}

/// Returns enough bytes for a header; of other files, only the first few bytes are read.
fn front(path: &Path) -> io::Result<Vec<u8>> {
    const BEGINNING: &[u8] = br#"{"format":"recvault/"#;
    let mut file = File::open(path)?;
    let mut front = Vec::new();
    file.by_ref()
        .take(BEGINNING.len() as u64)
        .read_to_end(&mut front)?;
    if front == BEGINNING {
        file.take(RetainedFile::HEAD as u64)
            .read_to_end(&mut front)?;
    }
    Ok(front)
}

/// Lists every regular file below a folder; links are not followed.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Returns whether a file is where only recovery files are expected.
fn is_expected(path: &Path, below: &Path) -> bool {
    let inner = path
        .strip_prefix(below)
        .unwrap_or(path)
        .parent()
        .unwrap_or(Path::new(""));
    inner
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("snapshots" | "journal")))
}

/// Returns a URL in printable form.
fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut url) => {
            // Fails only for a URL that cannot have a password.
            let _ = url.set_password(None);
            url.set_query(None);
            url.to_string()
        }
        Err(_) => "postgres://…".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        assert_eq!(
            without_password("postgres://u:hunter2@h:5432/db?password=hunter2"),
            "postgres://u@h:5432/db"
        );
        assert_eq!(without_password("postgres://u@h/db"), "postgres://u@h/db");
    }

    #[test]
    fn only_what_lies_among_recovery_files_must_be_one() {
        let below = Path::new("/backups/snapshots");
        for (path, expected) in [
            ("objects/01/x.floe", false),
            ("a/snapshots/x.floe@v1", true),
            ("journal/x", true),
            ("x", false),
        ] {
            assert_eq!(is_expected(&below.join(path), below), expected, "{path}");
        }
    }

    #[test]
    fn of_a_foreign_file_only_the_beginning_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for content in [
            vec![0; 100_000],
            Vec::new(),
            b"{\"format\":\"something".to_vec(),
        ] {
            fs::write(&path, &content).unwrap();
            let read = front(&path).unwrap();
            assert!(read.len() <= 20 && RetainedFile::name_of(&read).is_none());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_have_no_name_and_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            proptest::prop_assert!(RetainedFile::name_of(&bytes).is_none());
        }
    }
}
