//! The one place where key, ciphertext and row meet.
