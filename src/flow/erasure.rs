//! Erasure: recordings that must be deleted are shredded, and recordings under a hold are kept.
//!
//! Owns who lets go of a recording and why: somebody asks for it, a consent is withdrawn or never
//! came, its time is over. Refuses to know how keys are destroyed; the vault does.

pub(super) mod hold;
pub(super) mod quarantine;
pub(super) mod retention;
pub(super) mod revocation;
pub(super) mod shredding;
