//! A thread's desk, and what it asks.

use super::ask::Asking;
use crate::hear::desk::Desk;
use std::ops::{Deref, DerefMut};

/// What connections and sockets of a thread share: the desk, which takes what devices say, and the requests, if there are any.
#[derive(Debug)]
pub struct Centre<'a> {
    /// What is done with messages.
    pub desk: Desk<'a>,
    /// What is asked.
    pub asking: Option<Box<Asking<'a>>>,
}

impl<'a> Deref for Centre<'a> {
    type Target = Desk<'a>;

    fn deref(&self) -> &Desk<'a> {
        &self.desk
    }
}

impl DerefMut for Centre<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.desk
    }
}
