//! The only place that chooses backends.
