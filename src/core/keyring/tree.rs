//! The tree: how pages are linked, and the walk from the root key to a page key.
//!
//! ```text
//! root key ─seals─▶ root page ─holds─▶ tier key ─seals─▶ top branch ─▶ branch ─▶ branch ─▶ leaf ─holds─▶ record keys
//! ```
//! The depth is fixed: three levels of branches over the leaves hold 128⁴, about 268 million,
//! record keys a tier, and a look-up opens five pages of 4 KiB. A tree of variable depth would save
//! one or two page reads but would need a rebalancing step.

use rand::CryptoRng;

use super::{
    page::{Error, KeyPage, PageRow, PageSlot},
    service::{SERVICE, ServiceKeys},
};
use crate::{model::id::VaultId, secret::Key};

/// Level of the leaf pages.
pub const LEAF: u8 = 0;
/// Levels of a tier, leaves included; the top branch of a tier has level `LEVELS - 1`.
pub const LEVELS: u8 = 4;
/// Level of the one root page.
pub const ROOT_LEVEL: u8 = LEVELS;
/// The root page's name in the tier column.
pub const ROOT: &str = "~root";

/// The key of the root page in one epoch.
#[derive(Debug)]
pub struct RootKey {
    /// The epoch, from 1.
    pub epoch: u64,
    /// The key.
    pub key: Key,
}

/// An opened page with the key that seals it, so that it can be changed and sealed again.
pub struct OpenedPage {
    /// The page.
    pub page: KeyPage,
    key: Key,
    epoch: u64,
}

impl OpenedPage {
    /// Opens a child page with its key in this page.
    ///
    /// # Errors
    /// [`Error::BrokenPath`] if it is not a child of this page; [`Error::NotAuthentic`] and
    /// [`Error::Gone`] as [`KeyPage::open`] and [`KeyPage::key`].
    pub fn open(&self, child: PageRow, vault: VaultId) -> Result<Self, Error> {
        let place = child
            .parent
            .filter(|place| place.page == self.page.id())
            .ok_or(Error::BrokenPath)?;
        let key = self.page.key(place.slot)?;
        Ok(Self {
            page: KeyPage::open(child, &key, vault)?,
            key,
            epoch: self.epoch,
        })
    }

    /// Seals the page again, under the same key, as its next generation.
    pub fn seal(self, vault: VaultId, rng: &mut dyn CryptoRng) -> PageRow {
        self.page.seal(&self.key, vault, rng)
    }

    /// Seals the root page under the next epoch's key, which opens no older copy of it.
    pub fn seal_below(self, next: &RootKey, vault: VaultId, rng: &mut dyn CryptoRng) -> PageRow {
        self.page.renewed(next.epoch).seal(&next.key, vault, rng)
    }

    /// Gives a child page a new key, in its slot here; returns the child sealed under it. This page
    /// is stale from then on: its older copies still hold the child's old key.
    ///
    /// # Errors
    /// [`Error::BrokenPath`] if it is not a child of this page; otherwise as [`KeyPage::open`].
    pub fn renew(
        &mut self,
        child: PageRow,
        vault: VaultId,
        rng: &mut dyn CryptoRng,
    ) -> Result<PageRow, Error> {
        let place = child
            .parent
            .filter(|place| place.page == self.page.id())
            .ok_or(Error::BrokenPath)?;
        let child = KeyPage::open(child, &self.page.key(place.slot)?, vault)?;
        let key = Key::random(rng);
        self.page.replace(place.slot, &key)?;
        Ok(child.renewed(self.epoch).seal(&key, vault, rng))
    }
}

/// A new vault's tree: the root page, and the service page with the vault's own keys.
pub fn create(
    root: &RootKey,
    vault: VaultId,
    rng: &mut dyn CryptoRng,
) -> Result<[PageRow; 2], Error> {
    let page = KeyPage::empty(ROOT, ROOT_LEVEL, None, root.epoch, rng);
    let root = OpenedPage {
        page,
        key: root.key.duplicate(),
        epoch: root.epoch,
    };
    let (root, mut service) = attach(root, SERVICE, LEAF, vault, rng)?;
    ServiceKeys::insert_new(&mut service.page, rng)?;
    Ok([root, service.seal(vault, rng)])
}

