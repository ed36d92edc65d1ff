//! The inner checksums.
