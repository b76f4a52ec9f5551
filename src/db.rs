//! The database, SQLite or PostgreSQL.
//!
//! Owns every SQL text, each written once for both databases, and the units of work that run them.
//! Refuses to know keys, permissions and the network.
//!
//! INVARIANTS
//! - A unit of work is short and holds no transaction during network I/O; it is retried when the
//!   database reports a conflict.
//! - Every write is in a [`Unit`]. A unit has audit entries, or states why it needs none
//!   ([`Unit::without_entry`]). It writes the entries in the same transaction and last, because
//!   they lock the log's head. Only rows with the number of an entry follow.
//! - Zero rows where one was expected is an error.
//! - The columns of a table are listed only in its declaration (`table.rs`).

pub mod accept;
pub mod approvals;
pub mod artefacts;
pub mod audit;
pub mod budgets;
pub mod chain;
pub mod chats;
pub mod clock;
mod closed;
#[cfg(test)]
mod conformance;
pub mod consents;
pub mod conversations;
pub mod details;
pub mod discovery;
pub mod endings;
pub mod epochs;
mod error;
pub mod exports;
mod file;
pub mod gaps;
mod gate;
pub mod grants;
pub mod group_commit;
pub mod holds;
pub mod idempotency;
pub mod image;
pub mod keys;
pub mod lease;
pub mod likenesses;
pub mod links;
pub mod listings;
pub mod merged;
pub mod name_locks;
pub mod news;
pub mod notices;
mod open;
pub mod outbox;
pub mod packs;
pub mod parties;
mod place;
pub mod policies;
pub mod principals;
pub mod quarantine;
mod query;
pub mod reconciliations;
pub mod recordings;
pub mod retention;
pub mod revocations;
pub mod row;
mod schema;
pub mod session_calls;
pub mod shared_rows;
pub mod shreds;
pub mod signing_keys;
pub mod sources;
mod story;
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
pub use open::{AsDatabaseError, Db};
pub use place::DatabaseSettings;
pub use tx::Tx;
pub use unit::Unit;
