//! Sockets and timers of one executor.
