//! The `recvault` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    recvault::cli::run()
}
