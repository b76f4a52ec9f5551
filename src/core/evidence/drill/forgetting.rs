//! The first half of a drill: whoever kept every old copy, and has the vault's present root,
//! reaches nothing that is shredded.

/// What was attacked, and what was reached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgetting {
    /// Databases, snapshots and pieces of the journal that were looked at, the live ones among
    /// them.
    pub artefacts: u64,
    /// How many of them could not be read at all; none, if it holds.
    pub unreadable: u64,
    /// SHA-256 of their list as compact JSON, lower-case hex; the list is printed beside the
    /// evidence.
    pub artefacts_sha256: String,
    /// Whether no old copy was given, and the drill made old copies of a small vault of its own.
    pub own_artefacts: bool,
    /// Different versions of key pages that were found in them.
    pub page_versions: u64,
    /// How many of these opened.
    pub page_versions_opened: u64,
    /// Record keys that were reached, of all versions together.
    pub keys_reached: u64,
    /// Recordings that are shredded and that a finished turn covers.
    pub shredded: u64,
    /// How many of these were reached; none, if it holds.
    pub shredded_reached: u64,
    /// Recordings that are shredded and wait for the next turn: until then an old copy may still
    /// open them.
    pub waiting: u64,
    /// How many of these were reached.
    pub waiting_reached: u64,
    /// Recordings that live.
    pub living: u64,
    /// How many of these were reached from the live rows; all, if it holds. It shows that the
    /// attack can find what is there.
    pub living_reached: u64,
    /// The same with the drill's own small vault, where no old copy was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Forgetting {
    /// Whether it went as it must.
    pub fn holds(&self) -> bool {
        self.unreadable == 0
            && self.shredded_reached == 0
            && self.living_reached == self.living
            && self.canary.as_ref().is_none_or(Canary::holds)
    }

    /// Whether the numbers can be those of a drill.
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

/// A small vault of the drill's own: copied, shredded, copied again, turned; then attacked with its
/// old copies.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Old copies that were looked at.
    pub artefacts: u64,
    /// Different versions of key pages that were found in them.
    pub page_versions: u64,
    /// Recordings that were shredded before the turn.
    pub shredded: u64,
    /// How many of these were reached after it; none, if it holds.
    pub shredded_reached: u64,
    /// Recordings that live.
    pub living: u64,
    /// How many of these were reached; all, if it holds.
    pub living_reached: u64,
    /// Shredded ones that were reached by the same attack when it was given the root page's key
    /// from before the turn.
    pub shredded_reached_with_old_root: u64,
    /// Whether these were all: the attack is not blind.
    pub closure_bites: bool,
}

impl Canary {
    /// Whether it went as it must.
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
