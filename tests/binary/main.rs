//! The real executable, as operators, Twilio, listeners and power cuts meet it.
//!
//! Every test owns its world: a folder, a database, a stand-in for Twilio, and the processes it starts. With `RECVAULT_TEST_POSTGRES` set to a
//! PostgreSQL URL whose user may make databases, the crash tests run there too; with `RECVAULT_TEST_TWILIO_PYTHON` set to a Python
//! that has the `twilio` package, that package signs callbacks and asks the stand-in; with `RECVAULT_TEST_PHONENUMBERS` set to one that has `phonenumbers`, Google's plans judge our reading of numbers; with `RECVAULT_TEST_SOFTHSM` set to SoftHSM's library, a vault has its root in a
//! token; with `RECVAULT_TEST_MOTO` set to a `moto_server`, a key of AWS KMS unwraps it. Without them these tests say that they were skipped.

#![cfg(test)]

mod book;
mod cli_checks;
mod cli_consents;
mod cli_custody;
mod cli_init;
mod cli_policy;
mod cli_recordings;
mod cli_refusals;
mod cli_tokens;
mod client;
#[macro_use]
mod crash_points;
mod broken_log;
mod crash_init;
mod crash_random;
mod crash_turn;
mod database;
mod demo;
mod disk_full;
mod garbage;
mod hang_ups;
mod invariants;
mod kms_away;
#[path = "../it/world/moto.rs"]
mod moto;
mod numbers;
mod old_copy;
mod process;
mod revocations_due;
mod revoke_many;
mod service;
mod shred_many;
mod silence;
mod sources;
mod twilio_client;
mod twilio_python;
mod two_processes;
mod world;
