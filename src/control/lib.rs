//! The control server: what a running fleet tells, and what it can be told.
