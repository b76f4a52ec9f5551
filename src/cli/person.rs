//! A person on the command line: by number or address, or `-` for the first line of standard input.
//!
//! INVARIANT: what was typed is not repeated in an error, so it is not read by clap, whose errors
//! do. With `-` a number is in no list of processes and in no history of a shell.

use std::io;

use super::failure::{CommandRefusal, Failure};
use crate::model::subject::Address;

/// The address that `--subject` gives.
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
