//! One datagram of the B interface.
