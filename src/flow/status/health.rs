//! Whether the vault can work now.
//!
//! Owns the asking. Refuses to mend anything.

use crate::{
    flow::error::Error,
    ledger::{ClosedFor, Ledger},
    store::Store,
    vault::{self, Vault},
};

/// Whether ledger, store and custody answer.
pub struct Health {
    vault: Vault,
    ledger: Ledger,
    store: Store,
}

impl Health {
    pub(in crate::flow) fn new(vault: Vault, ledger: Ledger, store: Store) -> Self {
        Self {
            vault,
            ledger,
            store,
        }
    }

    /// Whether ledger and store answer, and custody did when it was last asked.
    ///
    /// # Errors
    /// Whatever keeps one of them from answering.
    pub async fn probe(&self) -> Result<(), Error> {
        self.ledger.probe().await?;
        self.store.probe().await?;
        match self.vault.custody_trouble() {
            None => Ok(()),
            Some(trouble) => Err(vault::Error::CustodyTrouble(trouble).into()),
        }
    }

    /// Why nothing is written and nothing opens, if that is so: what kind of reason it is.
    pub fn refusal(&self) -> Option<ClosedFor> {
        self.ledger.refusal().map(|closed| closed.because)
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
