//! The real executable, as operators, Twilio, listeners and power cuts meet it.
//!
//! Every test owns its world: a folder, a database, a stand-in for Twilio, and the processes it starts. With `RECVAULT_TEST_POSTGRES` set to a
//! PostgreSQL URL whose user may make databases, the crash tests run there too; with `RECVAULT_TEST_TWILIO_PYTHON` set to a Python
//! that has the `twilio` package, that package signs callbacks. Without them these tests say that they were skipped.

#[cfg(test)]
mod book;
#[cfg(test)]
mod client;
#[cfg(test)]
mod crash_points;
#[cfg(test)]
mod crash_random;
#[cfg(test)]
mod database;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod process;
#[cfg(test)]
mod two_processes;
#[cfg(test)]
mod world;
