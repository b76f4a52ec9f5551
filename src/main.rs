//! The `recvault` binary.

use std::process::ExitCode;

/// Whatever is freed is zeroed: words and numbers pass through buffers of libraries, which do not
/// do that themselves. What the vault itself puts together leaves nothing behind without it.
#[global_allocator]
static ZEROING: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    recvault::cli::run()
}
