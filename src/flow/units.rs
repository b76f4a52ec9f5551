//! Helpers for writing: a single audit entry, a unit that reads or seals with keys, the journal.
//!
//! Owns these three helpers. Refuses to know what is written.

use super::error::Error;
use crate::{
    db::{self, Db, Unit},
    evidence::NewEntry,
    keyring,
    vault::{self, Vault},
};

/// Writes a single audit entry.
pub(super) async fn note(db: &Db, entry: impl Fn() -> NewEntry + Send + Sync) -> Result<(), Error> {
    let noted = db.unit("flow.note", async |mut unit| {
        unit.audit(entry());
        Ok::<_, db::Error>(())
    });
    Ok(noted.await?)
}

/// Runs a unit of work that reads or seals with keys: it holds the epoch, and is retried if the
/// epoch has turned meanwhile.
pub(super) async fn unit_with_keys<T, F, Fut>(
    db: &Db,
    vault: &Vault,
    name: &'static str,
    work: F,
) -> Result<T, Error>
where
    F: Fn(Unit) -> Fut + Send + Sync,
    Fut: Future<Output = Result<T, Error>> + Send,
    T: Send,
{
    loop {
        let held = vault.epoch();
        let done = db.unit(name, async |mut unit| {
            vault.hold_epoch(&mut unit).await?;
            work(unit).await
        });
        match done.await {
            Err(Error::Vault(vault::Error::Keyring(keyring::Error::OtherEpoch(_))))
                if vault.follow_from(held).await? => {}
            done => return done,
        }
    }
}

/// Writes the journal, for callers that must not fail because of it: a failed write is logged and
/// repeated soon.
pub(super) async fn journal_or_warn(vault: &Vault, entries_too: bool) {
    let written = if entries_too {
        vault.journal_all().await
    } else {
        vault.journal().await
    };
    if let Err(error) = written {
        tracing::warn!(%error, "the journal cannot be written");
        metrics::counter!("recvault_journal_failures_total").increment(1);
    }
}
