//! Tests of the vault in one process: each owns its world and is named after actor and event.
//!
//! External requirements are in [`needs`]. On PostgreSQL every test creates its own database and
//! drops it.

#![cfg(test)]

#[macro_use]
mod world;
#[path = "../needs/mod.rs"]
mod needs;
mod s3_server;

mod approving;
mod asking;
mod attacking;
mod auditing;
mod authority;
mod buckets;
mod callbacks;
mod chats;
mod clocks;
mod consenting;
mod conversations;
mod crowding;
mod displacing;
mod drilling;
mod durable;
mod encrypted;
mod epochs;
mod erasing;
mod exporting;
mod fetching;
mod forgetting;
mod holding;
mod holes;
mod keeping;
mod leaks;
mod legs;
mod listening;
mod lists;
mod messages;
mod model_based;
mod nothing_missed;
mod packing;
mod parties;
mod principals;
mod publishing;
mod reconciling;
mod restoring;
mod revoking;
mod rooms;
mod service;
mod sessions;
mod sharing;
mod shredding;
mod signing;
mod silence;
mod sizes;
mod store_faults;
mod streams;
mod tampering;
mod threads;
mod timelines;
mod transcribing;
mod turning;
mod viewing;
mod waiting;
mod withdrawing;
