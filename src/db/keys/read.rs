//! Pages and entries of the key tree, read from rows and from row images.

use super::{
    super::{error::Error, image::Image, row::Row},
    KeyEntry,
};
use crate::keyring::{PageRow, PageSlot};

/// The entry that a row image is of.
///
/// # Errors
/// [`Error::Inconsistent`].
pub fn entry_of(row: &Image) -> Result<KeyEntry, Error> {
    let read = || {
        let place = PageSlot {
            page: row.text("page_id")?.parse().ok()?,
            slot: row.int("slot")?.try_into().ok()?,
        };
        Some(KeyEntry {
            place,
            fingerprint: row.text("fingerprint")?.to_owned(),
        })
    };
    read().ok_or_else(|| Error::Inconsistent {
        table: "key_entries",
        column: "page_id",
        id: row.text("recording_id").unwrap_or_default().to_owned(),
    })
}

/// The page that a row image is of.
///
/// # Errors
/// [`Error::Inconsistent`].
pub fn page_of(row: &Image) -> Result<PageRow, Error> {
    let read = || {
        let parent = match row.text("parent") {
            Some(page) => Some(PageSlot {
                page: page.parse().ok()?,
                slot: row.int("parent_slot")?.try_into().ok()?,
            }),
            None => None,
        };
        Some(PageRow {
            id: row.text("id")?.parse().ok()?,
            tier: row.text("tier")?.to_owned(),
            level: row.int("level")?.try_into().ok()?,
            generation: row.int("generation")?,
            parent,
            used: row.int("used")?.try_into().ok()?,
            epoch: row.int("epoch")?.try_into().ok()?,
            stale: row.int("stale")? == 1,
            sealed: row.bytes("sealed")?.to_vec(),
        })
    };
    read().ok_or_else(|| Error::Inconsistent {
        table: "pages",
        column: "parent",
        id: row.text("id").unwrap_or_default().to_owned(),
    })
}

pub(super) fn key_entry(row: &Row) -> Result<KeyEntry, Error> {
    const T: &str = "key_entries";
    let place = PageSlot {
        page: row.parse(T, "page_id", "recording_id")?,
        slot: row.number(T, "slot", "recording_id")?,
    };
    Ok(KeyEntry {
        place,
        fingerprint: row.text("fingerprint")?,
    })
}

pub(super) fn page_row(row: &Row) -> Result<PageRow, Error> {
    const T: &str = "pages";
    let parent = match row.maybe_parse(T, "parent", "id")? {
        Some(page) => Some(PageSlot {
            page,
            slot: row.number(T, "parent_slot", "id")?,
        }),
        None => None,
    };
    Ok(PageRow {
        id: row.parse(T, "id", "id")?,
        tier: row.text("tier")?,
        level: row.number(T, "level", "id")?,
        generation: row.int("generation")?,
        parent,
        used: row.number(T, "used", "id")?,
        epoch: row.number(T, "epoch", "id")?,
        stale: row.int("stale")? == 1,
        sealed: row.bytes("sealed")?,
    })
}
