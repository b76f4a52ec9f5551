//! The tables whose rows travel.
//!
//! Owns this list and its order. What a table is like is said where it is declared. Not among them:
//! what lives for minutes or a day (grants, budgets, `idempotency`, `outbox`, `turner`), what is found again at the
//! source (`transcripts`, `utterances`, `listings`, `reconciliations`), the one number of
//! `audit_head`, and `timelines`, which each recovery file names in its header.

use crate::db::{
    approvals::ApprovalRow,
    audit::StoredEntry,
    consents::StoredConsent,
    details::StoredDetails,
    epochs::EpochRow,
    gaps::StoredGap,
    holds::HoldRow,
    keys::{StoredKeyEntry, StoredPage, StoredVault},
    parties::StoredParty,
    policies::PolicyRow,
    principals::PrincipalRow,
    recordings::{SealedArtefact, StoredRecording},
    revocations::{StoredOutcome, StoredRevocation},
    shreds::{StoredReceipt, StoredTombstone},
    sources::StoredCopy,
    table::{Column, Declaration, TableRow as _},
    tokens::TokenRow,
    work::StoredWork,
};

macro_rules! travelling {
    ($($(#[$doc:meta])* $table:ident = $declaration:expr,)+) => {
        /// A table whose rows travel. The order is the one in which they are written: what is
        /// referred to comes first, except that key entries come before their pages.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Table {
            $($(#[$doc])* $table,)+
        }

        impl Table {
            /// All of them, in order.
            pub const ALL: [Self; [$(stringify!($table)),+].len()] = [$(Self::$table),+];

            /// What it is like.
            pub(in crate::db) const fn declaration(self) -> &'static Declaration {
                match self {
                    $(Self::$table => const { &$declaration },)+
                }
            }
        }
    };
}

travelling! {
    /// The one vault.
    Vault = StoredVault::TABLE,
    /// Policy files that were in force.
    Policies = PolicyRow::TABLE,
    /// Lives of the root key.
    Epochs = EpochRow::TABLE,
    /// Persons and services that act.
    Principals = PrincipalRow::TABLE,
    /// Bearer tokens, as hashes.
    Tokens = TokenRow::TABLE,
    /// The catalogue.
    Recordings = StoredRecording::TABLE,
    /// Where record keys are.
    KeyEntries = StoredKeyEntry::TABLE,
    /// Pages of the key tree.
    Pages = StoredPage::TABLE,
    /// Sealed objects.
    Artefacts = SealedArtefact::TABLE,
    /// Who took part, sealed.
    Details = StoredDetails::TABLE,
    /// Copies at the source.
    Sources = StoredCopy::TABLE,
    /// The marks that keys are dead.
    Tombstones = StoredTombstone::TABLE,
    /// Proofs of shreds.
    Receipts = StoredReceipt::TABLE,
    /// Work to do, with its leases.
    Work = StoredWork::TABLE,
    /// Who took part in a conversation.
    Parties = StoredParty::TABLE,
    /// Statements of consent.
    Consents = StoredConsent::TABLE,
    /// Stops on shredding.
    Holds = HoldRow::TABLE,
    /// Requests for the approval of a second person.
    Approvals = ApprovalRow::TABLE,
    /// Revocations.
    Revocations = StoredRevocation::TABLE,
    /// What a revocation did to each recording.
    Revoked = StoredOutcome::TABLE,
    /// What a rebuilding went without.
    Gaps = StoredGap::TABLE,
    /// The audit log.
    Audit = StoredEntry::TABLE,
}

impl Table {
    /// As the databases call it.
    pub const fn name(self) -> &'static str {
        self.declaration().name
    }

    /// The table of this name, if its rows travel.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Its columns, in the databases' order.
    pub(in crate::db) const fn columns(self) -> &'static [Column] {
        self.declaration().columns
    }

    /// The columns of the primary key; they are the first ones.
    pub(in crate::db) const fn key(self) -> &'static [Column] {
        self.columns().split_at(self.declaration().key).0
    }
}
