//! The key tree: labels, pages and the path from the root key to a record key.
//!
//! Owns how keys protect keys. Refuses to know where a page is stored, what a recording is about,
//! and which caller asks.
//!
//! INVARIANT: a record key is random and is never derived from anything that lives longer than the
//! recording.
//!
//! Pure: rows in, rows out; randomness is an argument.

pub mod aead;
pub mod label;
pub mod note;
pub mod page;
pub mod reach;
pub mod service;
pub mod tree;

pub use label::{
    answer_key, artefact_key, details_key, evidence_key, fingerprint, idempotency_key, note_key,
    recovery_key, rows_content, rows_key, utterance_key, waiting_key,
};
pub use note::{open_note, seal_note};
pub use page::{Error, FAN_OUT, KeyPage, PageRow, PageSlot};
pub use service::{SERVICE, ServiceKeys, replace_signing_seed, signing_seed};
pub use tree::{LEAF, LEVELS, RootKey};
