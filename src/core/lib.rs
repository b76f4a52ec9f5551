//! The pure core of Recvault: what it decides and computes.
//!
//! A crate of its own, so that the compiler holds what the order of modules only states: nothing
//! here reaches the network, a database or an async runtime. Two functions read the machine:
//! `model::time` its clock, and `secret` the file of a secret. Modules stand in import order; each
//! imports only modules above it.

pub mod secret;

pub mod model;

pub mod keyring;

pub mod seal;

pub mod policy;

pub mod evidence;

#[cfg(test)]
#[path = "../../tests/needs/samples.rs"]
mod samples;
