//! Evidence: the vault's audit entries, and the statements that it signs for others.
//!
//! Owns the entries of the audit log, the signed receipts of shreds, the signed statements of
//! published policies and the signed evidence of drills, with their verification. Refuses to do
//! I/O: the database stores entries and numbers them. INVARIANT: ids, names, codes and digests
//! only; never personal data, never free text.

pub mod drill;
mod entry;
mod event;
pub mod jws;
mod position;
pub mod publication;
pub mod receipt;
pub mod revocation;
mod shred_reason;
mod signing;

pub use self::{
    drill::DrillReport,
    entry::{Entry, EntryDetails, InvalidDetails, NewEntry},
    event::AuditEvent,
    position::{EntryDigest, InvalidDigest, Position},
    publication::Publication,
    receipt::{HeldCopy, Receipt, ReceiptState, Removal, ShredFacts},
    revocation::{CountedKind, RevocationReach, RevocationReceipt},
    shred_reason::{InvalidShredReason, ShredReason},
    signing::{InvalidKey, Jwk, KeySet, Signer, VerifyingKey},
};
