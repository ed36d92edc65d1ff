//! One datagram that is one inner frame.
