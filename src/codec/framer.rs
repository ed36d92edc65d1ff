//! Cuts a stream into inner frames (spec b-interface.md, TCP).
