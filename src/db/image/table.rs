//! The tables whose rows are moved.
//!
//! Owns this list and its order. The properties of a table are in its declaration. Tables that are
//! not moved include short-lived data (grants, budgets, `idempotency`, `likenesses`, `outbox`,
//! `turner`), data that can be fetched again from the source (`transcripts`, `utterances`,
//! `listings`, `notices`, `reconciliations`), the one number of `audit_head`, and `timelines`, which
//! the header of each recovery file names.

use crate::db::{
    approvals::ApprovalRow,
    audit::StoredEntry,
    chats::ChatRow,
    consents::StoredConsent,
    details::StoredDetails,
    epochs::EpochRow,
    gaps::StoredGap,
    holds::HoldRow,
    keys::{StoredKeyEntry, StoredPage, StoredVault},
    links::LinkRow,
    packs::{Pack, PackContent},
    parties::StoredParty,
    policies::PolicyRow,
    principals::PrincipalRow,
    recordings::{SealedArtefact, StoredRecording},
    revocations::{StoredOutcome, StoredRevocation},
    shared_rows::SharedRows,
    shreds::{StoredReceipt, StoredTombstone},
    signing_keys::SigningKeyRow,
    sources::StoredCopy,
    table::{Column, Declaration, TableRow as _},
    tokens::TokenRow,
    work::StoredWork,
};

macro_rules! travelling {
    ($($(#[$doc:meta])* $table:ident = $declaration:expr,)+) => {
        /// A table whose rows are moved. The order is the order in which they are written:
        /// referenced rows come first, except that key entries come before their pages.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Table {
            $($(#[$doc])* $table,)+
        }

        impl Table {
            /// All of them, in order.
            pub const ALL: [Self; [$(stringify!($table)),+].len()] = [$(Self::$table),+];

            /// Its declaration.
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
    /// Public keys by which signatures are checked.
    SigningKeys = SigningKeyRow::TABLE,
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
    /// Positions of record keys in the key tree.
    KeyEntries = StoredKeyEntry::TABLE,
    /// Pages of the key tree.
    Pages = StoredPage::TABLE,
    /// Objects with the small ciphertext of many artefacts.
    Packs = Pack::TABLE,
    /// Whose ciphertext each of them has.
    PackContents = PackContent::TABLE,
    /// Sealed objects.
    Artefacts = SealedArtefact::TABLE,
    /// Participants, sealed.
    Details = StoredDetails::TABLE,
    /// Copies at the source.
    Sources = StoredCopy::TABLE,
    /// Recordings of one text.
    Links = LinkRow::TABLE,
    /// Evidence that keys were destroyed.
    Tombstones = StoredTombstone::TABLE,
    /// Proofs of shreds.
    Receipts = StoredReceipt::TABLE,
    /// Work to do, with its leases.
    Work = StoredWork::TABLE,
    /// Participants of conversations.
    Parties = StoredParty::TABLE,
    /// Chats at the source.
    Chats = ChatRow::TABLE,
    /// Statements of consent.
    Consents = StoredConsent::TABLE,
    /// Legal holds.
    Holds = HoldRow::TABLE,
    /// Requests for the approval of a second person.
    Approvals = ApprovalRow::TABLE,
    /// Revocations.
    Revocations = StoredRevocation::TABLE,
    /// The outcome of each revocation for each recording.
    Revoked = StoredOutcome::TABLE,
    /// Gaps that a rebuild accepted.
    Gaps = StoredGap::TABLE,
    /// The audit log.
    Audit = StoredEntry::TABLE,
    /// Objects with rows that snapshots share.
    SharedRows = SharedRows::TABLE,
}

impl Table {
    /// Returns the name of the table in the databases.
    pub const fn name(self) -> &'static str {
        self.declaration().name
    }

    /// Returns the moved table with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Returns whether its rows belong to recordings and change with them: a snapshot writes them
    /// where it writes the recording. Work comes and goes by itself.
    pub fn is_of_recordings(self) -> bool {
        let of_recording = self.declaration().subject == Some("recording_id");
        self == Self::Recordings || (of_recording && self != Self::Work)
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
