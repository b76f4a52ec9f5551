//! The `recvault` binary.

use std::process::ExitCode;

/// Zeroes all freed memory: words and numbers pass through buffers of libraries, which do not zero
/// them. The vault's own buffers are zeroed independently.
#[global_allocator]
static ZEROING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    recvault::cli::run()
}
