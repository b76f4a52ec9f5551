//! The copies of a shredded recording, and the state of each.
//!
//! Owns the possible states of a copy and their form in a receipt,
//! `{"copy": …, "state": …, "at": …, "until": …}`. Refuses a state that a copy cannot have: a key that is not
//! destroyed, ciphertext that was "destroyed".

use crate::model::time::Timestamp;

/// One copy of a shredded recording, and its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(into = "WireCopy", try_from = "WireCopy")]
pub enum HeldCopy {
    /// The only live copy of the key. A receipt exists only once it is destroyed.
    KeyEntry {
        /// When.
        destroyed_at: Timestamp,
    },
    /// The ciphertext in the vault's store; it does not open without its key.
    Ciphertext(Removal),
    /// The source's copies of audio and transcripts, which were never under the vault's keys.
    Source(Removal),
}

impl HeldCopy {
    /// Returns whether both are the same copy, regardless of its state.
    pub(super) fn is_same_copy(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The state of the deletion of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Deleted at this time, according to the party that stores it.
    Removed(Timestamp),
    /// To be deleted; the vault continues to try.
    Pending,
    /// To be deleted; the party that stores it refuses until it is complete.
    NotDeletableYet {
        /// When that should be over by the party's own statement; from then on the vault treats it
        /// as a fault.
        until: Timestamp,
    },
    /// The vault does not know and does not try to delete it.
    Unknown,
}

impl Removal {
    /// Returns whether the deletion is still to be done.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::NotDeletableYet { .. })
    }

    /// Returns what this means for the source's copies, in a sentence or two for people.
    pub fn source_text(self) -> String {
        match self {
            Self::Removed(at) => format!(
                "Every copy that the vault found at the source (Twilio) is deleted since {at}, as \
                 the source reports."
            ),
            Self::Pending => "Copies at the source (Twilio) are still to be deleted; the vault \
                              retries their deletion."
                .to_owned(),
            Self::NotDeletableYet { until } => format!(
                "The source (Twilio) does not delete a copy yet, because it is not complete there: \
                 usually for minutes, by its own statement for 14 days at most. The vault retries \
                 the deletion, and raises an alarm if the copy is still there at {until}."
            ),
            Self::Unknown => {
                "It is unknown whether the source (Twilio) still has copies: this vault does not \
                 delete there, or cannot delete all copies. This receipt promises nothing about \
                 the source's copies."
                    .to_owned()
            }
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCopy {
    copy: WireKind,
    state: WireState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireKind {
    KeyEntry,
    Ciphertext,
    Source,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WireState {
    Destroyed,
    Removed,
    Pending,
    NotDeletableYet,
    Unknown,
}

impl From<HeldCopy> for WireCopy {
    fn from(copy: HeldCopy) -> Self {
        let (copy, removal) = match copy {
            HeldCopy::KeyEntry { destroyed_at } => {
                return Self {
                    copy: WireKind::KeyEntry,
                    state: WireState::Destroyed,
                    at: Some(destroyed_at),
                    until: None,
                };
            }
            HeldCopy::Ciphertext(removal) => (WireKind::Ciphertext, removal),
            HeldCopy::Source(removal) => (WireKind::Source, removal),
        };
        let (state, at, until) = match removal {
            Removal::Removed(at) => (WireState::Removed, Some(at), None),
            Removal::Pending => (WireState::Pending, None, None),
            Removal::NotDeletableYet { until } => (WireState::NotDeletableYet, None, Some(until)),
            Removal::Unknown => (WireState::Unknown, None, None),
        };
        Self {
            copy,
            state,
            at,
            until,
        }
    }
}

impl TryFrom<WireCopy> for HeldCopy {
    type Error = &'static str;

    fn try_from(wire: WireCopy) -> Result<Self, &'static str> {
        let removal = match (wire.state, wire.at, wire.until) {
            (WireState::Destroyed, Some(destroyed_at), None)
                if matches!(wire.copy, WireKind::KeyEntry) =>
            {
                return Ok(Self::KeyEntry { destroyed_at });
            }
            (WireState::Removed, Some(at), None) => Removal::Removed(at),
            (WireState::Pending, None, None) => Removal::Pending,
            (WireState::NotDeletableYet, None, Some(until))
                if matches!(wire.copy, WireKind::Source) =>
            {
                Removal::NotDeletableYet { until }
            }
            (WireState::Unknown, None, None) => Removal::Unknown,
            _ => {
                return Err(
                    "a copy has a state that it cannot have, or that contradicts `at` or `until`",
                );
            }
        };
        match wire.copy {
            WireKind::KeyEntry => Err("a key entry that is not destroyed has no receipt"),
            WireKind::Ciphertext => Ok(Self::Ciphertext(removal)),
            WireKind::Source => Ok(Self::Source(removal)),
        }
    }
}