/// Walks `path` (root page first) and opens its last page.
///
/// # Errors
/// [`Error::OtherEpoch`] if the root page is sealed under another epoch's key;
/// [`Error::BrokenPath`] unless each row's parent is the row before it; [`Error::NotAuthentic`] and
/// [`Error::Gone`] as [`KeyPage::open`] and [`KeyPage::key`].
pub fn walk(path: Vec<PageRow>, root: &RootKey, vault: VaultId) -> Result<OpenedPage, Error> {
    let mut path = path.into_iter();
    let top = open_root(path.next().ok_or(Error::BrokenPath)?, root, vault)?;
    path.try_fold(top, |above, row| above.open(row, vault))
}

/// Opens the root page, where every walk begins.
///
/// # Errors
/// [`Error::OtherEpoch`] if it is sealed under another epoch's key; [`Error::BrokenPath`] if it is
/// not the root page; [`Error::NotAuthentic`].
pub fn open_root(row: PageRow, root: &RootKey, vault: VaultId) -> Result<OpenedPage, Error> {
    match row.parent {
        None if row.epoch == root.epoch => {}
        None => return Err(Error::OtherEpoch(row.epoch)),
        Some(_) => return Err(Error::BrokenPath),
    }
    let key = root.key.duplicate();
    Ok(OpenedPage {
        page: KeyPage::open(row, &key, vault)?,
        key,
        epoch: root.epoch,
    })
}

