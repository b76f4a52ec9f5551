//! The reach of an attacker: every record key that any version of any page yields to a holder of
//! some root keys.
//!
//! Owns the closure over pages of all ages, as computed by an attacker with every copy of the key
//! store that ever existed. It opens every page that it can and follows every key to every version
//! of the page below it. Tests and drills check the tree against it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    label::fingerprint,
    page::{KeyPage, PageRow},
    service::SERVICE,
    tree::ROOT_LEVEL,
};
use crate::{model::id::VaultId, secret::Key};

/// The result of an attack.
#[derive(Debug, Default)]
pub struct KeyReach {
    /// Fingerprints of the record keys.
    pub record_keys: BTreeSet<String>,
    /// Versions of pages that were tried.
    pub tried: u64,
    /// Versions of pages that opened.
    pub opened: u64,
    /// Whether each version opened, in the order of the input.
    pub which: Vec<bool>,
}

/// Opens every page that it can. `versions` may contain the same page many times, in any order.
pub fn reach(roots: &[&Key], versions: impl AsRef<[PageRow]>, vault: VaultId) -> KeyReach {
    let versions = versions.as_ref();
    let mut levels: BTreeMap<u8, Vec<(usize, &PageRow)>> = BTreeMap::new();
    for (at, version) in versions.iter().enumerate() {
        levels.entry(version.level).or_default().push((at, version));
    }
    let mut found = KeyReach {
        which: vec![false; versions.len()],
        ..KeyReach::default()
    };
    // Keys by the slot that held them, from all versions of that slot's page that opened.
    let mut held: BTreeMap<([u8; 16], u8), Vec<Key>> = BTreeMap::new();
    for (level, versions) in levels.into_iter().rev() {
        let mut below: BTreeMap<([u8; 16], u8), Vec<Key>> = BTreeMap::new();
        for (at, version) in versions {
            found.tried += 1;
            let keys: Vec<&Key> = match version.parent {
                None => roots.to_vec(),
                Some(place) => held
                    .get(&(*place.page.as_bytes(), place.slot))
                    .into_iter()
                    .flatten()
                    .collect(),
            };
            let is_leaf = level == 0 && version.tier != SERVICE;
            let Some(page) = keys
                .iter()
                .find_map(|key| KeyPage::open(version.clone(), key, vault).ok())
            else {
                continue;
            };
            found.opened += 1;
            if let Some(opened) = found.which.get_mut(at) {
                *opened = true;
            }
            for (slot, key) in page.keys() {
                if is_leaf {
                    found.record_keys.insert(fingerprint(&key));
                } else {
                    let known = below.entry((*page.id().as_bytes(), slot)).or_default();
                    if !known.contains(&key) {
                        known.push(key);
                    }
                }
            }
        }
        // The service page is a leaf directly below the root, without the three levels of branches;
        // so keys stay known for all lower levels.
        for (place, keys) in below {
            held.entry(place).or_default().extend(keys);
        }
        debug_assert!(level <= ROOT_LEVEL);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::{
        PageSlot, RootKey,
        tree::{LEAF, LEVELS, attach, create, walk},
    };

    /// Two leaves with a record key each, below one path, and the rows root first.
    fn grown(root: &RootKey, vault: VaultId) -> (Vec<PageRow>, Vec<PageSlot>, Vec<String>) {
        let rng = &mut rand::rng();
        let [mut above, service] = create(root, vault, rng).unwrap();
        let mut path: Vec<PageRow> = Vec::new();
        for level in (LEAF + 1..LEVELS).rev() {
            let opened = walk([path.as_slice(), &[above]].concat(), root, vault).unwrap();
            let (upper, below) = attach(opened, "standard", level, vault, rng).unwrap();
            path.push(upper);
            above = below.seal(vault, rng);
        }
        path.push(above);
        let mut leaves = Vec::new();
        let mut places = Vec::new();
        let mut keys = Vec::new();
        for _ in 0..2 {
            let (upper, mut leaf) = attach(
                walk(path.clone(), root, vault).unwrap(),
                "standard",
                LEAF,
                vault,
                rng,
            )
            .unwrap();
            *path.last_mut().unwrap() = upper;
            let key = Key::random(rng);
            places.push(PageSlot {
                page: leaf.page.id(),
                slot: leaf.page.push(&key).unwrap(),
            });
            keys.push(fingerprint(&key));
            leaves.push(leaf.seal(vault, rng));
        }
        path.push(service);
        path.extend(leaves);
        (path, places, keys)
    }

    #[test]
    fn the_root_reaches_every_key_and_another_none() {
        let rng = &mut rand::rng();
        let vault = VaultId::random(rng);
        let root = RootKey {
            epoch: 1,
            key: Key::random(rng),
        };
        let (rows, _, keys) = grown(&root, vault);
        let found = reach(&[&root.key], rows.clone(), vault);
        assert!(found.which.iter().all(|opened| *opened));
        assert_eq!(
            (found.record_keys, found.opened),
            (keys.into_iter().collect(), rows.len() as u64)
        );
        let found = reach(&[&Key::random(rng)], rows.clone(), vault);
        assert_eq!(
            (found.record_keys.len(), found.opened, found.tried),
            (0, 0, rows.len() as u64)
        );
    }

    #[test]
    fn a_shredded_key_is_reached_through_an_older_copy_of_its_page_while_the_page_keeps_its_key() {
        let rng = &mut rand::rng();
        let vault = VaultId::random(rng);
        let root = RootKey {
            epoch: 1,
            key: Key::random(rng),
        };
        let (before, places, keys) = grown(&root, vault);
        let mut now = before.clone();
        let branches = 4;
        let leaf = 5;
        let mut opened =
            walk([&now[..branches], &now[leaf..=leaf]].concat(), &root, vault).unwrap();
        opened.page.destroy(places[0].slot).unwrap();
        now[leaf] = opened.seal(vault, rng);
        assert!(
            !reach(&[&root.key], now.clone(), vault)
                .record_keys
                .contains(&keys[0]),
            "the present rows do not give it"
        );
        let all = [before.clone(), now.clone()].concat();
        assert!(
            reach(&[&root.key], all, vault)
                .record_keys
                .contains(&keys[0]),
            "the older leaf does"
        );

        // With a new key for the leaf only, an older branch still leads to the older leaf.
        let mut above = walk(now[..branches].to_vec(), &root, vault).unwrap();
        now[leaf] = above.renew(now[leaf].clone(), vault, rng).unwrap();
        now[branches - 1] = above.seal(vault, rng);
        let all = [before.clone(), now.clone()].concat();
        assert!(
            reach(&[&root.key], all, vault)
                .record_keys
                .contains(&keys[0]),
            "the path above was not renewed"
        );

        // With new keys for the whole path and another root, no old version opens; the living key
        // stays reachable.
        for at in (1..branches).rev() {
            let mut above = walk(now[..at].to_vec(), &root, vault).unwrap();
            now[at] = above.renew(now[at].clone(), vault, rng).unwrap();
            now[at - 1] = above.seal(vault, rng);
        }
        let next = RootKey {
            epoch: 2,
            key: Key::random(rng),
        };
        now[0] = walk(now[..1].to_vec(), &root, vault)
            .unwrap()
            .seal_below(&next, vault, rng);
        let found = reach(&[&next.key], [before.clone(), now.clone()].concat(), vault).record_keys;
        assert!(!found.contains(&keys[0]) && found.contains(&keys[1]));
        // Unless the old root is still there.
        assert!(
            reach(&[&next.key, &root.key], [before, now].concat(), vault)
                .record_keys
                .contains(&keys[0])
        );
    }
}
