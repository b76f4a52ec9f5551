//! The `recvault` binary.

fn main() {}
