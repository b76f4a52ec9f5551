//! External requirements of tests: a server, a library, a program. Environment variables name them.
//!
//! A test that is useless without its requirement is `#[ignore]`d, and uses [`required`]. A test
//! that only covers less without it uses [`given`]. `tests/run` also runs the ignored tests, and
//! sets `RECVAULT_TEST_ALL`: then all requirements must be present.

/// Returns the variable's value; panics if it is not set.
pub(crate) fn required(variable: &str) -> String {
    value(variable).unwrap_or_else(|| panic!("`{variable}` is not set: `tests/run` sets it"))
}

/// Returns the variable's value. If it is not set and not required, prints a note and returns
/// `None`.
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
