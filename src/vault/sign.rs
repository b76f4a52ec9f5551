//! Statements that leave the vault under its signing key.
//!
//! Owns the use of that key for statements which are made elsewhere. Refuses to know whether they
//! are true: whoever has one signed wrote it down in the unit that made it so. Receipts of shreds
//! are signed where the key is destroyed.

use super::Vault;
use crate::{
    evidence::{DrillReport, Publication, revocation::RevocationReceipt},
    model::time::Timestamp,
    policy::Rules,
};

impl Vault {
    /// Signs that this vault published this very policy file.
    pub fn sign_publication(&self, rules: &Rules, at: Timestamp) -> String {
        Publication::of(self.0.id, rules, at).sign(&self.0.signer)
    }

    /// Signs the receipt for the whole of a revocation.
    pub fn sign_revocation(&self, receipt: &RevocationReceipt) -> String {
        receipt.sign(&self.0.signer)
    }

    /// Signs the evidence of a drill.
    pub fn sign_drill(&self, drill: &DrillReport) -> String {
        drill.sign(&self.0.signer)
    }
}
