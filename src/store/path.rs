//! Names of things in the store. Nothing else turns an id into a path.
//!
//! ```text
//! objects/01/0123….floe     one sealed object; the two digits keep folders short
//! uploads/0123…             a long upload that has begun: its body is the backend's upload id
//! probe                     written and read by the readiness probe
//! ```
//! INVARIANT: a path that parses to an id is exactly the path of that id, so a foreign file is never taken for ours.

use object_store::path::Path;

use crate::model::id::ObjectId;

pub(super) const OBJECTS: &str = "objects";
const UPLOADS: &str = "uploads";
const PROBE: &str = "probe";
const EXTENSION: &str = ".floe";

/// The paths of one store, all below its prefix.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    prefix: Path,
}

impl Paths {
    pub(super) fn under(prefix: Path) -> Self {
        Self { prefix }
    }

    pub(super) fn objects(&self) -> Path {
        self.prefix.clone().join(OBJECTS)
    }

    pub(super) fn object(&self, id: ObjectId) -> Path {
        self.objects().join(shard(id)).join(file_name(id))
    }

    pub(super) fn parse_object(&self, path: &Path) -> Option<ObjectId> {
        let id = parse_file_name(path.filename()?)?;
        (self.object(id) == *path).then_some(id)
    }

    pub(super) fn uploads(&self) -> Path {
        self.prefix.clone().join(UPLOADS)
    }

    pub(super) fn upload(&self, id: ObjectId) -> Path {
        self.uploads().join(hex::encode(id.as_bytes()))
    }

    pub(super) fn parse_upload(&self, path: &Path) -> Option<ObjectId> {
        let id = parse_digits(path.filename()?)?;
        (self.upload(id) == *path).then_some(id)
    }

    pub(super) fn probe(&self) -> Path {
        self.prefix.clone().join(PROBE)
    }
}

/// The folder of an object below `objects`: the first two digits of its id.
pub(super) fn shard(id: ObjectId) -> String {
    hex::encode(&id.as_bytes()[..1])
}

/// Reads the last part of an object's path.
pub(super) fn parse_file_name(name: &str) -> Option<ObjectId> {
    parse_digits(name.strip_suffix(EXTENSION)?)
}

fn file_name(id: ObjectId) -> String {
    hex::encode(id.as_bytes()) + EXTENSION
}

fn parse_digits(digits: &str) -> Option<ObjectId> {
    format!("obj_{digits}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_down_and_come_back() {
        let id: ObjectId = "obj_0123456789abcdef0123456789abcdef".parse().unwrap();
        let paths = Paths::under(Path::from("team/a"));
        assert_eq!(paths.object(id).as_ref(), "team/a/objects/01/0123456789abcdef0123456789abcdef.floe");
        assert_eq!(paths.upload(id).as_ref(), "team/a/uploads/0123456789abcdef0123456789abcdef");
        assert_eq!(paths.parse_object(&paths.object(id)), Some(id));
        assert_eq!(paths.parse_upload(&paths.upload(id)), Some(id));
        assert_eq!(Paths::default().object(id).as_ref(), "objects/01/0123456789abcdef0123456789abcdef.floe");
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
        ] {
            assert_eq!(paths.parse_object(&Path::from(foreign)), None, "{foreign}");
            assert_eq!(paths.parse_upload(&Path::from(foreign)), None, "{foreign}");
        }
    }
}
