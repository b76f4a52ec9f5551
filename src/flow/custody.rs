//! The root file's passphrase, changed.
//!
//! Owns the order: what is known to work, what is written down, what is done. Refuses to know root files.

use super::Error;
use crate::{
    custody::{RootName, passphrase::RootFile},
    evidence::NewEntry,
    ledger::{Ledger, audit},
    model::time::Clock,
    secret::SecretText,
    vault,
};

/// Seals every root under another passphrase. The entry comes first: a change that fails after it has an entry too many, never one too few.
///
/// # Errors
/// The roots do not open with the passphrase so far, and nothing is written down; the ledger's; custody's.
pub async fn change_passphrase(ledger: &Ledger, clock: &Clock, roots: &RootFile, new: SecretText) -> Result<Vec<RootName>, Error> {
    let epochs: Vec<u64> = roots.opened().await.map_err(vault::Error::from)?.iter().map(|root| root.epoch).collect();
    let now = clock.now();
    ledger
        .unit(|| async {
            let mut tx = ledger.begin().await?;
            audit::append(&mut tx, NewEntry::custody_changed(now, &epochs)).await?;
            tx.commit().await
        })
        .await?;
    Ok(roots.change_passphrase(new).await.map_err(vault::Error::from)?)
}
