//! The tree: how pages hang together, and the walk from the root key to a page key.
//!
//! ```text
//! root key ─seals─▶ root page ─holds─▶ tier key ─seals─▶ top branch ─▶ branch ─▶ branch ─▶ leaf ─holds─▶ record keys
//! ```
//! The depth is fixed: three levels of branches over the leaves hold 128⁴, about 268 million, record keys a tier, and a look-up opens five
//! pages of 4 KiB. A tree that grows would save one or two of them and cost a re-hanging step that has to be right.

use rand::CryptoRng;

use super::page::{Error, Page, PageRow, Place};
use crate::{model::id::VaultId, secret::Key};

/// Level of the leaf pages.
pub const LEAF: u8 = 0;
/// Levels of a tier, leaves included; the top branch of a tier stands at `LEVELS - 1`.
pub const LEVELS: u8 = 4;
/// Level of the one root page.
pub const ROOT_LEVEL: u8 = LEVELS;
/// The root page's name in the tier column.
pub const ROOT: &str = "~root";
/// The vault's own keys live on one leaf page of this name, right under the root page: slot 0 the receipt signing seed.
pub const SERVICE: &str = "~service";

/// An opened leaf (or branch) page together with the key that seals it, so that it can be changed and sealed again.
pub struct Opened {
    /// The page.
    pub page: Page,
    key: Key,
}

impl Opened {
    /// Seals the page again, under the same key, as its next generation.
    pub fn seal(self, vault: VaultId, rng: &mut dyn CryptoRng) -> PageRow {
        self.page.seal(&self.key, vault, rng)
    }
}

/// A new vault's tree: the root page, and the service page with the receipt signing seed on slot 0.
pub fn plant(root_key: &Key, vault: VaultId, rng: &mut dyn CryptoRng) -> Result<[PageRow; 2], Error> {
    let root = Opened { page: Page::empty(ROOT, ROOT_LEVEL, None, rng), key: root_key.duplicate() };
    let (root, mut service) = hang(root, SERVICE, LEAF, vault, rng)?;
    service.page.push(&Key::random(rng))?;
    Ok([root, service.seal(vault, rng)])
}

/// Walks `path` (root page first) and opens its last page.
///
/// # Errors
/// [`Error::BrokenPath`] unless each row's parent is the row before it; [`Error::NotAuthentic`] and [`Error::Gone`] as the pages say.
pub fn walk(path: Vec<PageRow>, root_key: &Key, vault: VaultId) -> Result<Opened, Error> {
    let mut key = root_key.duplicate();
    let mut opened: Option<Page> = None;
    for row in path {
        match (&opened, row.parent) {
            (None, None) => {}
            (Some(above), Some(place)) if above.id() == place.page => key = above.key(place.slot)?,
            _ => return Err(Error::BrokenPath),
        }
        opened = Some(Page::open(row, &key, vault)?);
    }
    Ok(Opened { page: opened.ok_or(Error::BrokenPath)?, key })
}

/// Makes a new empty page with a key of its own and puts that key on `above`. Returns the changed upper row and the open new page.
///
/// # Errors
/// [`Error::Full`] if `above` has no free slot.
pub fn hang(mut above: Opened, tier: &str, level: u8, vault: VaultId, rng: &mut dyn CryptoRng) -> Result<(PageRow, Opened), Error> {
    let key = Key::random(rng);
    let slot = above.page.push(&key)?;
    let place = Place { page: above.page.id(), slot };
    let below = Opened { page: Page::empty(tier, level, Some(place), rng), key };
    Ok((above.seal(vault, rng), below))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Grown {
        vault: VaultId,
        root_key: Key,
        path: Vec<PageRow>,
        place: Place,
        record_key: Key,
    }

    /// A root page and a full-depth path for one tier, with one record key.
    fn grown() -> Grown {
        let rng = &mut rand::rng();
        let (vault, root_key) = (VaultId::random(rng), Key::random(rng));
        let [mut above, _service] = plant(&root_key, vault, rng).unwrap();
        let mut path = Vec::new();
        for level in (LEAF..LEVELS).rev() {
            let mut rows = path.clone();
            rows.push(above);
            let opened = walk(rows, &root_key, vault).unwrap();
            let (upper, below) = hang(opened, "standard", level, vault, rng).unwrap();
            path.push(upper);
            above = below.seal(vault, rng);
        }
        let mut rows = path.clone();
        rows.push(above);
        let mut leaf = walk(rows, &root_key, vault).unwrap();
        let record_key = Key::random(rng);
        let slot = leaf.page.push(&record_key).unwrap();
        let place = Place { page: leaf.page.id(), slot };
        path.push(leaf.seal(vault, rng));
        Grown { vault, root_key, path, place, record_key }
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
        let other = Key::random(&mut rand::rng());
        assert_eq!(walk(g.path, &other, g.vault).err(), Some(Error::NotAuthentic));
    }

    #[test]
    fn a_path_with_a_page_missing_or_out_of_order_is_broken() {
        let g = grown();
        for missing in 0..g.path.len() - 1 {
            let mut path = g.path.clone();
            path.remove(missing);
            assert_eq!(walk(path, &g.root_key, g.vault).err(), Some(Error::BrokenPath), "without page {missing}");
        }
        assert_eq!(walk(Vec::new(), &g.root_key, g.vault).err(), Some(Error::BrokenPath));
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
}
