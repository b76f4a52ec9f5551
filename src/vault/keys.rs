//! The walk between rows and keys: finding a record key, placing a new one, destroying one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Inner, error::Error};
use crate::{
    db::{
        Term, Tx,
        keys::{self as key_rows, KeyEntries, KeyEntry},
        shreds,
    },
    keyring::{self, LEAF, LEVELS, PageRow, PageSlot, fingerprint, tree},
    model::{
        artefact::Leg,
        id::{PageId, RecordingId},
        name::Tier,
        time::Timestamp,
    },
    secret::Key,
};

/// How long a leaf page is reserved for the process that fills it; each deposit renews it.
const FILLER: std::time::Duration = std::time::Duration::from_secs(60);

/// Record keys that are to be stored, by the tier of their recordings.
pub(super) type NewRecordKeys<'a> = BTreeMap<&'a Tier, Vec<(RecordingId, Leg, &'a Key)>>;

/// Leaves with room, locked for a unit.
pub(super) struct ClaimedLeaves {
    free: BTreeMap<String, VecDeque<PageId>>,
    until: Timestamp,
}

impl Inner {
    /// Returns the record key of a living recording.
    pub(super) async fn record_key(
        &self,
        tx: &mut Tx,
        id: RecordingId,
        leg: Leg,
    ) -> Result<Key, Error> {
        let entry = key_rows::find_entry(tx, id, leg)
            .await?
            .ok_or(Error::Gone)?;
        let leaf = self.walk(tx, entry.place.page).await?;
        let key = leaf.page.key(entry.place.slot).map_err(|_| Error::Gone)?;
        if fingerprint(&key) == entry.fingerprint {
            Ok(key)
        } else {
            Err(Error::WrongKey)
        }
    }

    /// Returns the living record keys of one leg of these recordings.
    pub(super) async fn record_keys(
        &self,
        tx: &mut Tx,
        ids: &[RecordingId],
        leg: Leg,
    ) -> Result<Vec<(RecordingId, Key)>, Error> {
        let mut entries = key_rows::find_entries(tx, ids).await?;
        entries.retain(|(_, of), _| *of == leg);
        let keys = self.keys_at(tx, entries).await?;
        Ok(keys.into_iter().map(|(id, _, key)| (id, key)).collect())
    }

    /// Returns the living record keys of every leg of these recordings.
    pub(super) async fn keys_of_every_leg(
        &self,
        tx: &mut Tx,
        ids: &[RecordingId],
    ) -> Result<Vec<(RecordingId, Leg, Key)>, Error> {
        let entries = key_rows::find_entries(tx, ids).await?;
        self.keys_at(tx, entries).await
    }

    /// Returns the keys in the slots of entries.
    async fn keys_at(
        &self,
        tx: &mut Tx,
        entries: KeyEntries,
    ) -> Result<Vec<(RecordingId, Leg, Key)>, Error> {
        let leaves = self
            .walk_all(
                tx,
                &entries.values().map(|entry| entry.place.page).collect(),
            )
            .await?;
        let mut keys = Vec::with_capacity(entries.len());
        for (
            (id, leg),
            KeyEntry {
                place,
                fingerprint: public,
            },
        ) in entries
        {
            let leaf = leaves.get(&place.page).ok_or(keyring::Error::BrokenPath)?;
            match leaf.page.key(place.slot) {
                Ok(key) if fingerprint(&key) == public => keys.push((id, leg, key)),
                Ok(_) => return Err(Error::WrongKey),
                Err(_) => {}
            }
        }
        Ok(keys)
    }

    /// Stores a record key in the tier's tree, and enters it.
    pub(super) async fn place_key(
        &self,
        tx: &mut Tx,
        id: RecordingId,
        leg: Leg,
        tier: &Tier,
        key: &Key,
    ) -> Result<(), Error> {
        let keys = NewRecordKeys::from([(tier, vec![(id, leg, key)])]);
        let claimed = self.claim(tx, &keys, &BTreeSet::new()).await?;
        self.place_keys(tx, keys, claimed).await
    }

    /// Claims leaves for these keys, and locks them together with the leaves `beside` them, which
    /// the unit changes, too. A unit does this once, before it changes any page.
    pub(super) async fn claim(
        &self,
        tx: &mut Tx,
        keys: &NewRecordKeys<'_>,
        beside: &BTreeSet<PageId>,
    ) -> Result<ClaimedLeaves, Error> {
        let term = Term::begin(tx, FILLER).await?;
        let counts = keys.iter().map(|(tier, keys)| (tier.as_str(), keys.len()));
        let counts = counts.collect();
        let claimed = key_rows::claim_leaves(tx, &counts, beside, self.filler, term);
        let mut free: BTreeMap<String, VecDeque<PageId>> = BTreeMap::new();
        for (tier, page) in claimed.await? {
            free.entry(tier).or_default().push_back(page);
        }
        let until = term.until();
        Ok(ClaimedLeaves { free, until })
    }

    /// Stores record keys in the trees of their tiers, and enters them. Each leaf is opened and
    /// written once, however many of the keys it gets.
    pub(super) async fn place_keys(
        &self,
        tx: &mut Tx,
        keys: NewRecordKeys<'_>,
        claimed: ClaimedLeaves,
    ) -> Result<(), Error> {
        let fingerprints = keys.values().flatten().map(|(_, _, key)| fingerprint(key));
        let fingerprints: Vec<String> = fingerprints.collect();
        if shreds::is_any_destroyed(tx, &fingerprints).await? {
            return Err(Error::Gone);
        }
        let ClaimedLeaves { mut free, until } = claimed;
        let mut entries = KeyEntries::new();
        for (tier, keys) in keys {
            let free = free.remove(tier.as_str()).unwrap_or_default();
            let placed = self.fill(tx, tier, &keys, free, until).await?;
            entries.extend(placed);
        }
        Ok(key_rows::insert_entries(tx, entries).await?)
    }

    /// Stores keys in these leaves of a tier, which are locked, and then in new ones.
    async fn fill(
        &self,
        tx: &mut Tx,
        tier: &Tier,
        keys: &[(RecordingId, Leg, &Key)],
        mut free: VecDeque<PageId>,
        until: Timestamp,
    ) -> Result<KeyEntries, Error> {
        let mut entries = KeyEntries::new();
        let mut left = keys.iter().peekable();
        while left.peek().is_some() {
            let claimed = free.pop_front();
            let mut leaf = match claimed {
                Some(page) => self.walk(tx, page).await?,
                None => self.add_leaf(tx, tier.as_str(), until).await?,
            };
            let page = leaf.page.id();
            // A leaf that was claimed or added has room.
            while let Some((id, leg, key)) = left.peek() {
                let slot = match leaf.page.push(key) {
                    Err(keyring::Error::Full) => break,
                    slot => slot?,
                };
                let entry = KeyEntry {
                    place: PageSlot { page, slot },
                    fingerprint: fingerprint(key),
                };
                entries.insert((*id, *leg), entry);
                left.next();
            }
            let leaf = leaf.seal(self.id, &mut rand::rng());
            match claimed {
                Some(_) => key_rows::replace_page(tx, &leaf).await?,
                None => key_rows::insert_page(tx, &leaf, self.filler, until).await?,
            }
        }
        Ok(entries)
    }

    /// Destroys the keys of every leg of recordings, and their entries. Returns the fingerprints of
    /// the destroyed keys.
    pub(super) async fn destroy_keys(
        &self,
        tx: &mut Tx,
        ids: &[RecordingId],
    ) -> Result<BTreeMap<RecordingId, BTreeMap<Leg, String>>, Error> {
        let entries = key_rows::find_entries(tx, ids).await?;
        self.destroy_entries(tx, &entries).await?;
        let mut destroyed: BTreeMap<RecordingId, BTreeMap<Leg, String>> = BTreeMap::new();
        for ((id, leg), entry) in entries {
            let of_recording = destroyed.entry(id).or_default();
            of_recording.insert(leg, entry.fingerprint);
        }
        Ok(destroyed)
    }

    /// Destroys the keys in the slots of entries, and the entries. Each leaf is opened and written
    /// once, however many of its keys are destroyed.
    pub(super) async fn destroy_entries(
        &self,
        tx: &mut Tx,
        entries: &KeyEntries,
    ) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let pages: BTreeSet<PageId> = entries.values().map(|entry| entry.place.page).collect();
        key_rows::lock(tx, &pages).await?;
        let mut leaves = self.walk_all(tx, &pages).await?;
        for KeyEntry { place, .. } in entries.values() {
            leaves
                .get_mut(&place.page)
                .ok_or(keyring::Error::BrokenPath)?
                .page
                .destroy(place.slot)?;
        }
        let leaves: Vec<PageRow> = leaves
            .into_values()
            .map(|leaf| leaf.seal(self.id, &mut rand::rng()))
            .collect();
        key_rows::replace_pages(tx, &leaves).await?;
        Ok(key_rows::remove_entries(tx, &entries.keys().copied().collect()).await?)
    }

    /// Adds a leaf, attached to the lowest page of the tier that has room (the root page, for a
    /// tier's first), with the branches between.
    async fn add_leaf(
        &self,
        tx: &mut Tx,
        tier: &str,
        until: Timestamp,
    ) -> Result<tree::OpenedPage, Error> {
        let vault = self.id;
        let root = key_rows::root_page(tx).await?.ok_or(keyring::Error::Full)?;
        // Whoever lets the tree grow holds the root page: pages above leaves have one writer.
        key_rows::lock(tx, &BTreeSet::from([root])).await?;
        let mut found = None;
        for level in LEAF + 1..LEVELS {
            if let Some(page) = key_rows::page_with_room(tx, tier, level).await? {
                found = Some((page, level));
                break;
            }
        }
        let (page, mut level) = match found {
            Some(found) => found,
            // A tier whose whole tree is full would need a second top branch, which
            // `page_with_room` then finds like any other.
            None => (root, LEVELS),
        };
        let mut opened = self.walk(tx, page).await?;
        let mut is_new = false;
        while level > LEAF {
            level -= 1;
            let (above, below) = tree::attach(opened, tier, level, vault, &mut rand::rng())?;
            if is_new {
                key_rows::insert_page(tx, &above, self.filler, until).await?;
            } else {
                key_rows::replace_page(tx, &above).await?;
            }
            (opened, is_new) = (below, true);
        }
        Ok(opened)
    }
}
