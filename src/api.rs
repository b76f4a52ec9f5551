//! HTTP for machines: translation only.
