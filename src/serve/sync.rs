//! What threads share data with, in the files that also run under loom: the standard library's here, loom's there (`models/`).

pub(crate) use flume as channel;
pub(crate) use std::sync::atomic::{Ordering, fence};
pub(crate) use std::sync::{Arc, Mutex, PoisonError};
pub(crate) use std::thread::{Thread, park_timeout, sleep};
