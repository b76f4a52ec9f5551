//! The attacker's knowledge: every version of all data that was ever in the database or in the
//! store, as edges between keys.
//!
//! Owns the closure. An edge means that a copy of the one key is sealed under the other. Edges are
//! never removed, because old copies are not. They are kept closed, so that keys without a name can
//! be dropped without losing the paths through them.

use super::state::{EPOCHS, Epoch, RECORDINGS, Recording};

/// The key of a page, by number. Keys are renumbered after each action; see [`Knowledge::keep`].
pub(crate) type Key = usize;

/// A set of record keys (the low bits) and keys of pages (the bits from [`RECORDINGS`] on).
pub(crate) type Keys = u64;

pub(crate) fn record(recording: Recording) -> Keys {
    1 << recording
}

fn page(key: Key) -> Keys {
    1 << (RECORDINGS + key)
}

/// For each relevant key, all keys that can be derived from it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Knowledge {
    roots: [Keys; EPOCHS],
    pages: Vec<Keys>,
}

impl Knowledge {
    /// Creates a key that is sealed nowhere.
    pub(crate) fn fresh(&mut self) -> Key {
        self.pages.push(0);
        assert!(
            RECORDINGS + self.pages.len() < 64,
            "a set of keys is 64 bits"
        );
        self.pages.len() - 1
    }

    /// Seals a record key under the key of a page (or of the journal, which is derived from the
    /// root page's).
    pub(crate) fn seal_record(&mut self, recording: Recording, under: Key) {
        self.add(under, record(recording));
    }

    /// Seals the key of a page under that of another.
    pub(crate) fn seal_page(&mut self, key: Key, under: Key) {
        self.add(under, page(key) | self.pages[key]);
    }

    /// Seals the key of a root page under a root key.
    pub(crate) fn seal_root_page(&mut self, key: Key, under: Epoch) {
        self.roots[usize::from(under)] |= page(key) | self.pages[key];
    }

    fn add(&mut self, under: Key, keys: Keys) {
        let through = page(under);
        self.pages[under] |= keys;
        for reach in self
            .roots
            .iter_mut()
            .chain(&mut self.pages)
            .filter(|reach| **reach & through != 0)
        {
            *reach |= keys;
        }
    }

    /// Removes a root key that no longer exists.
    pub(crate) fn forget_root(&mut self, epoch: Epoch) {
        self.roots[usize::from(epoch)] = 0;
    }

    /// Whether an attacker with all of the present custody has the key of this recording.
    pub(crate) fn reaches(&self, recording: Recording) -> bool {
        self.roots
            .iter()
            .any(|reach| reach & record(recording) != 0)
    }

    /// Keeps only these keys of pages, numbered in this order.
    pub(crate) fn keep(&mut self, kept: &[Key]) {
        let renumber = |reach: Keys| {
            let records = reach & (page(0) - 1);
            kept.iter()
                .enumerate()
                .filter(|(_, old)| reach & page(**old) != 0)
                .fold(records, |keys, (new, _)| keys | page(new))
        };
        self.pages = kept.iter().map(|&old| renumber(self.pages[old])).collect();
        self.roots = self.roots.map(renumber);
    }
}
