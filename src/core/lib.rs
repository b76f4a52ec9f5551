//! The pure core of Recvault: its decisions and computations.
//!
//! A crate of its own, so that the compiler enforces the module order: nothing here reaches the
//! network, a database or an async runtime. Three functions read the machine: `model::time` its
//! clock, `model::actor` the user of the process, and `secret` the file of a secret. Modules are in
//! import order; each imports only modules above it.

pub mod secret;

pub mod model;

pub mod keyring;

pub mod seal;

pub mod policy;

pub mod evidence;

#[cfg(test)]
#[path = "../../tests/needs/samples.rs"]
mod samples;
