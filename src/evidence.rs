//! Evidence: what the vault writes down of itself, and what it signs for others.
//!
//! Owns the entries of the audit log and the signed receipts of shreds, with their verification. Refuses to do I/O: the ledger keeps
//! entries and gives them their numbers. INVARIANT: ids, names, codes and digests only; never personal data, never text that somebody
//! typed freely.

mod entry;
mod event;
pub mod jws;
pub mod receipt;
mod shred_reason;
mod signing;

pub use self::{
    entry::{Details, Entry, InvalidDetails, NewEntry},
    event::{Event, UnknownEvent},
    receipt::{HeldCopy, Receipt, ReceiptState, Removal, Shred},
    shred_reason::{InvalidShredReason, ShredReason},
    signing::{InvalidKey, Jwk, KeySet, Signer, VerifyingKey},
};
