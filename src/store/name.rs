//! Names in the store, and their text: the path below the store's prefix.
//!
//! Owns the one form of each name. It refuses to know where the prefix is ([`super::path`]) and the
//! contents of files.
//!
//! INVARIANT: a text that parses to a name is exactly the text of that name, so a foreign file is
//! never mistaken for the store's own.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::model::{
    id::ObjectId,
    timeline::{LogPoint, Timeline},
};

/// The folder of the objects, each in a folder of its first two digits.
pub(super) const OBJECTS: &str = "objects";
const EXTENSION: &str = ".floe";

/// The kind of a recovery file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecoveryKind {
    /// The whole key store at one moment.
    Snapshot,
    /// A piece of the journal: the changes after a snapshot or an earlier piece.
    Journal,
}

/// Name of a recovery file. Names sort by age: by timeline and number, then by epoch, because a
/// later timeline may be of a lower epoch. Texts of one kind and epoch sort in the same order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde_with::DeserializeFromStr,
    serde_with::SerializeDisplay,
)]
pub struct RecoveryName {
    /// Its kind.
    pub kind: RecoveryKind,
    /// Epoch of the root key.
    pub epoch: u64,
    /// Timeline of the audit log in which it was written.
    pub timeline: Timeline,
    /// Number of the last audit entry in it; never negative, because such a name would not be
    /// listed.
    pub seq: i64,
    /// A random id, so that two writers of one state use different names.
    pub id: ObjectId,
}

/// Why a text does not name a recovery file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a recovery file: expected `snapshots/` or `journal/`, <epoch>-<timeline>-<number>-<32 hex digits>, and `.floe`"
)]
pub struct InvalidRecoveryName {
    text: String,
}

/// The name of anything in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A sealed object.
    Object(ObjectId),
    /// A recovery file.
    Recovery(RecoveryName),
}

impl RecoveryKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Snapshot, Self::Journal];

    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshots",
            Self::Journal => "journal",
        }
    }
}

impl Name {
    /// Returns the random id in it; no two files share one.
    pub(super) fn id(self) -> ObjectId {
        match self {
            Self::Object(id) => id,
            Self::Recovery(name) => name.id,
        }
    }

    /// Returns its path below the prefix of the store.
    pub(super) fn below(self) -> String {
        match self {
            Self::Object(id) => format!(
                "{OBJECTS}/{}/{}{EXTENSION}",
                hex::encode(&id.as_bytes()[..1]),
                digits(id)
            ),
            Self::Recovery(name) => name.to_string(),
        }
    }

    /// Parses the output of [`Self::below`].
    pub(super) fn parse(below: &str) -> Option<Self> {
        let (folder, file) = below.rsplit_once('/')?;
        let stem = file.strip_suffix(EXTENSION)?;
        let name = match RecoveryKind::ALL
            .into_iter()
            .find(|kind| kind.folder() == folder)
        {
            Some(kind) => Self::Recovery(RecoveryName::of_stem(kind, stem)?),
            None => Self::Object(parse_digits(stem)?),
        };
        (name.below() == below).then_some(name)
    }
}

impl RecoveryName {
    /// Returns the point in the audit log at which it was written.
    pub fn point(&self) -> LogPoint {
        LogPoint {
            timeline: self.timeline,
            seq: self.seq,
        }
    }

    fn age(&self) -> (LogPoint, u64, RecoveryKind, ObjectId) {
        (self.point(), self.epoch, self.kind, self.id)
    }

    fn of_stem(kind: RecoveryKind, stem: &str) -> Option<Self> {
        let mut fields = stem.splitn(4, '-');
        let epoch = fields.next()?;
        let timeline: u32 = fields.next()?.parse().ok()?;
        let seq = fields.next()?;
        let id = fields.next()?;
        Some(Self {
            kind,
            epoch: epoch.parse().ok()?,
            timeline: timeline.try_into().ok()?,
            seq: seq.parse().ok()?,
            id: parse_digits(id)?,
        })
    }
}

impl Ord for RecoveryName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.age().cmp(&other.age())
    }
}

impl PartialOrd for RecoveryName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<ObjectId> for Name {
    fn from(id: ObjectId) -> Self {
        Self::Object(id)
    }
}

impl From<RecoveryName> for Name {
    fn from(name: RecoveryName) -> Self {
        Self::Recovery(name)
    }
}

/// The form for people, in errors: the id of an object, the text of a recovery file's name.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Recovery(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for RecoveryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{:010}-{:010}-{:020}-{}{EXTENSION}",
            self.kind.folder(),
            self.epoch,
            self.timeline.number(),
            self.seq,
            digits(self.id)
        )
    }
}

impl FromStr for RecoveryName {
    type Err = InvalidRecoveryName;

    fn from_str(text: &str) -> Result<Self, InvalidRecoveryName> {
        match Name::parse(text) {
            Some(Name::Recovery(name)) => Ok(name),
            _ => Err(InvalidRecoveryName {
                text: text.chars().take(128).collect(),
            }),
        }
    }
}

/// Returns an id without its prefix: 32 hex digits.
pub(super) fn digits(id: ObjectId) -> String {
    hex::encode(id.as_bytes())
}

