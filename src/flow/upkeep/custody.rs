//! Change of the root file's passphrase.
//!
//! Owns the message if it cannot be changed now. Refuses to know root files; the vault orders the
//! audit entry and the change.

use crate::{
    custody::{RootName, passphrase::RootFile},
    flow::error::Error,
    secret::SecretText,
    vault::Vault,
};

/// Seals every root under another passphrase.
///
/// # Errors
/// [`Error::Conflict`] while another process turns; an error of custody if the roots do not open
/// with the current passphrase; any database error.
pub async fn change_passphrase(
    vault: &Vault,
    file: &RootFile,
    new: SecretText,
) -> Result<Vec<RootName>, Error> {
    let changed = vault.change_passphrase(file, new).await?;
    changed.ok_or_else(|| {
        Error::Conflict(
            "the passphrase is not changed: another process turns the epoch; run the \
                         command again when that turn is done. `recvault epoch release --dry-run` \
                         shows which process holds the turn, and until when"
                .into(),
        )
    })
}
