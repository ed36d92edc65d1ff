//! The commands of one device: one at a time, the next waits (spec broadcast.md, The client side).

use super::exchange::{Exchange, Follows, Patience};
use fsu_plan::model::template::Template;
use std::collections::VecDeque;

/// Most commands of one device that may wait; more are rejected. Each holds a request of some tens of bytes.
pub const WAITING_MAX: usize = 1_024;

/// One device's queue.
#[derive(Debug)]
pub struct Commands<'p> {
    template: &'p Template,
    patience: Patience,
    waiting: VecDeque<(Vec<u8>, Follows)>,
    current: Option<Exchange<'p>>,
}

impl<'p> Commands<'p> {
    /// An empty queue.
    pub fn new(template: &'p Template, patience: Patience) -> Self {
        Self { template, patience, waiting: VecDeque::new(), current: None }
    }

    /// Sends a command, now or after those before it. False: too many wait ([`WAITING_MAX`]).
    pub fn ask(&mut self, request: Vec<u8>, follows: Follows, now_ms: u64) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        self.waiting.push_back((request, follows));
        self.begin(now_ms);
        true
    }

    fn begin(&mut self, now_ms: u64) {
        if self.current.is_none()
            && let Some((request, follows)) = self.waiting.pop_front()
        {
            self.current = Some(Exchange::new(self.template, request, follows, self.patience, now_ms));
        }
    }

    /// The running command: pass it frames and the time, and send what it has to send.
    pub fn current(&mut self) -> Option<&mut Exchange<'p>> {
        self.current.as_mut()
    }

    /// The command that has ended, if any. The next one starts then.
    pub fn ended(&mut self, now_ms: u64) -> Option<Exchange<'p>> {
        let ended = self.current.take_if(|exchange| exchange.outcome().is_some());
        self.begin(now_ms);
        ended
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
