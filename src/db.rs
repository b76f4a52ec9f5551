//! The database: what the vault knows, on SQLite or PostgreSQL.
//!
//! Owns every SQL text, each once and understood by both databases, and the units of work they run
//! in. Refuses to know what a key opens, who may listen, or anything of the network.
//!
//! INVARIANTS
//! - A unit of work is short and holds no transaction during network I/O; it is repeated when the
//!   database asks for it.
//! - Nothing is written but in a [`Unit`]. It commits nothing that it does not tell the audit log,
//!   in the same transaction and last, because that locks the log's head. Only what carries the
//!   number of an entry comes after it.
//! - Zero rows where one was expected is an error.
//! - The columns of a table are listed where it is declared (`table.rs`), and nowhere else.

pub mod accept;
pub mod approvals;
pub mod audit;
pub mod budgets;
pub mod chain;
pub mod clock;
mod closed;
#[cfg(test)]
mod conformance;
pub mod consents;
pub mod details;
pub mod endings;
pub mod epochs;
mod error;
pub mod exports;
mod file;
pub mod gaps;
mod gate;
pub mod grants;
pub mod heard;
pub mod holds;
pub mod image;
pub mod keys;
pub mod lease;
pub mod listings;
pub mod merged;
pub mod news;
mod open;
pub mod outbox;
pub mod parties;
pub mod policies;
pub mod principals;
pub mod quarantine;
pub mod reconciliations;
pub mod recordings;
pub mod retention;
pub mod revocations;
pub mod row;
mod schema;
pub mod shreds;
pub mod sources;
mod table;
pub mod timelines;
pub mod tokens;
pub mod transcripts;
pub mod tx;
mod unit;
pub mod utterances;
pub mod waiting;
pub mod work;

pub use closed::{Closed, ClosedFor};
pub use error::Error;
pub use lease::Term;
pub use news::ChangeFeed;
pub use open::{AsDatabaseError, DatabaseSettings, Db};
pub use tx::Tx;
pub use unit::Unit;
