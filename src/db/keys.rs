//! Pages of the key tree and the entries that point into them.

mod leaves;
mod stored;

use std::collections::{BTreeMap, BTreeSet};

use const_format::formatcp;

pub use self::leaves::{NewKeys, claim_leaves};
pub(super) use self::stored::{IntendedVault, StoredKeyEntry, StoredPage, StoredVault};
use super::{
    error::Error,
    table::TableRow,
    tx::{Arg, BINDS, Tx, set},
};
use crate::{
    keyring::{
        LEAF, PageRow, PageSlot, SERVICE,
        tree::{self, ROOT_LEVEL},
    },
    model::{
        artefact::Leg,
        id::{DatabaseId, HolderId, PageId, RecordingId, VaultId},
        time::Timestamp,
    },
};

/// The position of a recording's key, and the key's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Page and slot.
    pub place: PageSlot,
    /// See [`crate::keyring::fingerprint`].
    pub fingerprint: String,
}

/// The key entries of all legs of some recordings.
pub type KeyEntries = BTreeMap<(RecordingId, Leg), KeyEntry>;

/// Returns the vault to which this database belongs; `None` before `recvault init`.
pub async fn vault_id(tx: &mut Tx) -> Result<Option<VaultId>, Error> {
    tx.fetch_first("/* keys.vault_id */ SELECT id FROM vault", &[])
        .await?
        .map(|row| row.parse("vault", "id", "id"))
        .transpose()
}

/// Assigns this database to the vault.
pub async fn insert_vault(
    tx: &mut Tx,
    id: VaultId,
    database: DatabaseId,
    now: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* keys.insert_vault */ {}", StoredVault::INSERT);
    let row = StoredVault {
        id,
        created_at: now,
        database,
    };
    tx.insert_row(SQL, &row, &[]).await.map(|_| ())
}

/// Returns the ids of an interrupted `init`, or stores and returns the given ones. They are stored
/// before custody is used, so that an `init` that continues after an interruption recognises its
/// own root there.
pub async fn intend(
    tx: &mut Tx,
    id: VaultId,
    database: DatabaseId,
    now: Timestamp,
) -> Result<(VaultId, DatabaseId), Error> {
    const INTEND: &str = formatcp!(
        "/* keys.intend */ {} ON CONFLICT (one) DO NOTHING",
        IntendedVault::INSERT
    );
    const INTENDED: &str = formatcp!(
        "/* keys.intended */ SELECT {} FROM intended WHERE one = 1",
        IntendedVault::COLUMNS
    );
    let row = IntendedVault {
        one: 1,
        id,
        database,
        created_at: now,
    };
    tx.insert_row(INTEND, &row, &[]).await?;
    let row: Option<IntendedVault> = tx.fetch_row(INTENDED, &[]).await?;
    let row = row.ok_or(Error::Conflict)?;
    Ok((row.id, row.database))
}

/// Returns the id of this database; `None` before it holds a vault, and for a database from before
/// ids were introduced.
pub async fn database_id(tx: &mut Tx) -> Result<Option<DatabaseId>, Error> {
    let row = tx
        .fetch_first(
            "/* keys.database_id */ SELECT database_id FROM vault WHERE database_id <> ''",
            &[],
        )
        .await?;
    row.map(|row| row.parse("vault", "database_id", "database_id"))
        .transpose()
}

/// Gives this database a new id after its rows were copied from another.
pub async fn set_database_id(tx: &mut Tx, database: DatabaseId) -> Result<(), Error> {
    const SQL: &str = "/* keys.set_database_id */ UPDATE vault SET database_id = $1";
    tx.execute(SQL, &[Arg::Text(&database.to_string())])
        .await
        .map(|_| ())
}

/// Returns the rows from the root page down to `page`, in one query.
///
/// # Errors
/// [`Error::Inconsistent`] if there is no such page.
pub async fn path(tx: &mut Tx, page: PageId) -> Result<Vec<PageRow>, Error> {
    const SQL: &str = formatcp!(
        "/* keys.path */
        WITH RECURSIVE path (id, parent) AS (
          SELECT id, parent FROM pages WHERE id = $1
          UNION
          SELECT p.id, p.parent FROM pages p JOIN path ON p.id = path.parent)
        SELECT {PAGE} FROM pages WHERE id IN (SELECT id FROM path) ORDER BY level DESC"
    );
    let rows = pages_of(tx, SQL, &page.to_string()).await?;
    if rows.is_empty() {
        return Err(Error::dangling("pages", page.to_string()));
    }
    Ok(rows)
}

const PAGE: &str = StoredPage::COLUMNS;

