//! What threads share things by, in the files that run under loom, too: the standard library's here, loom's there (`models/`).

pub(crate) use flume as channel;
pub(crate) use std::sync::atomic::{Ordering, fence};
pub(crate) use std::sync::{Arc, Mutex, PoisonError};
pub(crate) use std::thread::{Thread, park_timeout, sleep};
