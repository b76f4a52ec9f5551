//! The findings of `doctor` about files that other users of the machine may access.
//!
//! Owns the check of permissions. Refuses to know the contents of the files.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::process::geteuid;

use crate::config::Config;

/// Other users who may access a file, and how that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenTo {
    /// Every user.
    Everybody,
    /// The users in the group of the file.
    Group,
}

impl OpenTo {
    /// The users, in words.
    pub(super) fn who(self) -> &'static str {
        match self {
            Self::Everybody => "every user of this machine",
            Self::Group => "every user in its group",
        }
    }

    /// The mode that ends it, for `chmod`.
    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Everybody => "go-rwx",
            Self::Group => "g-rwx",
        }
    }

    /// Returns the permission bits of these users, and those by which they pass a folder.
    fn bits(self) -> (u32, u32) {
        match self {
            Self::Everybody => (0o007, 0o001),
            Self::Group => (0o070, 0o011),
        }
    }
}

/// Returns the key and the path of each file or folder that others may access.
pub(super) fn open_to_others(config: &Config) -> Vec<(String, PathBuf, OpenTo)> {
    let open = |(key, path): (String, PathBuf)| {
        let to = open_to(&path)?;
        Some((key, path, to))
    };
    config
        .private_paths()
        .into_iter()
        .filter_map(open)
        .collect()
}

/// Returns who else may access a path, by its own mode and by those of the folders above it.
///
/// A group counts only where the file belongs to the user of this process: a file of another user
/// (`root:recvault`, mode 0640) is readable for the service through its group alone.
fn open_to(path: &Path) -> Option<OpenTo> {
    let path = fs::canonicalize(path).ok()?;
    let found = fs::metadata(&path).ok()?;
    let mode = found.permissions().mode();
    let is_open = |to: OpenTo| {
        let (access, pass) = to.bits();
        let passes = |folder: &Path| {
            fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & pass != 0)
        };
        mode & access != 0 && path.ancestors().skip(1).all(passes)
    };
    let is_own = found.uid() == geteuid().as_raw();
    if is_open(OpenTo::Everybody) {
        Some(OpenTo::Everybody)
    } else if is_own && is_open(OpenTo::Group) {
        Some(OpenTo::Group)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_access_is_found_by_its_mode_and_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "x").unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for (of_folder, of_file, expected) in [
            (0o755, 0o600, None),
            (0o755, 0o604, Some(OpenTo::Everybody)),
            (0o755, 0o640, Some(OpenTo::Group)),
            (0o750, 0o604, None),
            (0o750, 0o640, Some(OpenTo::Group)),
            (0o700, 0o666, None),
        ] {
            set(folder.path(), of_folder);
            set(&file, of_file);
            assert_eq!(open_to(&file), expected, "{of_folder:o} {of_file:o}");
        }
        assert_eq!(open_to(&folder.path().join("absent")), None);
    }
}
