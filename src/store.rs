//! Objects: the only maker of object paths.
