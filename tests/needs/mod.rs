//! What a test needs and a machine may lack: a server, a library, a program. Variables name them.
//!
//! A test that is nothing without one is `#[ignore]`d, and takes it by [`required`]. A test that
//! only does less without one asks by [`given`]. `tests/run` runs the ignored ones, too, and sets
//! `RECVAULT_TEST_ALL`: then nothing may be missing.

/// The variable's value.
pub(crate) fn required(variable: &str) -> String {
    value(variable).unwrap_or_else(|| panic!("`{variable}` is not set: `tests/run` sets it"))
}

/// The variable's value; `None`, after saying so, where it is not set and need not be.
pub(crate) fn given(variable: &str) -> Option<String> {
    if value("RECVAULT_TEST_ALL").is_some() {
        return Some(required(variable));
    }
    let given = value(variable);
    if given.is_none() {
        eprintln!("left out: `{variable}` is not set");
    }
    given
}

fn value(variable: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the switches of the tests")]
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
}
