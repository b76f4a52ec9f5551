//! Recvault keeps recorded communications sealed, opens them only for a stated purpose, and
//! destroys their keys when they must be deleted.
//!
//! # The main paths
//!
//! ```text
//! callback   → twilio::signature → flow::ingest::accept → row announced + work enqueued        one transaction, then 204
//! work       → twilio::media stream → vault::deposit: seal → store → key entry + row + entry   one transaction, last
//! message    → twilio::signature → flow::ingest::messages: seal → row + key entry + ciphertext + entry      one transaction of many, then 200
//! chat       → twilio::signature → flow::ingest::messages::chats: participants named, each state sealed as a message's; read → participants over REST, gaps looked up
//! listening  → api token → Principal → Facts (consents, holds, approval, budget) → policy::decide → Grant → entry → vault::open → bytes
//! consent    → flow::consent → statement + entry, recordings released or put in quarantine    one transaction
//! revocation → flow::erasure → each reached recording, present and later: tombstone + key entry destroyed + entry + receipt   one transaction for some hundreds
//!            → epoch turns → bytes removed → receipt closed
//! ```
//!
//! # The modules, in import order
//!
//! A module imports only modules above it; `tests/tidy.rs` enforces this order. The first six
//! modules are the pure core, a crate of its own (`src/core`): the compiler ensures that they do no
//! input or output. Every write begins in [`flow`], every key use is in [`vault`], and every
//! decision is in [`policy`]. No transaction is open during network I/O: work is held by leases.

// The pure core, a crate of its own in `src/core`: its modules come first in the order.
pub use recvault_core::{evidence, keyring, model, policy, seal, secret};

pub mod store;

pub mod db;

pub mod twilio;

pub mod custody;

pub mod vault;

pub mod drill;

pub mod flow;

pub mod api;

pub mod telemetry;

pub mod config;

pub mod app;

#[cfg(feature = "demo")]
pub mod demo;

pub mod cli;

#[cfg(test)]
#[path = "../tests/needs/moto.rs"]
mod moto;

#[cfg(test)]
#[path = "../tests/needs/mod.rs"]
mod needs;

#[cfg(test)]
#[path = "../tests/needs/samples.rs"]
mod samples;
