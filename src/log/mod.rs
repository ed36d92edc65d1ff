//! The logger thread.
