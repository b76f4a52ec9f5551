//! What the comparison of the source's list with the vault found. Counts only.

/// What one comparison of one account found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Reconciled {
    /// Recordings in the source's list.
    pub listed: u64,
    /// Of them, those that the vault did not know.
    pub announced: u64,
    /// Those of which the vault knew less, or whose work was missing or dead.
    pub advanced: u64,
    /// Those that should be gone at the source, and for whose deletion there was no work.
    pub erased: u64,
    /// Recordings that one side speaks of and nobody can have: announced here and unknown to the
    /// source, or deleted there before the vault had them.
    pub ghosts: u64,
    /// Those without a file, `absent` or `failed`, of which no callback told.
    pub absent_not_told: u64,
    /// Completed ones of which no callback told; those of SIP trunks, of which none ever does, are
    /// not counted.
    pub completed_not_told: u64,
}

impl Reconciled {
    /// How much was changed because of it.
    pub fn changes(&self) -> u64 {
        self.announced + self.advanced + self.erased
    }
}
