//! Whether the vault can work now.
//!
//! Owns the asking. Refuses to mend anything.

use crate::{
    db::{ClosedFor, Db},
    flow::error::Error,
    store::Store,
    vault::{self, Vault},
};

/// Whether database, store and custody answer.
pub struct Health {
    vault: Vault,
    db: Db,
    store: Store,
}

impl Health {
    pub(in crate::flow) fn new(vault: Vault, db: Db, store: Store) -> Self {
        Self { vault, db, store }
    }

    /// Whether database and store answer, and custody did when it was last asked.
    ///
    /// # Errors
    /// Whatever keeps one of them from answering.
    pub async fn probe(&self) -> Result<(), Error> {
        self.db.probe().await?;
        self.store.probe().await?;
        match self.vault.custody_trouble() {
            None => Ok(()),
            Some(trouble) => Err(vault::Error::CustodyTrouble(trouble).into()),
        }
    }

    /// Why nothing is written and nothing opens, if that is so: what kind of reason it is.
    pub fn refusal(&self) -> Option<ClosedFor> {
        self.db.refusal().map(|closed| closed.because)
    }

    /// Why custody does not serve this database, if it does not.
    pub(super) async fn custody_trouble(&self) -> Option<String> {
        self.vault
            .check_owner()
            .await
            .err()
            .map(|error| error.to_string())
    }
}
