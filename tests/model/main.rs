//! The epoch turn as an executable model: every reachable state of a small vault is visited, with a
//! pause, a crash or the loss of the database after every step, and the invariants are checked in
//! each state.
//!
//! It owns no line of the program and uses none: it checks the protocol, not the code. A recording
//! is a bit, a key is a number, sealing is an edge from one key to another, and the page tree is
//! two leaves under one branch under the root page. A recording that was lost and is deposited
//! again has the same bit, though another key: when it is shredded, both must die. Not modelled:
//! the bytes, tiers, legs, cached keys, clocks (a lease can have expired at any time), torn writes
//! (objects and transactions are whole or absent), the audit log except its length, an attacker who
//! saw a root key before it was destroyed, and two databases of one vault at the same time (custody
//! names its owner, and a take-over counts here as one more change of the slot).
//!
//! The code of each action:
//!
//! | action | code |
//! |---|---|
//! | deposit, shred, move | `vault/deposit`, `vault/shred`, a change of tier: one transaction each |
//! | begin, stage, climb, cover, commit | `vault/epoch`: the lease, custody's new root, a stale page, the last transaction in halves |
//! | read, write, verify the snapshot | `vault/snapshot`: rows read at once, stored, opened again with custody's root |
//! | stage, destroy | a swap of custody: refused if the slot was changed since the lease was last asked |
//! | destroy, note, complete, remove, finish | `vault/epoch` after its last transaction |
//! | flush: read, write | `vault/journal`: marked rows read at once; stored, and the marks that are still the same cleared |
//! | lose, restore | the database is gone; `vault/snapshot` rebuilds it from the store and custody's roots |
//!
//! The duties of a rebuild, each necessary for an invariant (each is a row of the mutants' table):
//!
//! - Every page becomes stale: old copies of a page, from after the snapshot and under the same
//!   key, may hold keys that this page does not.
//! - The next epoch is numbered above every root in custody, and the staged root, which may have
//!   sealed pages of the lost database, dies unused.
//! - Receipts that are not completed are covered anew.
//! - Before anything is accepted, a snapshot of the rebuilt database is verified, then every other
//!   root is destroyed.
//!
//! A snapshot states how often its database had been rebuilt, and that takes precedence over its
//! epoch; numbers of epochs are not reused. Both were necessary while a suspended turner could
//! destroy roots that it had found earlier; since a swap compares, they are a second line of
//! defence.
//!
//! The correct protocol and the flawed ones are one program: a [`flaws::Flaw`] changes one step of
//! it.

#![cfg(test)]

mod actions;
mod flaws;
mod invariants;
mod knowledge;
mod mutants;
mod pages;
mod restore;
mod scopes;
mod search;
mod state;
mod turn;
