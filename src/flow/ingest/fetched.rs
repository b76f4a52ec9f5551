//! The results of a fetch that did not fail.

/// The result of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flow) enum Fetched {
    /// The recording is sealed.
    Sealed,
    /// Nothing is left to fetch.
    Nothing,
    /// The recording must not be kept, and was shredded; the shred finished its work.
    LetGo,
}
