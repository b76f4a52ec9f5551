//! Pages and entries of the key tree, read from images.

use super::Image;
use crate::{
    db::{
        error::Error,
        keys::{KeyEntry, StoredKeyEntry, StoredPage},
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
