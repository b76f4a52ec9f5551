//! The root key's home.
//!
//! Owns how the root key of the current epoch rests, and what its destruction means there. Refuses to know the pages it opens.
//! One kind is built: [`passphrase`]. HSM tokens and cloud KMS join beside it, and with them the trait they share.

pub mod passphrase;

pub use passphrase::{Error, Root, Settings};
