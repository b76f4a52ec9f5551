//! Root files: the current one, the staged one, and the one that is being destroyed.
//!
//! ```text
//! root            the current root
//! root.staged     the next one, while a turn is under way
//! root.dying      on its way out: overwritten, then removed
//! root.new-…      half-written, with the number of the process that writes it; never read
//! ```
//! Owns names, atomic replacement, overwriting and durability. Refuses to know what is in the files. Every step may be interrupted: whatever
//! is left, the next call goes on from there, and a reader finds every root that is not destroyed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::Error;

/// The root files of one vault.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    current: PathBuf,
}

impl Slots {
    pub(super) fn at(current: PathBuf) -> Self {
        Self { current }
    }

    /// What the files hold, the current one first.
    pub(super) fn read(&self) -> Result<Vec<Vec<u8>>, Error> {
        for _ in 0..3 {
            let found = [&self.current, &self.staged()].map(|path| read(path).map_err(|cause| fault(path, cause)));
            let [current, staged] = found;
            let found: Vec<Vec<u8>> = [current?, staged?].into_iter().flatten().collect();
            // Between two looks a staged file may have become the current one.
            if !found.is_empty() && self.current.exists() {
                return Ok(found);
            }
        }
        Ok([read(&self.current), read(&self.staged())].into_iter().flatten().flatten().collect())
    }

    /// Adds a root: the current one if there is none, else the staged one. Never over another.
    pub(super) fn add(&self, content: &[u8]) -> Result<(), Error> {
        let path = if self.current.exists() { self.staged() } else { self.current.clone() };
        self.write_new(&path, content).map_err(|cause| fault(&path, cause))
    }

    /// Replaces the files by others of the same roots, for a new passphrase. The old ones are overwritten after they were replaced; a process
    /// that dies in between leaves the old bytes in free space.
    pub(super) fn replace(&self, contents: &[Vec<u8>]) -> Result<(), Error> {
        for (path, content) in [self.current.clone(), self.staged()].iter().zip(contents) {
            let swap = || {
                let mut old = OpenOptions::new().write(true).open(path)?;
                let length = usize::try_from(old.metadata()?.len()).unwrap_or(0);
                write(&self.half_written(), content)?;
                fs::rename(self.half_written(), path)?;
                self.sync()?;
                old.write_all(&vec![0; length])?;
                old.sync_all()
            };
            swap().map_err(|cause| fault(path, cause))?;
        }
        Ok(())
    }

    /// Destroys the files that `is_doomed` says, and makes the staged root the current one if it is the only one left.
    pub(super) fn destroy(&self, is_doomed: impl Fn(&[u8]) -> bool) -> Result<(), Error> {
        let destroy = || {
            self.finish_dying()?;
            for path in [self.current.clone(), self.staged()] {
                if read(&path)?.is_some_and(|content| is_doomed(&content)) {
                    fs::rename(&path, self.dying())?;
                    if !self.current.exists() && self.staged().exists() {
                        fs::rename(self.staged(), &self.current)?;
                    }
                    self.sync()?;
                    self.finish_dying()?;
                }
            }
            if !self.current.exists() && self.staged().exists() {
                fs::rename(self.staged(), &self.current)?;
                self.sync()?;
            }
            Ok(())
        };
        destroy().map_err(|cause| fault(&self.current, cause))
    }

    /// Overwrites and removes what was on its way out.
    fn finish_dying(&self) -> io::Result<()> {
        let dying = self.dying();
        let Some(content) = read(&dying)? else { return Ok(()) };
        let mut file = OpenOptions::new().write(true).open(&dying)?;
        file.write_all(&vec![0; content.len()])?;
        file.sync_all()?;
        fs::remove_file(&dying)?;
        self.sync()
    }

    /// All of the file or none, readable by nobody else, and only where there is none.
    fn write_new(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::create_dir_all(self.folder())?;
        let new = self.half_written();
        write(&new, content)?;
        // A hard link fails where a rename would replace.
        let linked = fs::hard_link(&new, path);
        fs::remove_file(&new)?;
        linked?;
        self.sync()
    }

    fn staged(&self) -> PathBuf {
        self.current.with_added_extension("staged")
    }

    fn dying(&self) -> PathBuf {
        self.current.with_added_extension("dying")
    }

    fn half_written(&self) -> PathBuf {
        self.current.with_added_extension(format!("new-{}", std::process::id()))
    }

    fn folder(&self) -> &Path {
        self.current.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(self.folder())?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn fault(path: &Path, cause: io::Error) -> Error {
    Error::File { path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_turn_replaces_the_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::at(folder.path().join("root"));
        assert_eq!(slots.read().unwrap(), Vec::<Vec<u8>>::new());
        slots.add(b"one").unwrap();
        slots.add(b"two").unwrap();
        assert!(matches!(slots.add(b"three"), Err(Error::File { .. })), "a third root has no place");
        assert_eq!(slots.read().unwrap(), [b"one", b"two"]);
        let old = File::open(folder.path().join("root")).unwrap();
        slots.destroy(|content| content == b"one").unwrap();
        assert_eq!((slots.read().unwrap(), names(folder.path())), (vec![b"two".to_vec()], vec!["root".to_owned()]));
        assert_eq!(io::read_to_string(old).unwrap(), "\0\0\0", "the bytes are overwritten, not only unlinked");
        assert_eq!(fs::metadata(folder.path().join("root")).unwrap().permissions().mode() & 0o777, 0o600);
        slots.destroy(|content| content == b"one").unwrap();
        assert_eq!(slots.read().unwrap(), [b"two"]);
    }

    #[test]
    fn every_interruption_is_gone_on_from() {
        let kept = b"two".as_slice();
        for (files, doing) in [
            (vec![("root.dying", b"one".as_slice()), ("root.staged", kept)], "between the two renames"),
            (vec![("root.dying", b"one".as_slice()), ("root", kept)], "before the overwriting"),
            (vec![("root.dying", b"\0\0\0".as_slice()), ("root", kept)], "before the removal"),
            (vec![("root", b"one".as_slice()), ("root.staged", kept), ("root.new", b"t")], "before the beginning"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for (name, content) in files {
                fs::write(folder.path().join(name), content).unwrap();
            }
            let slots = Slots::at(folder.path().join("root"));
            assert!(slots.read().unwrap().contains(&kept.to_vec()), "{doing}");
            slots.destroy(|content| content == b"one").unwrap();
            assert_eq!(slots.read().unwrap(), [kept], "{doing}");
            assert!(!folder.path().join("root.dying").exists() && !folder.path().join("root.staged").exists(), "{doing}");
        }
    }

    #[test]
    fn a_replaced_file_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::at(folder.path().join("root"));
        slots.add(b"one").unwrap();
        slots.add(b"two").unwrap();
        let old = File::open(folder.path().join("root")).unwrap();
        slots.replace(&[b"new one".to_vec(), b"new two".to_vec()]).unwrap();
        assert_eq!(slots.read().unwrap(), [b"new one", b"new two"]);
        assert_eq!(io::read_to_string(old).unwrap(), "\0\0\0");
        assert_eq!(names(folder.path()), ["root", "root.staged"]);
    }
}
