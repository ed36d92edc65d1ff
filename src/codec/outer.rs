//! The B interface's outer frame (spec b-interface.md).
