//! Labels, pages and the key tree. Pure: rows in, rows out.