pub(super) fn parse_digits(digits: &str) -> Option<ObjectId> {
    format!("obj_{digits}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "0123456789abcdef0123456789abcdef";

    fn name(kind: RecoveryKind, epoch: u64, seq: i64) -> RecoveryName {
        RecoveryName {
            kind,
            epoch,
            timeline: Timeline::FIRST,
            seq,
            id: parse_digits(DIGITS).unwrap(),
        }
    }

    #[test]
    fn names_are_written_down_and_come_back() {
        let snapshot = name(RecoveryKind::Snapshot, 2, 1234);
        assert_eq!(
            snapshot.to_string(),
            format!("snapshots/0000000002-0000000001-00000000000000001234-{DIGITS}.floe")
        );
        let largest = name(RecoveryKind::Journal, u64::MAX, i64::MAX);
        assert_eq!(
            largest.to_string(),
            format!("journal/18446744073709551615-0000000001-09223372036854775807-{DIGITS}.floe")
        );
        for name in [snapshot, largest, name(RecoveryKind::Journal, 0, 0)] {
            assert_eq!(name.to_string().parse(), Ok(name));
            assert_eq!(Name::parse(&name.to_string()), Some(Name::Recovery(name)));
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, format!("\"{name}\""));
            assert_eq!(serde_json::from_str::<RecoveryName>(&json).unwrap(), name);
        }
        let id = snapshot.id;
        assert_eq!(
            Name::Object(id).below(),
            format!("objects/01/{DIGITS}.floe")
        );
        assert_eq!(
            Name::parse(&Name::Object(id).below()),
            Some(Name::Object(id))
        );
    }

    #[test]
    fn only_the_exact_text_of_a_name_parses() {
        let good = format!("snapshots/0000000002-0000000001-00000000000000001234-{DIGITS}.floe");
        assert!(good.parse::<RecoveryName>().is_ok());
        for bad in [
            "".to_owned(),
            "snapshots/".into(),
            "snapshots/.floe".into(),
            "snapshots/README".into(),
            "snapshots/--.floe".into(),
            good.replace("0000000002", "2"),
            good.replace("0000000002", "00000000002"),
            good.replace("0000000002", "+000000002"),
            good.replace("0000000002", "-000000002"),
            good.replace("0000000002", "000000000a"),
            good.replace("0000000002", "18446744073709551616"),
            good.replace("-0000000001-", "-0000000000-"),
            good.replace("-0000000001-", "-"),
            good.replace("-0000000001-", "-1-"),
            good.replace("-0000000001-", "-+000000001-"),
            good.replace("-0000000001-", "-4294967296-"),
            good.replace("00000000000000001234", "1234"),
            good.replace("00000000000000001234", "+0000000000000001234"),
            good.replace("00000000000000001234", "-0000000000000001234"),
            good.replace("00000000000000001234", "09223372036854775808"),
            good.replace(DIGITS, &DIGITS.to_uppercase()),
            good.replace(DIGITS, &DIGITS[1..]),
            good.replace("snapshots/", ""),
            good.replace("snapshots/", "/snapshots/"),
            good.replace("snapshots/", "snapshots//"),
            good.replace("snapshots/", "snapshots/00/"),
            good.replace("snapshots/", "team/a/snapshots/"),
            good.replace("snapshots/", "objects/00/"),
            good.replace("snapshots/", "Snapshots/"),
            good.replace("snapshots/", "journals/"),
            good.replace(".floe", ""),
            good.replace(".floe", ".floe.bak"),
            format!("{good}#1"),
            format!("{good}\n"),
            format!("snapshots/{DIGITS}.floe"),
            format!("snapshots/01/{DIGITS}.floe"),
        ] {
            assert!(bad.parse::<RecoveryName>().is_err(), "{bad}");
            assert_eq!(Name::parse(&bad), None, "{bad}");
        }
        assert!(
            Name::Object(parse_digits(DIGITS).unwrap())
                .below()
                .parse::<RecoveryName>()
                .is_err(),
            "an object is no recovery file"
        );
        let negative = name(RecoveryKind::Journal, 1, -5);
        assert!(negative.to_string().parse::<RecoveryName>().is_err());
    }

    #[test]
    fn the_order_of_names_is_the_order_of_age() {
        use RecoveryKind::{Journal, Snapshot};
        let later = |name| RecoveryName {
            timeline: Timeline::FIRST.next(),
            ..name
        };
        let of_one_epoch = [
            name(Snapshot, 2, 0),
            name(Snapshot, 2, 9),
            name(Snapshot, 2, 10),
            later(name(Snapshot, 2, 9)),
        ];
        assert!(of_one_epoch.is_sorted());
        assert!(of_one_epoch.map(|name| name.to_string()).is_sorted());
        let of_all = [
            name(Snapshot, 9, 9),
            name(Journal, 9, 9),
            name(Snapshot, 2, 10),
            name(Journal, 1, 11),
            later(name(Snapshot, 1, 3)),
            later(name(Snapshot, 2, 3)),
        ];
        assert!(of_all.is_sorted(), "an epoch says nothing about age");
        let last = RecoveryName {
            id: parse_digits(&"f".repeat(32)).unwrap(),
            ..name(Snapshot, 2, 9)
        };
        assert!(last > name(Snapshot, 2, 9) && last < name(Snapshot, 2, 10));
    }
}
