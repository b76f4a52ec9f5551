//! What is sealed: the artefacts of a recording and the legs they belong to.

use std::{fmt, str::FromStr};

/// One kind of what is sealed of a recording. (Waveforms join here when they are built.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Artefact {
    /// The sound: WAV as the source gave it.
    Audio,
    /// What was said, as text in the house's own form.
    Transcript,
    /// Who took part, with address and name. It is no object in the store: the ledger has it
    /// (`details`).
    Parties,
}

impl Artefact {
    /// The word used in keys, rows, associated data and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Transcript => "transcript",
            Self::Parties => "parties",
        }
    }
}

impl fmt::Display for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no artefact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an artefact: expected `audio`, `transcript` or `parties`")]
pub struct UnknownArtefact;

impl FromStr for Artefact {
    type Err = UnknownArtefact;

    fn from_str(text: &str) -> Result<Self, UnknownArtefact> {
        match text {
            "audio" => Ok(Self::Audio),
            "transcript" => Ok(Self::Transcript),
            "parties" => Ok(Self::Parties),
            _ => Err(UnknownArtefact),
        }
    }
}

/// One participant's side of a recording. Today every recording has the one leg `all`; the word is
/// already in keys, rows and associated data so that each side can get a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leg {
    /// All sides together.
    All,
}

impl Leg {
    /// The word used in keys, rows and associated data.
    pub const fn as_str(self) -> &'static str {
        "all"
    }
}