/// Makes a new empty page with a key of its own and stores that key in `above`. Returns the changed
/// upper row and the opened new page.
///
/// # Errors
/// [`Error::Full`] if `above` has no free slot.
pub fn attach(
    mut above: OpenedPage,
    tier: &str,
    level: u8,
    vault: VaultId,
    rng: &mut dyn CryptoRng,
) -> Result<(PageRow, OpenedPage), Error> {
    let key = Key::random(rng);
    let slot = above.page.push(&key)?;
    let place = PageSlot {
        page: above.page.id(),
        slot,
    };
    let below = OpenedPage {
        page: KeyPage::empty(tier, level, Some(place), above.epoch, rng),
        key,
        epoch: above.epoch,
    };
    Ok((above.seal(vault, rng), below))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Grown {
        vault: VaultId,
        root_key: RootKey,
        path: Vec<PageRow>,
        place: PageSlot,
        record_key: Key,
    }

    /// A root page and a full-depth path for one tier, with one record key.
    fn grown() -> Grown {
        let rng = &mut rand::rng();
        let vault = VaultId::random(rng);
        let root_key = RootKey {
            epoch: 1,
            key: Key::random(rng),
        };
        let [mut above, _service] = create(&root_key, vault, rng).unwrap();
        let mut path = Vec::new();
        for level in (LEAF..LEVELS).rev() {
            let mut rows = path.clone();
            rows.push(above);
            let opened = walk(rows, &root_key, vault).unwrap();
            let (upper, below) = attach(opened, "standard", level, vault, rng).unwrap();
            path.push(upper);
            above = below.seal(vault, rng);
        }
        let mut rows = path.clone();
        rows.push(above);
        let mut leaf = walk(rows, &root_key, vault).unwrap();
        let record_key = Key::random(rng);
        let slot = leaf.page.push(&record_key).unwrap();
        let place = PageSlot {
            page: leaf.page.id(),
            slot,
        };
        path.push(leaf.seal(vault, rng));
        Grown {
            vault,
            root_key,
            path,
            place,
            record_key,
        }
    }

    #[test]
    fn the_walk_finds_the_record_key() {
        let g = grown();
        assert_eq!(g.path.len(), 1 + usize::from(LEVELS));
        let leaf = walk(g.path, &g.root_key, g.vault).unwrap();
        assert_eq!(leaf.page.key(g.place.slot), Ok(g.record_key));
    }

    #[test]
    fn another_root_key_opens_nothing() {
        let g = grown();
        let other = RootKey {
            epoch: 1,
            key: Key::random(&mut rand::rng()),
        };
        assert_eq!(
            walk(g.path.clone(), &other, g.vault).err(),
            Some(Error::NotAuthentic)
        );
        let next = RootKey {
            epoch: 2,
            ..g.root_key
        };
        assert_eq!(
            walk(g.path, &next, g.vault).err(),
            Some(Error::OtherEpoch(1))
        );
    }

    #[test]
    fn a_path_with_a_page_missing_or_out_of_order_is_broken() {
        let g = grown();
        for missing in 0..g.path.len() - 1 {
            let mut path = g.path.clone();
            path.remove(missing);
            assert_eq!(
                walk(path, &g.root_key, g.vault).err(),
                Some(Error::BrokenPath),
                "without page {missing}"
            );
        }
        assert_eq!(
            walk(Vec::new(), &g.root_key, g.vault).err(),
            Some(Error::BrokenPath)
        );
    }

    #[test]
    fn a_removed_key_is_gone_for_the_whole_walk() {
        let g = grown();
        let rng = &mut rand::rng();
        let mut leaf = walk(g.path.clone(), &g.root_key, g.vault).unwrap();
        leaf.page.destroy(g.place.slot).unwrap();
        let mut path = g.path;
        path.pop();
        path.push(leaf.seal(g.vault, rng));
        let leaf = walk(path, &g.root_key, g.vault).unwrap();
        assert_eq!(leaf.page.key(g.place.slot), Err(Error::Gone));
    }

    /// Renews the whole path bottom up, as a turn does, and gives the next root.
    fn turned(g: &Grown) -> (RootKey, Vec<PageRow>) {
        let rng = &mut rand::rng();
        let next = RootKey {
            epoch: 2,
            key: Key::random(rng),
        };
        let mut path = g.path.clone();
        for at in (1..path.len()).rev() {
            let mut above = walk(path[..at].to_vec(), &g.root_key, g.vault).unwrap();
            path[at] = above.renew(path[at].clone(), g.vault, rng).unwrap();
            path[at - 1] = above.seal(g.vault, rng);
            assert!(
                !path[at].stale && path[at - 1].stale,
                "what is renewed leaves its parent stale"
            );
        }
        let root = walk(path[..1].to_vec(), &g.root_key, g.vault).unwrap();
        path[0] = root.seal_below(&next, g.vault, rng);
        (next, path)
    }

    #[test]
    fn after_a_turn_the_next_root_opens_the_same_record_key() {
        let g = grown();
        let (next, path) = turned(&g);
        assert_eq!(
            walk(path.clone(), &g.root_key, g.vault).err(),
            Some(Error::OtherEpoch(2))
        );
        assert!(path.iter().all(|page| !page.stale));
        assert_eq!(
            walk(path, &next, g.vault).unwrap().page.key(g.place.slot),
            Ok(g.record_key)
        );
    }

    #[test]
    fn no_older_page_opens_below_the_next_root_wherever_it_is_put_in() {
        let g = grown();
        let (next, path) = turned(&g);
        for at in 0..path.len() {
            let mut mixed = path.clone();
            mixed[at] = PageRow {
                epoch: path[at].epoch,
                ..g.path[at].clone()
            };
            assert_eq!(
                walk(mixed, &next, g.vault).err(),
                Some(Error::NotAuthentic),
                "page {at}"
            );
        }
    }

    #[test]
    fn only_a_child_is_renewed() {
        let g = grown();
        let mut root = walk(g.path[..1].to_vec(), &g.root_key, g.vault).unwrap();
        assert_eq!(
            root.renew(g.path[2].clone(), g.vault, &mut rand::rng())
                .err(),
            Some(Error::BrokenPath)
        );
    }
}
