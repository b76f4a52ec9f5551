//! The vault's own keys: one leaf page directly below the root page.
//!
//! Owns the assignment of slots. Refuses to know how the keys are used.
//!
//! ```text
//! slot 0 subject key · 1 statement key · 2 evidence seed · 3 requests seed · 4 rows seed · 5, 6, … signing seeds, the last one counts
//! ```
//!
//! INVARIANT: none of them is derived from another, so that the signing key can be replaced, and
//! its seed destroyed, without affecting the recognition of people or the opening of evidence.

use rand::CryptoRng;

use super::page::{Error, FAN_OUT, KeyPage};
use crate::secret::Key;

/// The page's name in the tier column.
pub const SERVICE: &str = "~service";

const SUBJECT: u8 = 0;
const STATEMENT: u8 = 1;
const EVIDENCE: u8 = 2;
const REQUESTS: u8 = 3;
const ROWS: u8 = 4;
const FIRST_SIGNING: u8 = 5;

/// The keys of the service page that never change.
pub struct ServiceKeys {
    /// The key of the hashes that identify people.
    pub subject: Key,
    /// The key of the hashes that identify a statement of consent, so that a repeated one is
    /// recognised.
    pub statement: Key,
    /// The seed of the keys of evidence: see [`evidence_key`](super::evidence_key).
    pub evidence: Key,
    /// The seed of the keys of idempotent requests: see
    /// [`idempotency_key`](super::idempotency_key) and [`answer_key`](super::answer_key).
    pub requests: Key,
    /// The seed of the keys of rows that snapshots share: see [`rows_key`](super::rows_key).
    pub rows: Key,
}

impl ServiceKeys {
    /// The keys of an opened service page.
    ///
    /// # Errors
    /// [`Error::Gone`] if it lacks one.
    pub fn of(page: &KeyPage) -> Result<Self, Error> {
        Ok(Self {
            subject: page.key(SUBJECT)?,
            statement: page.key(STATEMENT)?,
            evidence: page.key(EVIDENCE)?,
            requests: page.key(REQUESTS)?,
            rows: page.key(ROWS)?,
        })
    }

    /// Fills an empty service page, with a first signing seed.
    ///
    /// # Errors
    /// [`Error::Full`] if it is not empty.
    pub(super) fn insert_new(page: &mut KeyPage, rng: &mut dyn CryptoRng) -> Result<(), Error> {
        for slot in SUBJECT..=FIRST_SIGNING {
            if page.push(&Key::random(rng))? != slot {
                return Err(Error::Full);
            }
        }
        Ok(())
    }
}

/// Returns the seed of the present signing key.
///
/// # Errors
/// [`Error::Gone`] if the page lacks it.
pub fn signing_seed(page: &KeyPage) -> Result<Key, Error> {
    page.key(last_signing(page)?)
}

/// Puts a new signing seed in force and destroys the previous one. The page is stale from now on:
/// its older copies still hold that seed.
///
/// # Errors
/// [`Error::Full`] after 121 replacements: the page always keeps a free slot, which locates the
/// present seed.
pub fn replace_signing_seed(page: &mut KeyPage, rng: &mut dyn CryptoRng) -> Result<Key, Error> {
    let before = last_signing(page)?;
    if usize::from(before) + 2 >= FAN_OUT {
        return Err(Error::Full);
    }
    let seed = Key::random(rng);
    page.push(&seed)?;
    page.destroy(before)?;
    Ok(seed)
}

fn last_signing(page: &KeyPage) -> Result<u8, Error> {
    let last = page.used().checked_sub(1);
    last.filter(|last| *last >= FIRST_SIGNING)
        .ok_or(Error::Gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::LEAF;

    fn planted() -> KeyPage {
        let rng = &mut rand::rng();
        let mut page = KeyPage::empty(SERVICE, LEAF, None, 1, rng);
        ServiceKeys::insert_new(&mut page, rng).unwrap();
        page
    }

    #[test]
    fn no_two_of_them_are_the_same_key() {
        let page = planted();
        let keys = ServiceKeys::of(&page).unwrap();
        let all = [
            keys.subject,
            keys.statement,
            keys.evidence,
            keys.requests,
            keys.rows,
            signing_seed(&page).unwrap(),
        ];
        for (at, key) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != key));
        }
    }

    #[test]
    fn a_new_signing_seed_changes_no_other_key_and_destroys_the_old_one() {
        let mut page = planted();
        let before = ServiceKeys::of(&page).unwrap();
        let old = signing_seed(&page).unwrap();
        let new = replace_signing_seed(&mut page, &mut rand::rng()).unwrap();

        assert!(new != old);
        assert_eq!(signing_seed(&page), Ok(new));
        assert_eq!(page.key(FIRST_SIGNING), Err(Error::Gone));
        let after = ServiceKeys::of(&page).unwrap();
        assert!(after.subject == before.subject);
        assert!(after.statement == before.statement);
        assert!(after.evidence == before.evidence);
    }

    #[test]
    fn the_page_never_fills_up() {
        let mut page = planted();
        let rng = &mut rand::rng();
        for _ in 0..121 {
            replace_signing_seed(&mut page, rng).unwrap();
        }
        let last = signing_seed(&page).unwrap();
        assert_eq!(replace_signing_seed(&mut page, rng), Err(Error::Full));
        assert_eq!(signing_seed(&page), Ok(last), "it still signs");
        assert!(usize::from(page.used()) < FAN_OUT);
    }
}
