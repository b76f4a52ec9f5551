//! The walk between rows and keys: finding a record key, placing a new one, destroying one.

use super::{Error, Inner};
use crate::{
    keyring::{self, LEAF, LEVELS, Place, fingerprint, tree},
    ledger::{
        Tx,
        keys::{self as rows, KeyEntry},
        shreds,
    },
    model::{artefact::Leg, id::RecordingId, name::Tier, time::Timestamp},
    secret::Key,
};

/// How long a leaf page belongs to the process that fills it; each deposit renews it.
const FILLER: std::time::Duration = std::time::Duration::from_secs(60);

impl Inner {
    /// The record key of a living recording.
    pub(super) async fn record_key(&self, tx: &mut Tx, id: RecordingId, leg: Leg) -> Result<Key, Error> {
        let entry = rows::find_entry(tx, id, leg).await?.ok_or(Error::Gone)?;
        let leaf = self.walk(tx, entry.place.page).await?;
        let key = leaf.page.key(entry.place.slot).map_err(|_| Error::Gone)?;
        if fingerprint(&key) == entry.fingerprint { Ok(key) } else { Err(Error::WrongKey) }
    }

    /// Gives a record key its place in the tier's tree, and enters it.
    pub(super) async fn place_key(
        &self,
        tx: &mut Tx,
        id: RecordingId,
        leg: Leg,
        tier: &Tier,
        key: &Key,
        now: Timestamp,
    ) -> Result<(), Error> {
        let fingerprint = fingerprint(key);
        if shreds::is_destroyed(tx, &fingerprint).await? {
            return Err(Error::Gone);
        }
        let until = now.after(FILLER);
        let place = match rows::claim_leaf(tx, tier.as_str(), self.filler, now, until).await? {
            Some(page) => {
                let mut leaf = self.walk(tx, page).await?;
                let slot = leaf.page.push(key)?;
                let leaf = leaf.seal(self.id, &mut rand::rng());
                rows::replace_page(tx, &leaf).await?;
                Place { page, slot }
            }
            None => {
                let mut leaf = self.grow(tx, tier.as_str(), until).await?;
                let (page, slot) = (leaf.page.id(), leaf.page.push(key)?);
                let leaf = leaf.seal(self.id, &mut rand::rng());
                rows::insert_page(tx, &leaf, self.filler, until).await?;
                Place { page, slot }
            }
        };
        Ok(rows::insert_entry(tx, id, leg, &KeyEntry { place, fingerprint }).await?)
    }

    /// Destroys a recording's key and its entry; the fingerprint of what was destroyed, `None` if there never was a key.
    pub(super) async fn destroy_key(&self, tx: &mut Tx, id: RecordingId, leg: Leg) -> Result<Option<String>, Error> {
        let Some(entry) = rows::find_entry(tx, id, leg).await? else { return Ok(None) };
        self.destroy_entry(tx, id, leg, &entry).await?;
        Ok(Some(entry.fingerprint))
    }

    /// Destroys the key in an entry's place, and the entry.
    pub(super) async fn destroy_entry(&self, tx: &mut Tx, id: RecordingId, leg: Leg, entry: &KeyEntry) -> Result<(), Error> {
        rows::lock(tx, entry.place.page).await?;
        let mut leaf = self.walk(tx, entry.place.page).await?;
        leaf.page.destroy(entry.place.slot)?;
        let leaf = leaf.seal(self.id, &mut rand::rng());
        rows::replace_page(tx, &leaf).await?;
        Ok(rows::remove_entry(tx, id, leg).await?)
    }

    /// A new leaf, hung under the lowest page of the tier that has room (the root page, for a tier's first), with the branches between.
    async fn grow(&self, tx: &mut Tx, tier: &str, until: Timestamp) -> Result<tree::Opened, Error> {
        let vault = self.id;
        let mut found = None;
        for level in LEAF + 1..LEVELS {
            if let Some(page) = rows::page_with_room(tx, tier, level).await? {
                found = Some((page, level));
                break;
            }
        }
        let (page, mut level) = match found {
            Some(found) => found,
            // A tier whose whole tree is full would need a second top branch, which `page_with_room` then finds like any other.
            None => (rows::root_page(tx).await?.ok_or(keyring::Error::Full)?, LEVELS),
        };
        let mut opened = self.walk(tx, page).await?;
        let mut is_new = false;
        while level > LEAF {
            level -= 1;
            let (above, below) = tree::hang(opened, tier, level, vault, &mut rand::rng())?;
            if is_new {
                rows::insert_page(tx, &above, self.filler, until).await?;
            } else {
                rows::replace_page(tx, &above).await?;
            }
            (opened, is_new) = (below, true);
        }
        Ok(opened)
    }
}
