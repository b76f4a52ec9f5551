//! A person on the command line: a number or address, or `-` for the first line of standard input.
//!
//! INVARIANT: an error does not repeat the input, so clap does not parse it, whose errors do. With
//! `-`, a number appears in no process list and in no shell history.

use std::io;

use super::failure::{CommandRefusal, Failure};
use crate::model::subject::Address;

/// Parses the value of `--subject`.
pub(super) fn address(typed: &str) -> Result<Address, Failure> {
    let mut line = String::new();
    let text = if typed == "-" {
        io::stdin().read_line(&mut line)?;
        if line.trim().is_empty() {
            return Err(CommandRefusal::invalid(
                "`--subject -`: standard input has no first line; write the number or address to it",
            ));
        }
        &line
    } else {
        typed
    };
    Address::parse(text).map_err(|error| CommandRefusal::invalid(format!("`--subject`: {error}")))
}
