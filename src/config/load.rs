//! Files to raw values, each read once.
