//! A page: up to 128 child keys, sealed together under a key that the parent page holds.
//!
//! ```text
//! sealed = nonce (12) ‖ AES-256-GCM(page key, nonce, 128 × 32 bytes, associated data) ‖ tag (16)      = 4124 bytes
//! associated data = "recvault/page/1" ‖ vault id ‖ page id ‖ tier ‖ level ‖ generation, each with its length before it
//! ```
//!
//! The nonce is random, and a page key seals at most as many generations as the page is written in
//! one epoch, far below the 2³² limit of NIST SP 800-38D, section 8.3.
//!
//! INVARIANT: an empty slot is 32 zero bytes; a new key never gets a slot that was used before
//! (`used` only grows). Only `replace` changes a slot, which then holds its child's next key.

use rand::CryptoRng;

use super::aead;
use crate::{
    model::{
        encoding::length_prefixed,
        id::{PageId, VaultId},
    },
    secret::{Key, SecretBuffer},
};

/// Children of one page.
pub const FAN_OUT: usize = 128;

/// Why a page cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong key, wrong position or altered bytes; these cannot be distinguished.
    #[error("a key page does not open: wrong root key, or the row was altered or moved")]
    NotAuthentic,
    /// The path's rows are not root page, branches and leaf in order.
    #[error("the key tree is inconsistent: a page's parent is missing or is another page")]
    BrokenPath,
    /// The slot holds no key: it was never filled, or it was shredded.
    #[error("the key is not in the page: it was destroyed or moved")]
    Gone,
    /// No free slot is left on the page.
    #[error("the page is full")]
    Full,
    /// The tree belongs to the root of another epoch than the present key.
    #[error("the key tree is of epoch {0}")]
    OtherEpoch(u64),
}

/// A page as the database stores it. Ciphertext and plain bookkeeping; safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRow {
    /// Its id.
    pub id: PageId,
    /// The tier whose keys it holds; `~root` and `~service` are not tiers of the policy.
    pub tier: String,
    /// Distance from the leaves; the root page has the highest level.
    pub level: u8,
    /// How often it was written; part of the associated data, and the database's check against
    /// concurrent writers.
    pub generation: i64,
    /// The page and slot that hold this page's key. The root page has none.
    pub parent: Option<PageSlot>,
    /// Slots handed out so far, 0 to 128.
    pub used: u8,
    /// The epoch in which this page's key was made; for the root page, the epoch whose root opens
    /// it.
    pub epoch: u64,
    /// Whether an older copy of this page holds a key that must be destroyed: the page needs a new
    /// key in the next turn.
    pub stale: bool,
    /// The sealed slots.
    pub sealed: Vec<u8>,
}

/// A slot on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSlot {
    /// The page.
    pub page: PageId,
    /// The slot, 0 to 127.
    pub slot: u8,
}

/// An opened page.
pub struct KeyPage {
    row: PageRow,
    slots: SecretBuffer,
}

impl KeyPage {
    /// Makes a new empty page whose key belongs in `parent`; not yet sealed.
    pub fn empty(
        tier: &str,
        level: u8,
        parent: Option<PageSlot>,
        epoch: u64,
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let id = PageId::random(rng);
        let tier = tier.to_owned();
        let row = PageRow {
            id,
            tier,
            level,
            generation: 0,
            parent,
            used: 0,
            epoch,
            stale: false,
            sealed: Vec::new(),
        };
        Self {
            row,
            slots: SecretBuffer::zeroed(FAN_OUT * Key::LEN),
        }
    }

    /// Opens a row.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`] for a wrong key, vault, id, tier, level, generation, or any altered
    /// byte.
    pub fn open(row: PageRow, key: &Key, vault: VaultId) -> Result<Self, Error> {
        let slots = aead::open(key, &row.sealed, &associated_data(vault, &row))
            .filter(|slots| slots.len() == FAN_OUT * Key::LEN)
            .ok_or(Error::NotAuthentic)?;
        Ok(Self { row, slots })
    }

