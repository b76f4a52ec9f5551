//! A place of custody made of files: one slot file, and any other file in the folder.
//!
//! ```text
//! root        the slot in force
//! root.next   the slot that will be; never in force
//! root.old    a second name of the slot that was, while it is overwritten
//! root.lock   the lock; stays for ever
//! ```
//! Owns names, the lock, atomic replacement, overwriting, durability, and the classification of
//! everything in the folder. Refuses to know the contents of a slot beyond
//! [`super::file::roots_of`].
//!
//! ```text
//! write root.next, fsync → link root as root.old, fsync the folder → rename root.next to root, fsync the folder
//!   → overwrite root.old, fsync → remove it, fsync the folder → list the folder: the slot and nothing else
//! ```
//! The process may die after each step; the next holder of the lock finishes. This is a
//! compare-and-swap only as far as the lock is reliable. Two machines that share the folder over a
//! file system without locks can lose a slot; do not do that.

mod walk;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use self::walk::Seen;
use super::{
    Error, Item, Role, fault,
    file::{self, Contained},
    lock,
    slot::{Change, Slot},
};
use crate::model::{crash, id::VaultId};

/// The maximum length of a slot file, which usually has a few hundred bytes.
const MAX: u64 = 64 * 1024;

/// The folder around one slot file.
#[derive(Clone, Debug)]
pub(super) struct CustodyFolder {
    slot: PathBuf,
}

/// A file in the folder that concerns custody.
pub(super) struct CustodyFile {
    path: PathBuf,
    role: Role,
    contained: Option<Contained>,
    /// Its contents.
    pub(super) content: Zeroizing<Vec<u8>>,
}

impl CustodyFolder {
    pub(super) fn at(slot: PathBuf) -> Self {
        Self { slot }
    }

