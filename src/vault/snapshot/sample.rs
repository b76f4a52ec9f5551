//! A sample of living keys, found through a snapshot's own pages.
//!
//! Owns the choice of keys (each entry with equal probability) and the walk to them. It requires
//! entries first and pages from the leaves up, as in a snapshot, and keeps only the pages above the
//! sample.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt as _;

use crate::{
    db::{
        image::{self, Image, Table},
        keys,
    },
    keyring::{self, PageRow, PageSlot, RootKey, SERVICE, ServiceKeys, fingerprint, tree},
    model::id::{PageId, VaultId},
    secret::Key,
    vault::error::Error,
};

/// Entries to try, and the pages above them.
pub(super) struct Sample {
    size: usize,
    seen: usize,
    entries: Vec<keys::KeyEntry>,
    wanted: BTreeSet<PageId>,
    pages: BTreeMap<PageId, PageRow>,
    service: Option<PageId>,
}

impl Sample {
    pub(super) fn of(size: usize) -> Self {
        Self {
            size,
            seen: 0,
            entries: Vec::new(),
            wanted: BTreeSet::new(),
            pages: BTreeMap::new(),
            service: None,
        }
    }

    /// Takes a row into account.
    pub(super) fn take(&mut self, row: &Image) -> Result<(), Error> {
        match row.table() {
            Table::KeyEntries => self.entry(image::entry_of(row)?),
            Table::Pages => self.page(image::page_of(row)?),
            _ => {}
        }
        Ok(())
    }

    /// Algorithm R (Vitter 1985): after n entries each of them is in the sample with probability
    /// size/n.
    fn entry(&mut self, entry: keys::KeyEntry) {
        self.seen += 1;
        if self.entries.len() < self.size {
            self.entries.push(entry);
        } else if let Some(place) = self.entries.get_mut(rand::rng().random_range(0..self.seen)) {
            *place = entry;
        }
    }

    fn page(&mut self, page: PageRow) {
        if self.wanted.is_empty() && self.pages.is_empty() {
            self.wanted = self.entries.iter().map(|entry| entry.place.page).collect();
        }
        if page.tier == SERVICE {
            self.service = Some(page.id);
        } else if !self.wanted.contains(&page.id) {
            return;
        }
        self.wanted.extend(page.parent.map(|parent| parent.page));
        self.pages.insert(page.id, page);
    }

    /// Walks to every key of the sample, to the key of the vault's pseudonyms of people, and to the
    /// signing seed. Returns how many record keys.
    ///
    /// # Errors
    /// [`Error::Keyring`] where the path is broken; [`Error::WrongKey`] if a key does not match its
    /// entry.
    pub(super) fn walk(&self, root: &RootKey, vault: VaultId, subject: &Key) -> Result<u64, Error> {
        let service = self.path(self.service.ok_or(keyring::Error::BrokenPath)?);
        let service = tree::walk(service, root, vault)?;
        if ServiceKeys::of(&service.page)?.subject != *subject {
            return Err(Error::WrongKey);
        }
        keyring::signing_seed(&service.page)?;
        for entry in &self.entries {
            let PageSlot { page, slot } = entry.place;
            let key = tree::walk(self.path(page), root, vault)?.page.key(slot)?;
            if fingerprint(&key) != entry.fingerprint {
                return Err(Error::WrongKey);
            }
        }
        Ok(self.entries.len() as u64)
    }

    /// Returns the pages from the root down to `page`, as far as they exist.
    fn path(&self, page: PageId) -> Vec<PageRow> {
        let mut path: Vec<PageRow> = Vec::new();
        let mut next = self.pages.get(&page);
        while let Some(page) = next.filter(|_| path.len() <= usize::from(tree::ROOT_LEVEL)) {
            path.push(page.clone());
            next = page.parent.and_then(|parent| self.pages.get(&parent.page));
        }
        path.reverse();
        path
    }
}
