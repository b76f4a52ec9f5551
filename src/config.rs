//! The sum of every module's Settings.