async fn pages_of(tx: &mut Tx, sql: &str, which: &str) -> Result<Vec<PageRow>, Error> {
    let rows: Vec<StoredPage> = tx.fetch_rows(sql, &[Arg::Text(which)]).await?;
    rows.into_iter().map(PageRow::try_from).collect()
}

/// Returns the rows of these pages and of all their ancestors, each once, upper levels first, in
/// one query.
pub async fn paths(tx: &mut Tx, pages: &BTreeSet<PageId>) -> Result<Vec<PageRow>, Error> {
    const SQL: &str = formatcp!(
        "/* keys.paths */
        WITH RECURSIVE path (id, parent) AS (
          SELECT id, parent FROM pages WHERE id IN (SELECT key FROM json_each($1))
          UNION
          SELECT p.id, p.parent FROM pages p JOIN path ON p.id = path.parent)
        SELECT {PAGE} FROM pages WHERE id IN (SELECT id FROM path) ORDER BY level DESC"
    );
    pages_of(tx, SQL, &set(pages)).await
}

/// Returns the rows of these pages, in no order.
pub async fn pages(tx: &mut Tx, pages: &BTreeSet<PageId>) -> Result<Vec<PageRow>, Error> {
    const SQL: &str = formatcp!(
        "/* keys.pages */ SELECT {PAGE} FROM pages WHERE id IN (SELECT key FROM json_each($1))"
    );
    pages_of(tx, SQL, &set(pages)).await
}

/// Locks pages for the rest of the unit. Called before the pages are read, it serialises concurrent
/// writers; without it all but one of them would have to retry. SQLite has one writer at a time.
///
/// Pages are locked in one order, so that no two units wait for each other: leaves by their ids, all
/// at once; then the root page; then the other pages. Who locks other pages than leaves locks the
/// root page first, and is then the only one who does.
pub async fn lock(tx: &mut Tx, pages: &BTreeSet<PageId>) -> Result<(), Error> {
    const SQL: &str = formatcp!(
        "/* keys.lock */
        SELECT id FROM pages WHERE id IN (SELECT key FROM json_each($1))
        ORDER BY CASE level WHEN {LEAF} THEN 0 WHEN {ROOT_LEVEL} THEN 1 ELSE 2 END, id FOR NO KEY UPDATE"
    );
    if tx.is_postgres() && !pages.is_empty() {
        tx.execute(SQL, &[Arg::Text(&set(pages))]).await?;
    }
    Ok(())
}

/// Returns the root page.
pub async fn root_page(tx: &mut Tx) -> Result<Option<PageId>, Error> {
    const SQL: &str = "/* keys.root_page */ SELECT id FROM pages WHERE tier = $1 AND level = $2";
    let row = tx
        .fetch_first(
            SQL,
            &[Arg::Text(tree::ROOT), Arg::Int(tree::ROOT_LEVEL.into())],
        )
        .await?;
    row.map(|row| row.parse("pages", "id", "id")).transpose()
}

/// Returns the vault's own leaf page.
pub async fn service_page(tx: &mut Tx) -> Result<Option<PageId>, Error> {
    page_with_room(tx, SERVICE, LEAF).await
}

/// Returns a page of this tier and level with a free slot. (For leaves with record keys, see
/// [`claim_leaves`].)
pub async fn page_with_room(tx: &mut Tx, tier: &str, level: u8) -> Result<Option<PageId>, Error> {
    const SQL: &str = "/* keys.page_with_room */ SELECT id FROM pages WHERE tier = $1 AND level = $2 AND used < 128 ORDER BY used DESC LIMIT 1";
    let row = tx
        .fetch_first(SQL, &[Arg::Text(tier), Arg::Int(level.into())])
        .await?;
    row.map(|row| row.parse("pages", "id", "id")).transpose()
}

/// Inserts a new page; a leaf belongs to `filler` until `until`.
pub async fn insert_page(
    tx: &mut Tx,
    page: &PageRow,
    filler: HolderId,
    until: Timestamp,
) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* keys.insert_page */ {}", StoredPage::INSERT);
    let row = StoredPage::new(page, filler, until);
    tx.insert_row(SQL, &row, &[]).await.map(|_| ())
}

/// Replaces a page by its next generation. A stale page stays stale.
///
/// # Errors
/// [`Error::Conflict`] if another writer replaced it after it was read.
pub async fn replace_page(tx: &mut Tx, page: &PageRow) -> Result<(), Error> {
    replace_pages(tx, std::slice::from_ref(page)).await
}

