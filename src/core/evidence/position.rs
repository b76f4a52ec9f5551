//! A position in the audit log: the number of an entry, and the entry's digest.
//!
//! Two logs that agree on a number but not on the digest of its entry are two histories: one of
//! them was restored from an old copy and diverged. Owns the digest. Refuses to know where
//! positions are stored and which code compares them.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::model::{
    encoding::length_prefixed,
    timeline::{LogPoint, Timeline},
};

/// The SHA-256 of an entry's number, time, actor, event, recording, details and, if it comes from a
/// lost timeline, its number there, each preceded by its length.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntryDigest([u8; 32]);

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest of an audit entry: expected 64 lower-case hex digits")]
pub struct InvalidDigest;

/// The number of an audit entry, the timeline in which the log has it, and its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// The timeline in which the log assigned the number.
    pub timeline: Timeline,
    /// The number of the entry, from 1.
    pub seq: i64,
    /// The entry's digest.
    pub digest: EntryDigest,
}

impl Position {
    /// Returns the position of an entry of a log in this timeline.
    pub fn of(timeline: Timeline, entry: &Entry) -> Self {
        let recording = entry.recording.map(|id| id.to_string()).unwrap_or_default();
        let actor = entry.actor.to_string();
        let details = entry.details.to_string();
        let told = entry.told.map(|told| {
            let timeline = told.timeline.number().to_be_bytes();
            [timeline, told.seq.to_be_bytes()].concat()
        });
        let seq = entry.seq.to_be_bytes();
        let at = entry.at.as_millis().to_be_bytes();
        let named = length_prefixed(&[
            b"recvault/audit-entry/1",
            &seq,
            &at,
            actor.as_bytes(),
            entry.event.as_str().as_bytes(),
            recording.as_bytes(),
            details.as_bytes(),
            told.as_deref().unwrap_or_default(),
        ]);
        let mut digest = [0; 32];
        digest.copy_from_slice(digest::digest(&digest::SHA256, &named).as_ref());
        Self {
            timeline,
            seq: entry.seq,
            digest: EntryDigest(digest),
        }
    }

    /// Returns its point.
    pub fn point(&self) -> LogPoint {
        LogPoint {
            timeline: self.timeline,
            seq: self.seq,
        }
    }
}

impl fmt::Display for EntryDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for EntryDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EntryDigest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidDigest)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Err(InvalidDigest)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl Serialize for EntryDigest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryDigest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::AuditEvent,
        model::{
            actor::{Actor, Initiator},
            id::RecordingId,
            time::Timestamp,
        },
    };

    #[test]
    fn every_field_of_an_entry_changes_its_digest() {
        let rng = &mut rand::rng();
        let entry = || Entry {
            seq: 7,
            at: Timestamp::from_millis(1_000),
            actor: Actor::Vault,
            event: AuditEvent::RootDestroyed,
            recording: None,
            details: "{}".parse().unwrap(),
            told: None,
        };
        let of = |entry: &Entry| Position::of(Timeline::FIRST, entry);
        let known = of(&entry());
        assert_eq!(known, of(&entry()));
        let elsewhere = Position::of(Timeline::FIRST.next(), &entry());
        assert_ne!(known, elsewhere, "the same number in another timeline");
        let others = [
            Entry { seq: 8, ..entry() },
            Entry {
                at: Timestamp::from_millis(1_001),
                ..entry()
            },
            Entry {
                actor: Initiator::Operator.actor(),
                ..entry()
            },
            Entry {
                event: AuditEvent::RootCondemned,
                ..entry()
            },
            Entry {
                recording: Some(RecordingId::random(rng)),
                ..entry()
            },
            Entry {
                details: r#"{"epoch":2}"#.parse().unwrap(),
                ..entry()
            },
            Entry {
                told: Some(known.point()),
                ..entry()
            },
        ];
        for other in others {
            assert_ne!(known.digest, of(&other).digest, "{other:?}");
        }
    }

    #[test]
    fn a_digest_has_one_text_form() {
        let text = "0a".repeat(32);
        assert_eq!(text.parse::<EntryDigest>().unwrap().to_string(), text);
        for bad in ["", "0a", &text.to_uppercase(), &format!("{text}00")] {
            assert_eq!(bad.parse::<EntryDigest>(), Err(InvalidDigest), "{bad}");
        }
    }
}
