//! The copies of a shredded recording, and what became of each.
//!
//! Owns which fates a copy can have and their form in a receipt,
//! `{"copy": …, "state": …, "at": …}`. Refuses a fate that a copy cannot have: a key that is not
//! destroyed, ciphertext that was "destroyed".

use crate::model::time::Timestamp;

/// One copy of what was shredded, and what became of it.
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
    /// The source's copies of audio and transcripts, which never were under the vault's keys.
    Source(Removal),
}

impl HeldCopy {
    /// Whether both are about the same copy, whatever became of it.
    pub(super) fn is_same_copy(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// What became of bytes that were to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Deleted at this time, as far as whoever keeps it says.
    Removed(Timestamp),
    /// To be deleted; the vault goes on trying.
    Pending,
    /// The vault does not know and does not try.
    Unknown,
}

impl Removal {
    /// What it means of the source's copies, as a sentence or two for people.
    pub fn source_text(self) -> String {
        match self {
            Self::Removed(at) => format!(
                "Every copy that the vault found at the source (Twilio) is deleted since {at}, as \
                 the source reports. The source keeps the metadata of a deleted recording (times, \
                 call, duration) for 40 days after its deletion."
            ),
            Self::Pending => "Copies at the source (Twilio) are still to be deleted; the vault \
                              retries their deletion."
                .to_owned(),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
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
                };
            }
            HeldCopy::Ciphertext(removal) => (WireKind::Ciphertext, removal),
            HeldCopy::Source(removal) => (WireKind::Source, removal),
        };
        let (state, at) = match removal {
            Removal::Removed(at) => (WireState::Removed, Some(at)),
            Removal::Pending => (WireState::Pending, None),
            Removal::Unknown => (WireState::Unknown, None),
        };
        Self { copy, state, at }
    }
}

impl TryFrom<WireCopy> for HeldCopy {
    type Error = &'static str;

    fn try_from(wire: WireCopy) -> Result<Self, &'static str> {
        let removal = match (wire.state, wire.at) {
            (WireState::Destroyed, Some(destroyed_at))
                if matches!(wire.copy, WireKind::KeyEntry) =>
            {
                return Ok(Self::KeyEntry { destroyed_at });
            }
            (WireState::Removed, Some(at)) => Removal::Removed(at),
            (WireState::Pending, None) => Removal::Pending,
            (WireState::Unknown, None) => Removal::Unknown,
            _ => {
                return Err(
                    "a copy has a state that contradicts `at`, or that only a key entry can have",
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
