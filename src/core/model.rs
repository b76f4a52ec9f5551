//! The basic values of the domain: ids, recordings and their life cycle, artefacts, principals,
//! time.
//!
//! Owns the definitions; refuses to know where a value is stored and who may see it. No I/O.

pub mod access;
pub mod actor;
pub mod artefact;
pub mod bounded;
pub mod consent;
pub mod crash;
pub mod details;
pub mod encoding;
pub mod encryption;
pub mod folding;
pub mod grant_object;
pub mod hold;
pub mod id;
pub mod idempotency;
pub mod json;
pub mod link;
pub mod media;
pub mod name;
pub mod numerals;
pub mod origin;
pub mod reconciled;
pub mod recording;
pub mod residue;
pub mod revocation;
pub(crate) mod schema;
pub mod sid;
pub mod source;
pub mod subject;
pub mod text;
pub mod time;
pub mod timeline;
pub mod transcript;
pub mod wave;
pub mod word;