/// Like [`replace_page`], for distinct pages.
///
/// # Errors
/// As [`replace_page`].
pub async fn replace_pages(tx: &mut Tx, pages: &[PageRow]) -> Result<(), Error> {
    replace(
        tx,
        "keys.replace_pages",
        "CASE WHEN new.column5 = 1 THEN 1 ELSE pages.stale END",
        pages,
    )
    .await
}

/// Replaces pages by their next generations, which are sealed under new keys, so that they are no
/// longer stale.
///
/// # Errors
/// As [`replace_page`].
pub async fn renew_pages(tx: &mut Tx, pages: &[PageRow]) -> Result<(), Error> {
    replace(tx, "keys.renew_pages", "new.column5", pages).await
}

async fn replace(tx: &mut Tx, query: &str, stale: &str, pages: &[PageRow]) -> Result<(), Error> {
    const WIDTH: usize = 6;
    for pages in pages.chunks(BINDS / WIDTH) {
        // `column1` is the first of `VALUES` on both databases.
        let sql = format!(
            "/* {query} */ UPDATE pages
             SET generation = new.column2, used = new.column3, epoch = new.column4, stale = {stale}, sealed = new.column6
             FROM (VALUES {}) AS new WHERE pages.id = new.column1 AND pages.generation = new.column2 - 1",
            tx.values(pages.len(), WIDTH)
        );
        let ids: Vec<String> = pages.iter().map(|page| page.id.to_string()).collect();
        let args: Vec<Arg<'_>> = pages
            .iter()
            .zip(&ids)
            .flat_map(|(page, id)| {
                let epoch = Arg::Int(page.epoch.try_into().unwrap_or(i64::MAX));
                let used = Arg::Int(page.used.into());
                let stale = Arg::Int(page.stale.into());
                [
                    Arg::Text(id),
                    Arg::Int(page.generation),
                    used,
                    epoch,
                    stale,
                    Arg::Bytes(&page.sealed),
                ]
            })
            .collect();
        if tx.execute(&sql, &args).await? != pages.len() as u64 {
            return Err(Error::Conflict);
        }
    }
    Ok(())
}

/// Inserts the positions of recordings' keys.
pub async fn insert_entries(tx: &mut Tx, entries: KeyEntries) -> Result<(), Error> {
    const SQL: &str = formatcp!("/* keys.insert_entries */ {}", StoredKeyEntry::INSERT_INTO);
    let rows: Vec<StoredKeyEntry> = entries
        .into_iter()
        .map(|((recording, leg), entry)| StoredKeyEntry {
            recording,
            leg,
            page: entry.place.page,
            slot: entry.place.slot,
            fingerprint: entry.fingerprint,
        })
        .collect();
    tx.insert_rows(SQL, &rows).await.map(|_| ())
}

const ENTRY: &str = StoredKeyEntry::COLUMNS;

/// Returns the position of a recording's key. A tombstoned recording has none, whatever its rows
/// contain.
pub async fn find_entry(tx: &mut Tx, id: RecordingId, leg: Leg) -> Result<Option<KeyEntry>, Error> {
    const SQL: &str = formatcp!(
        "/* keys.find_entry */ SELECT {ENTRY} FROM key_entries
        WHERE recording_id = $1 AND leg = $2 AND NOT EXISTS (SELECT 1 FROM tombstones WHERE tombstones.recording_id = key_entries.recording_id)"
    );
    let args = [Arg::Text(&id.to_string()), Arg::Text(leg.as_str())];
    let row: Option<StoredKeyEntry> = tx.fetch_row(SQL, &args).await?;
    Ok(row.map(KeyEntry::from))
}

/// Returns the positions of the keys of all legs of these recordings, where there are any;
/// tombstoned recordings have none, as in [`find_entry`].
pub async fn find_entries(tx: &mut Tx, ids: &[RecordingId]) -> Result<KeyEntries, Error> {
    const SQL: &str = formatcp!(
        "/* keys.find_entries */ SELECT {ENTRY} FROM key_entries
        WHERE recording_id IN (SELECT key FROM json_each($1))
          AND NOT EXISTS (SELECT 1 FROM tombstones WHERE tombstones.recording_id = key_entries.recording_id)"
    );
    entries(tx, SQL, &set(ids)).await
}

/// Returns the positions of a tombstoned recording's keys that are still stored, while a database
/// is rebuilt from files that precede the tombstone.
pub async fn entries_behind_tombstone(tx: &mut Tx, id: RecordingId) -> Result<KeyEntries, Error> {
    const SQL: &str = formatcp!(
        "/* keys.entries_behind_tombstone */ SELECT {ENTRY} FROM key_entries WHERE recording_id = $1"
    );
    entries(tx, SQL, &id.to_string()).await
}

