//! The root key's home.