    /// Returns the slot file in force, if there is one.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        read(&self.slot).map_err(|cause| fault(&self.slot, cause))
    }

    /// Returns everything in the folder that concerns custody.
    pub(super) fn contents(&self) -> Result<Vec<Item>, Error> {
        Ok(self.scan()?.iter().map(CustodyFile::item).collect())
    }

    /// As [`Self::contents`], with the contents of each file.
    pub(super) fn scan(&self) -> Result<Vec<CustodyFile>, Error> {
        let mut examined = Vec::new();
        for Seen { path, is_readable } in walk::below(self.folder(), MAX)? {
            if path == self.beside("lock") {
                continue;
            }
            let content = match is_readable.then(|| read(&path)).transpose() {
                // Removed between the listing and now.
                Ok(Some(None)) => continue,
                Ok(content) => content.flatten(),
                Err(_) => None,
            };
            let contained = content.as_ref().and_then(|content| file::roots_of(content));
            examined.push((path, content, contained));
        }
        let vault = examined
            .iter()
            .find(|(path, ..)| *path == self.slot)
            .and_then(|(.., contained)| contained.as_ref())
            .map(|contained| contained.vault);
        let mut found = Vec::new();
        for (path, content, contained) in examined {
            let role = match self.judge(&path, contained.as_ref(), vault) {
                Some(role) => role,
                // A file that cannot be read cannot be classified; but its name is reported.
                None if content.is_none() => Role::Unexamined,
                None => continue,
            };
            found.push(CustodyFile {
                path,
                role,
                contained,
                content: content.unwrap_or_default(),
            });
        }
        Ok(found)
    }

    /// Classifies a file beside a slot of `vault`; returns `None` if nothing relates it to custody.
    fn judge(
        &self,
        path: &Path,
        contained: Option<&Contained>,
        vault: Option<VaultId>,
    ) -> Option<Role> {
        let is_of_another =
            contained.is_some_and(|theirs| vault.is_some_and(|vault| vault != theirs.vault));
        match self.kinship(path) {
            _ if path == self.slot => Some(Role::Slot),
            Kinship::Ours if is_of_another => Some(Role::Foreign),
            // Without a slot in force this may be the last copy of a root; the leftover of an
            // interrupted `init` is not.
            Kinship::Ours
                if vault.is_none() && contained.is_some_and(|theirs| theirs.generation != 1) =>
            {
                Some(Role::Foreign)
            }
            Kinship::Ours => Some(Role::Leftover),
            Kinship::Alike => Some(Role::Foreign),
            Kinship::None if contained.is_some() && !is_of_another => Some(Role::Foreign),
            Kinship::None => None,
        }
    }

    /// Returns the relation of a name to the slot's name.
    fn kinship(&self, path: &Path) -> Kinship {
        // This program writes no file in a subfolder; an operator put it there.
        if path.parent() != Some(self.folder()) {
            return Kinship::None;
        }
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let (name, slot) = (name(path), name(&self.slot));
        match name.strip_prefix(&slot) {
            // Names that only this program uses.
            Some(".next" | ".old") => Kinship::Ours,
            Some(_) => Kinship::Alike,
            None => Kinship::None,
        }
    }

    /// Replaces the slot by the output of `make`, which gets the present contents and the value
    /// that `read` parsed from them, if the present slot is the one that the change was made from.
    /// Blocks the thread.
    ///
    /// # Errors
    /// [`Error::Moved`], [`Error::Foreign`], [`Error::Busy`]; those of `make`. After any error the
    /// slot is either the previous or the next one.
    pub(super) fn swap<S: AsRef<Slot>>(
        &self,
        change: &Change,
        read: impl Fn(&[u8]) -> Result<S, Error>,
        make: impl FnOnce(Option<(S, &[u8])>) -> Result<Vec<u8>, Error>,
    ) -> Result<(), Error> {
        let _lock = lock::take(&self.beside("lock"), change.before().is_none())?;
        self.clear()?;
        let present = self.read()?;
        let present = match &present {
            Some(content) => Some((read(content)?, content.as_slice())),
            None => None,
        };
        change.applies_to(present.as_ref().map(|(slot, _)| slot.as_ref()))?;
        let content = make(present)?;
        self.replace(&content)
            .map_err(|cause| fault(&self.slot, cause))?;
        self.clear()?;
        // The folder is listed again before the destruction is reported.
        let judged: Vec<CustodyFile> = self
            .scan()?
            .into_iter()
            .filter(|found| found.role != Role::Unexamined)
            .collect();
        let is_exact = match judged.as_slice() {
            [only] => only.role == Role::Slot && *only.content == content,
            _ => false,
        };
        if is_exact {
            Ok(())
        } else {
            Err(Error::Inexact {
                place: self.folder().display().to_string(),
            })
        }
    }

    /// Completes an interrupted change, and refuses foreign files.
    fn clear(&self) -> Result<(), Error> {
        let found = self.scan()?;
        if let Some(foreign) = found.iter().find(|found| found.role == Role::Foreign) {
            return Err(Error::Foreign {
                name: foreign.path.display().to_string(),
            });
        }
        for leftover in found.iter().filter(|found| found.role == Role::Leftover) {
            self.destroy(&leftover.path)
                .map_err(|cause| fault(&leftover.path, cause))?;
        }
        Ok(())
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let next = self.beside("next");
        let old = self.beside("old");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)?;
        file.write_all(content)?;
        file.sync_all()?;
        crash::point("custody.written");
        match fs::hard_link(&self.slot, &old) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            linked => linked?,
        }
        self.sync()?;
        crash::point("custody.linked");
        fs::rename(&next, &self.slot)?;
        self.sync()?;
        crash::point("custody.renamed");
        Ok(())
    }

    /// Overwrites and removes a file, also through a link. A second name of the slot in force, or a
    /// link to it, is only removed.
    fn destroy(&self, path: &Path) -> io::Result<()> {
        if !is_same(path, &self.slot)? && leads_somewhere(path)? {
            let mut file = OpenOptions::new().write(true).open(path)?;
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
            file.write_all(&vec![0; length])?;
            file.sync_all()?;
        }
        crash::point("custody.overwritten");
        fs::remove_file(path)?;
        self.sync()?;
        crash::point("custody.removed");
        Ok(())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        self.slot.with_added_extension(ending)
    }

    fn folder(&self) -> &Path {
        self.slot
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }
}

impl CustodyFile {
    fn item(&self) -> Item {
        let roots = self
            .contained
            .as_ref()
            .map(Contained::names)
            .unwrap_or_default();
        Item {
            name: self.path.display().to_string(),
            role: self.role,
            roots,
        }
    }
}

/// The relation of a name to the slot's name.
enum Kinship {
    /// A name that only this program uses.
    Ours,
    /// It begins with the slot's name: probably a copy.
    Alike,
    None,
}

/// Reads a whole file, if it exists and is small enough to be a slot.
fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let mut content = Zeroizing::default();
    if metadata.is_file() && metadata.len() <= MAX {
        file.take(MAX).read_to_end(&mut content)?;
    }
    Ok(Some(content))
}

/// Returns whether two names lead to the same file. Links are followed, as when a file is opened.
fn is_same(path: &Path, other: &Path) -> io::Result<bool> {
    Ok(match (target(path)?, target(other)?) {
        (Some(path), Some(other)) => (path.dev(), path.ino()) == (other.dev(), other.ino()),
        _ => false,
    })
}

/// Returns whether a name leads to a file; false for a dangling link.
fn leads_somewhere(path: &Path) -> io::Result<bool> {
    Ok(target(path)?.is_some())
}

fn target(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::metadata(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
