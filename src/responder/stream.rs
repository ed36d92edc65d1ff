//! The bytes of a TCP connection.
