//! Audit entries and receipts, and their verification. Pure.
