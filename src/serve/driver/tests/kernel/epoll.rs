//! One epoll set, level-triggered.

use crate::driver::tests::kernel::{CALL_NS, Kernel, What};
use rustix::event::epoll::{Event, EventData, EventFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// A descriptor in the set.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) file: usize,
    data: EventData,
    flags: EventFlags,
}

impl Kernel {
    pub(in crate::driver) fn epoll_create(&mut self) -> Result<OwnedFd, Errno> {
        self.hand_out(What::Epoll).map_err(|_: io::Error| Errno::MFILE)
    }

    pub(in crate::driver) fn epoll_add(
        &mut self,
        _: BorrowedFd<'_>,
        fd: BorrowedFd<'_>,
        data: EventData,
        flags: EventFlags,
    ) -> Result<(), Errno> {
        match self.find(fd) {
            (_, Some(_)) => Err(Errno::EXIST),
            (file, None) => {
                self.epoll.push(Entry { file, data, flags });
                Ok(())
            }
        }
    }

    pub(in crate::driver) fn epoll_modify(
        &mut self,
        _: BorrowedFd<'_>,
        fd: BorrowedFd<'_>,
        data: EventData,
        flags: EventFlags,
    ) -> Result<(), Errno> {
        let (file, at) = self.find(fd);
        let at = at.ok_or(Errno::NOENT)?;
        if self.told(&self.epoll[at]).contains(EventFlags::IN) && !flags.contains(EventFlags::IN) {
            self.trouble(match self.files[file].what {
                What::Udp(_) | What::Centre(_) => "hidden datagrams",
                What::Listener(_) => "hidden connections",
                _ => "hidden bytes",
            });
        }
        let entry = &mut self.epoll[at];
        (entry.data, entry.flags) = (data, flags);
        Ok(())
    }

    pub(in crate::driver) fn epoll_delete(&mut self, _: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        let at = self.find(fd).1.ok_or(Errno::NOENT)?;
        self.epoll.remove(at);
        Ok(())
    }

    /// The file that a call is about, and its place in the set.
    fn find(&mut self, fd: BorrowedFd<'_>) -> (usize, Option<usize>) {
        self.enter(CALL_NS);
        let file = self.file(fd);
        (file, self.epoll.iter().position(|entry| entry.file == file))
    }

    /// Readiness of a file. Errors are reported without being asked for.
    fn state_of(&self, file: usize) -> EventFlags {
        let mut flags = EventFlags::empty();
        match self.files[file].what {
            What::Udp(_) | What::Centre(_) => {
                flags.set(EventFlags::IN, self.is_udp_ready(self.half(file)));
                flags.set(EventFlags::ERR, self.has_error(self.half(file)));
            }
            What::Listener(listener) => flags.set(EventFlags::IN, self.has_connection(listener)),
            What::Stream(number) => {
                let stream = &self.streams[number];
                flags.set(EventFlags::IN, stream.is_readable());
                flags.set(EventFlags::OUT, self.is_writable(number));
                flags.set(EventFlags::ERR, stream.is_broken());
                flags.set(EventFlags::HUP, stream.is_over());
            }
            What::Eventfd => flags.set(EventFlags::IN, self.signals[&file].0 > 0),
            What::Epoll => {}
        }
        flags
    }

    fn told(&self, entry: &Entry) -> EventFlags {
        self.state_of(entry.file) & (entry.flags | EventFlags::ERR | EventFlags::HUP)
    }

    fn has_event(&self) -> bool {
        self.epoll.iter().any(|entry| !self.told(entry).is_empty())
    }

    /// Waits for an event. The time may be over before.
    fn await_event(&mut self, at_most: Duration) -> Result<(), Errno> {
        self.enter(2 * CALL_NS);
        self.look();
        self.see_closed();
        let until_ns = self.ns + at_most.as_nanos() as u64;
        while !self.has_event() && self.ns < until_ns {
            if self.chance("interrupted", self.weather.interrupted / 10.0) {
                return Err(Errno::INTR);
            }
            self.pass(until_ns);
        }
        self.looked();
        Ok(())
    }

    pub(in crate::driver) fn poll_readable(&mut self, fd: BorrowedFd<'_>, at_most: Duration) -> Result<(), Errno> {
        assert_eq!(self.what(fd), What::Epoll);
        self.await_event(at_most)
    }

    pub(in crate::driver) fn epoll_wait(
        &mut self,
        set: BorrowedFd<'_>,
        events: &mut [Event],
        at_most: Duration,
    ) -> Result<usize, Errno> {
        assert_eq!(self.what(set), What::Epoll);
        self.await_event(at_most)?;
        let mut ready: Vec<usize> =
            (0..self.epoll.len()).filter(|&at| !self.told(&self.epoll[at]).is_empty()).collect();
        if self.weather.any_order {
            self.rng.shuffle(&mut ready);
        }
        if !ready.is_empty() && self.chance("partial", self.weather.partial) {
            ready.truncate(self.rng.usize(1..=ready.len()));
        }
        ready.truncate(events.len());
        self.told += ready.len() as u64;
        for (event, &at) in events.iter_mut().zip(&ready) {
            let entry = self.epoll[at];
            *event = Event { flags: self.told(&entry), data: entry.data };
        }
        // Reported entries come after the others the next time.
        let mut told: Vec<Entry> = ready.iter().map(|&at| self.epoll[at]).collect();
        let mut at = 0;
        self.epoll.retain(|_| {
            at += 1;
            !ready.contains(&(at - 1))
        });
        self.epoll.append(&mut told);
        Ok(ready.len())
    }
}
