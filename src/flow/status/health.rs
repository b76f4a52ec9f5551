//! Health of the vault.
//!
//! Owns the checks. Refuses to repair anything.

use crate::{
    db::{ClosedFor, Db},
    flow::error::Error,
    store::Store,
    vault::{self, Vault},
};

/// Checks whether database, store and custody answer.
pub struct Health {
    vault: Vault,
    db: Db,
    store: Store,
}

impl Health {
    pub(in crate::flow) fn new(vault: Vault, db: Db, store: Store) -> Self {
        Self { vault, db, store }
    }

    /// Checks that database and store answer, and that custody did at its last use.
    ///
    /// # Errors
    /// The error of the one that does not answer.
    pub async fn probe(&self) -> Result<(), Error> {
        self.db.probe().await?;
        self.store.probe().await?;
        match self.vault.custody_trouble() {
            None => Ok(()),
            Some(trouble) => Err(vault::Error::CustodyTrouble(trouble).into()),
        }
    }

    /// Returns the kind of reason for which the database is closed, if it is.
    pub fn refusal(&self) -> Option<ClosedFor> {
        self.db.refusal().map(|closed| closed.because)
    }

    /// Returns why custody does not serve this database, if it does not.
    pub(super) async fn custody_trouble(&self) -> Option<String> {
        self.vault
            .check_owner()
            .await
            .err()
            .map(|error| error.to_string())
    }
}
