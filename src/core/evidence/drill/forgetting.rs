//! The first half of a drill: an attacker with every old copy and the vault's present root reaches
//! nothing that is shredded.

/// The attack and its results.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgetting {
    /// Databases, snapshots and pieces of the journal that were examined, including the live ones.
    pub artefacts: u64,
    /// How many of them could not be read at all; must be 0.
    pub unreadable: u64,
    /// SHA-256 of their list as compact JSON, lower-case hex; the list is printed beside the
    /// evidence.
    pub artefacts_sha256: String,
    /// Whether no old copy was given, and the drill made old copies of a small vault of its own.
    pub own_artefacts: bool,
    /// Distinct versions of key pages found in them.
    pub page_versions: u64,
    /// How many of these opened.
    pub page_versions_opened: u64,
    /// Record keys that were reached, of all versions together.
    pub keys_reached: u64,
    /// Shredded recordings that a completed turn covers.
    pub shredded: u64,
    /// How many of these were reached; must be 0.
    pub shredded_reached: u64,
    /// Shredded recordings that wait for the next turn: until then an old copy may still open them.
    pub waiting: u64,
    /// How many of these were reached.
    pub waiting_reached: u64,
    /// Living recordings.
    pub living: u64,
    /// How many of these were reached from the live rows; must be all. It shows that the attack
    /// finds existing keys.
    pub living_reached: u64,
    /// The same attack on the drill's own small vault, if no old copy was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Forgetting {
    /// Returns whether this half succeeded.
    pub fn holds(&self) -> bool {
        self.unreadable == 0
            && self.shredded_reached == 0
            && self.living_reached == self.living
            && self.canary.as_ref().is_none_or(Canary::holds)
    }

    /// Returns whether the numbers are consistent.
    pub(super) fn is_possible(&self) -> bool {
        let is_digest = self.artefacts_sha256.len() == 64
            && self
                .artefacts_sha256
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_digest
            && self.unreadable <= self.artefacts
            && self.page_versions_opened <= self.page_versions
            && self.shredded_reached <= self.shredded
            && self.waiting_reached <= self.waiting
            && self.living_reached <= self.living
            && self.own_artefacts == self.canary.is_some()
            && self.canary.as_ref().is_none_or(Canary::is_possible)
    }
}

/// A small vault that the drill creates: copied, shredded, copied again, turned; then attacked with
/// its old copies.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Old copies that were examined.
    pub artefacts: u64,
    /// Distinct versions of key pages found in them.
    pub page_versions: u64,
    /// Recordings that were shredded before the turn.
    pub shredded: u64,
    /// How many of these were reached after it; must be 0.
    pub shredded_reached: u64,
    /// Living recordings.
    pub living: u64,
    /// How many of these were reached; must be all.
    pub living_reached: u64,
    /// Shredded recordings that the same attack reached with the root page key from before the
    /// turn.
    pub shredded_reached_with_old_root: u64,
    /// Whether these were all, which shows that the attack works.
    pub closure_bites: bool,
}

impl Canary {
    /// Returns whether this half succeeded.
    pub fn holds(&self) -> bool {
        self.shredded > 0
            && self.shredded_reached == 0
            && self.living > 0
            && self.living_reached == self.living
            && self.closure_bites
    }

    fn is_possible(&self) -> bool {
        self.shredded_reached <= self.shredded
            && self.living_reached <= self.living
            && self.shredded_reached_with_old_root <= self.shredded
            && self.closure_bites
                == (self.shredded > 0 && self.shredded_reached_with_old_root == self.shredded)
    }
}
