//! Pages and entries of the key tree, and packs, read from images.

use super::Image;
use crate::{
    db::{
        error::Error,
        keys::{KeyEntry, StoredKeyEntry, StoredPage},
        packs::Pack,
        table::TableRow,
    },
    keyring::PageRow,
};

/// Converts an image to a key entry.
///
/// # Errors
/// [`Error::Inconsistent`].
pub fn entry_of(row: &Image) -> Result<KeyEntry, Error> {
    StoredKeyEntry::of_values(&row.values).map(KeyEntry::from)
}

/// Converts an image to a page.
///
/// # Errors
/// [`Error::Inconsistent`].
pub fn page_of(row: &Image) -> Result<PageRow, Error> {
    PageRow::try_from(StoredPage::of_values(&row.values)?)
}

/// Converts an image to a pack.
///
/// # Errors
/// [`Error::Inconsistent`].
pub fn pack_of(row: &Image) -> Result<Pack, Error> {
    Pack::of_values(&row.values)
}
