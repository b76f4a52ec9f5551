//! The sealed object. Pure: bytes in, bytes out.
