//! Erasure: recordings that must be deleted are shredded, and recordings under a hold are kept.
//!
//! Owns the reasons for a shred: a request, a withdrawn or missing consent, or the end of
//! retention. Refuses to know how keys are destroyed; the vault does.

pub(super) mod hold;
pub(super) mod quarantine;
pub(super) mod retention;
pub(super) mod revocation;
pub(super) mod shredding;
