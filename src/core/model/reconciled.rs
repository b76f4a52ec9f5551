//! The result of comparing the source's list with the vault. Counts only.

/// The result for one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Reconciled {
    /// Recordings in the source's list.
    pub listed: u64,
    /// Those of them that were unknown to the vault.
    pub announced: u64,
    /// Those whose known state was older, or whose work was missing or dead.
    pub advanced: u64,
    /// Those that should have been deleted at the source, and for whose deletion there was no work.
    pub erased: u64,
    /// Recordings that one side lists and that cannot be retrieved: announced here and unknown to
    /// the source, or deleted there before the vault had them.
    pub ghosts: u64,
    /// Those without a file, `absent` or `failed`, for which no callback arrived.
    pub absent_not_told: u64,
    /// Completed ones for which no callback arrived; recordings of SIP trunks, which have no
    /// callbacks, are not counted.
    pub completed_not_told: u64,
    /// Messages that came in, and of which neither a callback nor an event told.
    pub messages_not_told: u64,
}

impl Reconciled {
    /// Returns how many changes it caused.
    pub fn changes(&self) -> u64 {
        self.announced + self.advanced + self.erased
    }
}
