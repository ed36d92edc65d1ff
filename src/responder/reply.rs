//! One device: a checked request to its reply.