    /// Seals the page as its next generation.
    pub fn seal(mut self, key: &Key, vault: VaultId, rng: &mut dyn CryptoRng) -> PageRow {
        self.row.generation += 1;
        let aad = associated_data(vault, &self.row);
        self.row.sealed = aead::seal(key, &self.slots, &aad, rng);
        self.row
    }

    /// The page's id.
    pub fn id(&self) -> PageId {
        self.row.id
    }

    /// Slots handed out so far, 0 to 128.
    pub fn used(&self) -> u8 {
        self.row.used
    }

    /// The keys it holds, by slot.
    pub fn keys(&self) -> impl Iterator<Item = (u8, Key)> {
        (0..self.row.used).filter_map(|slot| Some((slot, self.key(slot).ok()?)))
    }

    /// The key in `slot`.
    ///
    /// # Errors
    /// [`Error::Gone`] if it holds none.
    pub fn key(&self, slot: u8) -> Result<Key, Error> {
        let key = self
            .slots
            .chunks_exact(Key::LEN)
            .nth(slot.into())
            .and_then(Key::from_slice)
            .ok_or(Error::Gone)?;
        if key == Key::take(&mut [0; Key::LEN]) {
            Err(Error::Gone)
        } else {
            Ok(key)
        }
    }

    /// Puts `key` into the next free slot and returns the slot.
    ///
    /// # Errors
    /// [`Error::Full`] after 128; [`Error::NotAuthentic`] if that slot holds a key.
    pub fn push(&mut self, key: &Key) -> Result<u8, Error> {
        let slot = self.row.used;
        // `used` is not authenticated: if it was decreased, a living key must not be overwritten.
        if self.key(slot).is_ok() {
            return Err(Error::NotAuthentic);
        }
        self.slot_mut(slot)
            .ok_or(Error::Full)?
            .copy_from_slice(key.expose());
        self.row.used += 1;
        Ok(slot)
    }

    /// Destroys the key in `slot`; the slot stays used. Older copies of the page still hold the
    /// key, so the page is stale from now on.
    ///
    /// # Errors
    /// [`Error::Gone`] if it holds none.
    pub fn destroy(&mut self, slot: u8) -> Result<(), Error> {
        self.key(slot)?;
        self.slot_mut(slot).ok_or(Error::Gone)?.fill(0);
        self.row.stale = true;
        Ok(())
    }

    /// Replaces the key in `slot`. Older copies still hold the old key, so the page is stale from
    /// now on.
    ///
    /// # Errors
    /// [`Error::Gone`] if it holds none.
    pub(super) fn replace(&mut self, slot: u8, key: &Key) -> Result<(), Error> {
        self.destroy(slot)?;
        self.slot_mut(slot)
            .ok_or(Error::Gone)?
            .copy_from_slice(key.expose());
        Ok(())
    }

    /// Marks the page as about to be sealed under a key made in `epoch`, which opens no older copy.
    pub(super) fn renewed(mut self, epoch: u64) -> Self {
        self.row.epoch = epoch;
        self.row.stale = false;
        self
    }

    fn slot_mut(&mut self, slot: u8) -> Option<&mut [u8]> {
        self.slots.chunks_exact_mut(Key::LEN).nth(slot.into())
    }
}

