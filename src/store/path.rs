//! Paths in the store. No other module turns a name into a path.
//!
//! ```text
//! objects/01/0123….floe                                     one sealed object; the two digits keep folders short
//! snapshots/0000000002-0000000001-00000000000000001234-0123….floe   the key store at entry 1234, in epoch 2 and timeline 1
//! journal/0000000002-0000000001-00000000000000001240-4567….floe     what changed until entry 1240
//! uploads/0123…      a long upload that has begun: its body is the backend's upload id, and on a second line the name of a recovery file
//! probe              written and read by the readiness probe
//! probe-rehearsal/…  written and removed by the check of permissions
//! ```
//! INVARIANT: a path that parses to a name is exactly the path of that name, so a foreign file is
//! never mistaken for the store's own.

use object_store::path::Path;

use super::name::{Name, digits, parse_digits};
use crate::model::id::ObjectId;

const UPLOADS: &str = "uploads";
const PROBE: &str = "probe";
const REHEARSAL: &str = "probe-rehearsal";

/// The paths of one store, all below its prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    prefix: Path,
}

impl Paths {
    pub(super) fn under(prefix: Path) -> Self {
        Self { prefix }
    }

    /// Returns the path of a folder or file directly below the prefix.
    pub(super) fn top(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    pub(super) fn of(&self, name: Name) -> Path {
        name.below()
            .split('/')
            .fold(self.prefix.clone(), |path, part| path.join(part))
    }

    pub(super) fn parse(&self, path: &Path) -> Option<Name> {
        let below: Vec<_> = path.prefix_match(&self.prefix)?.collect();
        Name::parse(
            &below
                .iter()
                .map(AsRef::as_ref)
                .collect::<Vec<&str>>()
                .join("/"),
        )
    }

    pub(super) fn uploads(&self) -> Path {
        self.top(UPLOADS)
    }

    pub(super) fn upload(&self, id: ObjectId) -> Path {
        self.uploads().join(digits(id))
    }

    pub(super) fn parse_upload(&self, path: &Path) -> Option<ObjectId> {
        let id = parse_digits(path.filename()?)?;
        (self.upload(id) == *path).then_some(id)
    }

    pub(super) fn probe(&self) -> Path {
        self.top(PROBE)
    }

    /// The folder of the files of [`Store::check_permissions`](super::Store::check_permissions).
    pub(super) fn rehearsal(&self) -> Path {
        self.top(REHEARSAL)
    }

    /// What every path of this store begins with, in a bucket that others may use, too.
    pub(super) fn beginning(&self) -> String {
        match self.prefix.as_ref() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::timeline::Timeline,
        store::{RecoveryKind, RecoveryName},
    };

    #[test]
    fn paths_are_written_down_and_come_back() {
        let id: ObjectId = "obj_0123456789abcdef0123456789abcdef".parse().unwrap();
        let name = RecoveryName {
            kind: RecoveryKind::Snapshot,
            epoch: 2,
            timeline: Timeline::FIRST,
            seq: 1234,
            id,
        };
        let paths = Paths::under(Path::from("team/a"));
        let bare = Paths::default();
        assert_eq!(
            paths.of(id.into()).as_ref(),
            "team/a/objects/01/0123456789abcdef0123456789abcdef.floe"
        );
        assert_eq!(
            paths.of(name.into()).as_ref(),
            "team/a/snapshots/0000000002-0000000001-00000000000000001234-0123456789abcdef0123456789abcdef.floe"
        );
        assert_eq!(
            paths.upload(id).as_ref(),
            "team/a/uploads/0123456789abcdef0123456789abcdef"
        );
        assert_eq!(paths.parse_upload(&paths.upload(id)), Some(id));
        assert_eq!(
            bare.of(id.into()).as_ref(),
            "objects/01/0123456789abcdef0123456789abcdef.floe"
        );
        for name in [Name::Object(id), Name::Recovery(name)] {
            assert_eq!(paths.parse(&paths.of(name)), Some(name));
            assert_eq!(bare.parse(&bare.of(name)), Some(name));
            assert_eq!(bare.parse(&paths.of(name)), None, "another store's");
            assert_eq!(paths.parse(&bare.of(name)), None, "another store's");
        }
    }

    #[test]
    fn foreign_paths_are_nobodys() {
        let paths = Paths::default();
        for foreign in [
            "objects/02/0123456789abcdef0123456789abcdef.floe",
            "objects/0123456789abcdef0123456789abcdef.floe",
            "objects/01/x/0123456789abcdef0123456789abcdef.floe",
            "other/objects/01/0123456789abcdef0123456789abcdef.floe",
            "objects/01/0123456789ABCDEF0123456789ABCDEF.floe",
            "objects/01/0123456789abcdef0123456789abcdef",
            "objects/01/0123456789abcdef0123456789abcdef.floe.bak",
            "objects/01/.floe",
            "objects/README",
            "snapshots/01/0123456789abcdef0123456789abcdef.floe",
            "snapshots/2-1234-0123456789abcdef0123456789abcdef.floe",
            "snapshots/01/0000000002-0000000001-00000000000000001234-0123456789abcdef0123456789abcdef.floe",
            "other/journal/0000000002-0000000001-00000000000000001234-0123456789abcdef0123456789abcdef.floe",
            "journal",
            "",
        ] {
            assert_eq!(paths.parse(&Path::from(foreign)), None, "{foreign}");
            assert_eq!(paths.parse_upload(&Path::from(foreign)), None, "{foreign}");
        }
    }
}