async fn entries(tx: &mut Tx, sql: &str, ids: &str) -> Result<KeyEntries, Error> {
    let rows: Vec<StoredKeyEntry> = tx.fetch_rows(sql, &[Arg::Text(ids)]).await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.recording, row.leg), KeyEntry::from(row)))
        .collect())
}

/// Returns the tier whose keys a page holds.
pub async fn tier_of(tx: &mut Tx, page: PageId) -> Result<String, Error> {
    const SQL: &str = "/* keys.tier_of */ SELECT tier FROM pages WHERE id = $1";
    let row = tx.fetch_first(SQL, &[Arg::Text(&page.to_string())]).await?;
    row.ok_or_else(|| Error::dangling("pages", page.to_string()))?
        .text("tier")
}

/// Deletes the positions of the keys of these legs.
///
/// # Errors
/// [`Error::Stale`] if one of them has no entry.
pub async fn remove_entries(tx: &mut Tx, legs: &BTreeSet<(RecordingId, Leg)>) -> Result<(), Error> {
    const SQL: &str = "/* keys.remove_entries */ DELETE FROM key_entries WHERE recording_id IN (SELECT key FROM json_each($1)) AND leg = $2";
    for leg in Leg::ALL {
        let of_leg = legs.iter().filter(|(_, of)| of == leg);
        let ids: Vec<RecordingId> = of_leg.map(|(id, _)| *id).collect();
        if ids.is_empty() {
            continue;
        }
        let removed = tx
            .execute(SQL, &[Arg::Text(&set(&ids)), Arg::Text(leg.as_str())])
            .await?;
        if removed != ids.len() as u64 {
            return Err(Error::Stale("the key entry is gone already"));
        }
    }
    Ok(())
}

/// Returns up to `limit` stale pages of a level with their parents, ordered by parent.
pub async fn stale_pages(
    tx: &mut Tx,
    level: u8,
    limit: i64,
) -> Result<Vec<(PageId, Option<PageId>)>, Error> {
    const SQL: &str = "/* keys.stale_pages */ SELECT id, parent FROM pages WHERE level = $1 AND stale = 1 ORDER BY parent, id LIMIT $2";
    let rows = tx
        .fetch_all(SQL, &[Arg::Int(level.into()), Arg::Int(limit)])
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.parse("pages", "id", "id")?,
                row.maybe_parse("pages", "parent", "id")?,
            ))
        })
        .collect()
}

/// Returns the number of stale pages.
pub async fn count_stale(tx: &mut Tx) -> Result<i64, Error> {
    tx.fetch_int(
        "/* keys.count_stale */ SELECT COUNT(*) FROM pages WHERE stale = 1",
        &[],
    )
    .await
}

/// The pages of a tier, or of all tiers, below the vault's own.
pub async fn page_ids(tx: &mut Tx, tier: Option<&str>) -> Result<Vec<PageId>, Error> {
    const SQL: &str = "/* keys.page_ids */
        SELECT id FROM pages WHERE (tier = $1 OR $1 = '*') AND level < $2 ORDER BY id";
    let args = [
        Arg::Text(tier.unwrap_or("*")),
        Arg::Int(tree::ROOT_LEVEL.into()),
    ];
    let rows = tx.fetch_all(SQL, &args).await?;
    rows.iter()
        .map(|row| row.parse("pages", "id", "id"))
        .collect()
}

/// Marks the pages of a tier, or of all tiers and the vault's own page, for a new key in the next
/// turn. Returns the number of marked pages.
pub async fn mark_stale(tx: &mut Tx, tier: Option<&str>) -> Result<u64, Error> {
    const SQL: &str = "/* keys.mark_stale */
        UPDATE pages SET stale = 1 WHERE (tier = $1 OR $1 = '*') AND level < $2 AND stale = 0";
    tx.execute(
        SQL,
        &[
            Arg::Text(tier.unwrap_or("*")),
            Arg::Int(tree::ROOT_LEVEL.into()),
        ],
    )
    .await
}

/// Returns all pages, root page first, for checks of the whole tree.
pub async fn all_pages(tx: &mut Tx) -> Result<Vec<PageRow>, Error> {
    const SQL: &str =
        formatcp!("/* keys.all_pages */ SELECT {PAGE} FROM pages ORDER BY level DESC, id");
    let rows: Vec<StoredPage> = tx.fetch_rows(SQL, &[]).await?;
    rows.into_iter().map(PageRow::try_from).collect()
}
