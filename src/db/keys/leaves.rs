//! Leaf pages with room for the keys of new recordings.
//!
//! Owns who fills which leaf: each process fills its own, so that writers do not conflict. Refuses
//! to know what is stored in a leaf.

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

use super::lock;
use crate::{
    db::{
        error::Error,
        lease::Term,
        tx::{Arg, Tx, set},
    },
    model::id::{HolderId, PageId},
};

/// The number of keys that a unit enters, by tier.
pub type NewKeys<'a> = BTreeMap<&'a str, usize>;

/// The most leaves of a tier that are claimed at once; for more keys there are new leaves.
const AT_ONCE: u8 = 4;
/// The keys that a leaf holds.
const KEYS: usize = 128;
/// The condition under which `$2` may fill a page at the time `$3`; a claim that ends after `$4` is
/// of a clock that was wrong.
const FREE: &str = formatcp!(
    "level = 0 AND used < {KEYS} AND (filler = $2 OR filler_until < $3 OR filler_until > $4)"
);

/// Claims leaf pages with free slots for this many keys of each tier, as far as there are any that
/// `filler` holds or may claim. Locks them, and the leaves `beside` them, in one order.
pub async fn claim_leaves(
    tx: &mut Tx,
    keys: &NewKeys<'_>,
    beside: &BTreeSet<PageId>,
    filler: HolderId,
    term: Term,
) -> Result<Vec<(String, PageId)>, Error> {
    // The conditions are repeated: a leaf may have been filled or claimed before it was locked.
    const SQL: &str = formatcp!(
        "/* keys.claim_leaves */
        UPDATE pages SET filler = $2, filler_until = $5
        WHERE id IN (SELECT key FROM json_each($1)) AND {FREE} RETURNING id, tier"
    );
    let filler = filler.to_string();
    let Term { now, until, beyond } = term;
    let now = Arg::Int(now.as_millis());
    let beyond = Arg::Int(beyond.as_millis());
    let mut chosen = Vec::new();
    for (tier, keys) in keys {
        let args = [Arg::Text(tier), Arg::Text(&filler), now, beyond];
        chosen.extend(leaves_for(tx, *keys, &args).await?);
    }
    let all: BTreeSet<PageId> = chosen.iter().chain(beside).copied().collect();
    if all.len() > 1 {
        lock(tx, &all).await?;
    }

    let ids = set(&chosen);
    let until = Arg::Int(until.as_millis());
    let args = [Arg::Text(&ids), Arg::Text(&filler), now, beyond, until];
    let mut claimed: BTreeMap<PageId, String> = BTreeMap::new();
    if !chosen.is_empty() {
        for row in tx.fetch_all(SQL, &args).await? {
            claimed.insert(row.parse("pages", "id", "id")?, row.text("tier")?);
        }
    }
    let claimed = |id| claimed.remove(&id).map(|tier| (tier, id));
    Ok(chosen.into_iter().filter_map(claimed).collect())
}

/// Returns leaves of a tier for this many keys, those of the filler first.
async fn leaves_for(tx: &mut Tx, keys: usize, args: &[Arg<'_>]) -> Result<Vec<PageId>, Error> {
    const SQL: &str = formatcp!(
        "/* keys.leaves_for */ SELECT id, used FROM pages WHERE tier = $1 AND {FREE}
        ORDER BY filler = $2 DESC, used DESC LIMIT {AT_ONCE}"
    );
    let mut chosen = Vec::new();
    let mut free = 0;
    for row in tx.fetch_all(SQL, args).await? {
        if free >= keys {
            break;
        }
        let used = usize::try_from(row.int("used")?).unwrap_or_default();
        free += KEYS.saturating_sub(used);
        chosen.push(row.parse("pages", "id", "id")?);
    }
    Ok(chosen)
}
