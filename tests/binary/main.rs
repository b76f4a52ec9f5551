//! The real executable, as used by operators, Twilio and players, and under power failures.
//!
//! Every test owns its world: a folder, a database, a stand-in for Twilio, and its processes.
//! Further requirements are in [`needs`]: a PostgreSQL user that may create databases, a Python
//! with the package `twilio` or `phonenumbers`, SoftHSM's library, readers of OpenAPI.

#![cfg(test)]

mod book;
mod cli_checks;
mod cli_consents;
mod cli_custody;
mod cli_init;
mod cli_lists;
mod cli_output;
mod cli_policy;
mod cli_principals;
mod cli_recordings;
mod cli_refusals;
mod cli_tokens;
mod client;
#[macro_use]
mod crash_points;
mod broken_log;
mod crash_chats;
mod crash_init;
mod crash_messages;
mod crash_notice;
mod crash_packs;
mod crash_random;
mod crash_repeats;
mod crash_rooms;
mod crash_rows;
mod crash_sessions;
mod crash_turn;
mod database;
mod demo;
mod disk_full;
mod garbage;
mod hang_ups;
mod invariants;
mod kms_away;
mod log_story;
#[path = "../it/world/moto.rs"]
mod moto;
#[path = "../needs/mod.rs"]
mod needs;
mod numbers;
mod old_copy;
mod openapi;
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
mod unprintable;
mod world;
