//! What configurations come to on the wire.

mod frames;
