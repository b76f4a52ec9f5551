//! Stories a person could tell.