fn associated_data(vault: VaultId, row: &PageRow) -> Vec<u8> {
    length_prefixed(&[
        b"recvault/page/1",
        vault.as_bytes(),
        row.id.as_bytes(),
        row.tier.as_bytes(),
        &[row.level],
        &row.generation.to_be_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed_page() -> (PageRow, Key, VaultId, Key) {
        let rng = &mut rand::rng();
        let page_key = Key::random(rng);
        let vault = VaultId::random(rng);
        let child = Key::random(rng);
        let mut page = KeyPage::empty("standard", 0, None, 1, rng);
        assert_eq!(page.push(&child), Ok(0));
        (page.seal(&page_key, vault, rng), page_key, vault, child)
    }

    #[test]
    fn a_page_opens_with_its_key_in_its_place() {
        let (row, key, vault, child) = sealed_page();
        assert_eq!(row.sealed.len(), 12 + 4096 + 16);
        let page = KeyPage::open(row, &key, vault).unwrap();
        assert_eq!(page.key(0), Ok(child));
        assert_eq!(page.key(1), Err(Error::Gone));
        assert_eq!(page.key(128), Err(Error::Gone));
    }

    #[test]
    fn each_field_of_its_place_is_bound() {
        let (row, key, vault, _) = sealed_page();
        let rng = &mut rand::rng();
        let moved = [
            PageRow {
                id: PageId::random(rng),
                ..row.clone()
            },
            PageRow {
                tier: "restricted".into(),
                ..row.clone()
            },
            PageRow {
                level: 1,
                ..row.clone()
            },
            PageRow {
                generation: row.generation + 1,
                ..row.clone()
            },
        ];
        for row in moved {
            assert_eq!(
                KeyPage::open(row, &key, vault).err(),
                Some(Error::NotAuthentic)
            );
        }
        assert_eq!(
            KeyPage::open(row.clone(), &key, VaultId::random(rng)).err(),
            Some(Error::NotAuthentic)
        );
        assert_eq!(
            KeyPage::open(row, &Key::random(rng), vault).err(),
            Some(Error::NotAuthentic)
        );
    }

    #[test]
    fn each_altered_byte_and_each_truncation_is_refused() {
        let (row, key, vault, _) = sealed_page();
        for at in 0..row.sealed.len() {
            let mut altered = row.clone();
            altered.sealed[at] ^= 1;
            assert!(KeyPage::open(altered, &key, vault).is_err(), "byte {at}");
        }
        for len in [0, 11, 12, 27, 28, row.sealed.len() - 1] {
            let mut cut = row.clone();
            cut.sealed.truncate(len);
            assert!(KeyPage::open(cut, &key, vault).is_err(), "length {len}");
        }
    }

    #[test]
    fn a_destroyed_slot_is_gone_and_stays_spent() {
        let (row, key, vault, _) = sealed_page();
        let rng = &mut rand::rng();
        let mut page = KeyPage::open(row, &key, vault).unwrap();
        assert!(!page.row.stale);
        page.destroy(0).unwrap();
        assert!(page.row.stale, "older copies still hold it");
        assert_eq!(page.destroy(0), Err(Error::Gone));
        assert_eq!(page.push(&Key::random(rng)), Ok(1));
        let page = KeyPage::open(page.seal(&key, vault, rng), &key, vault).unwrap();
        assert_eq!(page.key(0), Err(Error::Gone));
        assert!(page.key(1).is_ok());
    }

    #[test]
    fn a_count_that_was_set_back_overwrites_no_living_key() {
        let (row, key, vault, child) = sealed_page();
        let set_back = PageRow { used: 0, ..row };
        let mut page = KeyPage::open(set_back, &key, vault).unwrap();
        let another = Key::random(&mut rand::rng());
        assert_eq!(page.push(&another), Err(Error::NotAuthentic));
        assert_eq!(page.key(0), Ok(child));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_refused_and_never_panic(sealed in proptest::collection::vec(proptest::num::u8::ANY, 0..5000), used in 0u8.., level in 0u8..) {
            let rng = &mut rand::rng();
            let row = PageRow { id: PageId::random(rng), tier: "standard".into(), level, generation: 1, parent: None, used, epoch: 1, stale: false, sealed };
            proptest::prop_assert!(KeyPage::open(row, &Key::random(rng), VaultId::random(rng)).is_err());
        }
    }

    #[test]
    fn a_page_takes_128_keys_and_no_more() {
        let rng = &mut rand::rng();
        let mut page = KeyPage::empty("standard", 0, None, 1, rng);
        for slot in 0..128 {
            assert_eq!(page.push(&Key::random(rng)), Ok(slot));
        }
        assert_eq!(page.push(&Key::random(rng)), Err(Error::Full));
    }
}
