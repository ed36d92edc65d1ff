//! io_uring as the drivers use it ([`fsu_net::sys::calls::Ring`]): what was begun goes to the kernel with a wait; completions wait
//! until they are taken.

use crate::driver::tests::kernel::net::Half;
use crate::driver::tests::kernel::{CALL_NS, Kernel, What, calls};
use fsu_net::outbox::{Addressed, Outbox};
use fsu_net::sys::calls::Pool;
use fsu_net::sys::simulated::{Provided, pools};
use fsu_net::sys::{By, Done, Filled, Op, READ_BYTES, Unsent};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

/// Operations that may wait to be taken by the kernel.
const SUBMISSIONS_MAX: usize = 512;
/// How often a queue is submitted again that the kernel has not taken as a whole.
const SUBMITS_MAX: usize = 8;
/// A wait completes at most this many operations (the kernel's IO_LOCAL_TW_DEFAULT_MAX).
const WORK_MAX: usize = 20;
/// One operation completes so often in a row.
const IN_A_ROW_MAX: usize = 32;

/// What was begun, and the kernel has not taken.
#[derive(Debug)]
enum Begun {
    Operation(Op, u64, i32),
    Cancel(Op, u64),
    /// A datagram: the driver's own bits, its socket, its peer.
    Send(u64, i32, SocketAddr, Vec<u8>),
}

/// An operation that goes on.
#[derive(Clone, Copy, Debug)]
struct Operation {
    op: Op,
    data: u64,
    file: usize,
}

/// The kernel's side of a ring.
#[derive(Default)]
pub(crate) struct State {
    begun: VecDeque<Begun>,
    operations: Vec<Operation>,
    completed: VecDeque<Done>,
    /// Completions that found no room.
    kept: VecDeque<Done>,
    provided: Option<[Provided; 2]>,
    /// What the driver does with each filled buffer, by group, and how many it had given back.
    work_ns: [VecDeque<u64>; 2],
    given: [u16; 2],
}

impl State {
    /// What the driver has done with buffers since it was asked last.
    pub(crate) fn worked_ns(&mut self) -> u64 {
        let Some(provided) = &self.provided else { return 0 };
        let mut ns = 0;
        for ((provided, given), work_ns) in provided.iter().zip(&mut self.given).zip(&mut self.work_ns) {
            let count = provided.given().wrapping_sub(*given);
            *given = provided.given();
            ns += work_ns.drain(..usize::from(count).min(work_ns.len())).sum::<u64>();
        }
        ns
    }
}

/// The driver's side.
pub(in crate::driver) struct Simulated {
    kernel: Rc<RefCell<Kernel>>,
    unsent: Vec<Unsent>,
    /// Descriptors that are kept, by place.
    files: Vec<Option<i32>>,
}

impl Simulated {
    pub(crate) fn new(kernel: Rc<RefCell<Kernel>>, datagrams: u16, bytes: u16) -> (Self, Pool, Pool) {
        let mut state = kernel.borrow_mut();
        let buffers_max = state.weather.buffers_max;
        let [(datagrams, first), (bytes, second)] = pools(datagrams.min(buffers_max), bytes.min(buffers_max));
        let state = &mut state.ring;
        state.given = [first.given(), second.given()];
        state.provided = Some([first, second]);
        (Self { kernel: Rc::clone(&kernel), unsent: Vec::new(), files: Vec::new() }, datagrams, bytes)
    }

    pub(crate) fn begin(&mut self, op: Op, data: u64, fd: BorrowedFd<'_>) {
        self.push(Begun::Operation(op, data, calls::number(fd)));
    }

    pub(crate) fn cancel(&mut self, op: Op, data: u64) {
        self.push(Begun::Cancel(op, data));
    }

    pub(crate) fn send<D: Addressed + 'static>(
        &mut self,
        data: u64,
        outbox: &Rc<Outbox<D>>,
        at: usize,
        by: &By<'_>,
    ) -> bool {
        let Some((datagram, bytes)) = outbox.get(at) else { return true };
        if self.kernel.borrow().ring.begun.len() >= SUBMISSIONS_MAX && !self.submit() {
            return false;
        }
        self.push(Begun::Send(data, self.number_of(by), datagram.peer(), bytes.to_vec()));
        true
    }

    pub(crate) fn submit(&mut self) -> bool {
        let mut kernel = self.kernel.borrow_mut();
        for _ in 0..SUBMITS_MAX {
            if kernel.ring.begun.is_empty() {
                break;
            }
            kernel.enter(CALL_NS);
            kernel.submit();
        }
        kernel.ring.begun.is_empty()
    }

    pub(crate) fn unsent(&mut self) -> &mut Vec<Unsent> {
        &mut self.unsent
    }

    pub(crate) fn keep_files(&mut self, count: u32) -> io::Result<()> {
        self.files = vec![None; count as usize];
        Ok(())
    }

    pub(crate) fn set_file(&mut self, place: u32, fd: Option<BorrowedFd<'_>>) {
        if let Some(file) = self.files.get_mut(place as usize) {
            *file = fd.map(calls::number);
        }
    }

    /// The descriptor by which a datagram leaves: the one that is kept has to be the same.
    fn number_of(&self, by: &By<'_>) -> i32 {
        let number = calls::number(by.fd);
        let kept = by.file.and_then(|file| *self.files.get(file as usize)?);
        assert!(kept.is_none_or(|kept| kept == number), "another socket is kept at this place");
        number
    }

    pub(crate) fn is_overflowing(&mut self) -> bool {
        !self.kernel.borrow().ring.kept.is_empty()
    }

    fn push(&mut self, begun: Begun) {
        let mut kernel = self.kernel.borrow_mut();
        if kernel.ring.begun.len() >= SUBMISSIONS_MAX {
            kernel.submit();
        }
        kernel.ring.begun.push_back(begun);
    }

    pub(crate) fn is_submitted(&mut self) -> bool {
        self.kernel.borrow().ring.begun.is_empty()
    }

    pub(crate) fn wait(&mut self, at_most: Duration) -> io::Result<()> {
        self.kernel.borrow_mut().ring_wait(at_most);
        Ok(())
    }

    pub(crate) fn ready(&mut self) -> usize {
        self.kernel.borrow().ring.completed.len()
    }

    pub(crate) fn take(&mut self, done: &mut Vec<Done>, max: usize) {
        let completed = &mut self.kernel.borrow_mut().ring.completed;
        for one in completed.drain(..max.min(completed.len())) {
            match one.result {
                Err(errno) if one.op == Op::Send => self.unsent.push(Unsent { data: one.data, errno }),
                _ => done.push(one),
            }
        }
    }
}

impl Drop for Simulated {
    /// Ends all operations.
    fn drop(&mut self) {
        let mut kernel = self.kernel.borrow_mut();
        kernel.see_closed();
        let state = std::mem::take(&mut kernel.ring);
        for operation in state.operations {
            kernel.files[operation.file].holds -= 1;
            kernel.release(operation.file);
        }
    }
}

impl Kernel {
    /// Takes what was begun.
    fn submit(&mut self) {
        let begun = self.ring.begun.len();
        let count =
            if begun > 0 && self.chance("left_over", self.weather.left_over) { self.rng.usize(..begun) } else { begun };
        for _ in 0..count {
            match self.ring.begun.pop_front().expect("counted") {
                Begun::Operation(op, data, fd) => {
                    let file = *self.open.get(&fd).expect("a descriptor that is open until its operation is taken");
                    self.files[file].holds += 1;
                    if op == Op::Readable {
                        self.signals.entry(file).and_modify(|(count, told)| *told = *count == 0);
                    }
                    let runs = self.ring.operations.iter().any(|other| (other.op, other.data) == (op, data));
                    assert!(!runs, "{op:?} {data:x} goes on already");
                    self.ring.operations.push(Operation { op, data, file });
                }
                Begun::Cancel(op, data) => self.cancel_one(op, data),
                Begun::Send(data, fd, peer, bytes) => {
                    let file = *self.open.get(&fd).expect("a socket that is open until its send is taken");
                    if let Err(errno) = self.send_one(file, peer, bytes) {
                        let (op, result) = (Op::Send, Err(errno.raw_os_error()));
                        self.post(Done { op, data, result, more: false, filled: None, accepted: None });
                    }
                }
            }
        }
    }

    fn cancel_one(&mut self, op: Op, data: u64) {
        let at = self.ring.operations.iter().position(|other| (other.op, other.data) == (op, data));
        if let Some(at) = at {
            // What it waited for may just have come.
            if self.rng.bool() {
                self.progress_one(at);
            }
            let is_there = self.ring.operations.get(at).is_some_and(|other| (other.op, other.data) == (op, data));
            if is_there {
                self.complete(at, Err(Errno::CANCELED), (None, None), false);
            }
        }
        self.post(Done { op: Op::Cancel, data: 0, result: Ok(0), more: false, filled: None, accepted: None });
    }

    /// A completion of an operation, which goes on or has ended.
    fn complete(
        &mut self,
        at: usize,
        result: Result<u32, Errno>,
        (filled, accepted): (Option<Filled>, Option<OwnedFd>),
        more: bool,
    ) -> bool {
        let Operation { op, data, file } = self.ring.operations[at];
        // Without room for the next, it does not go on.
        let more = more
            && self.ring.completed.len() < self.weather.completions_max
            && !self.chance("ended", self.weather.ended);
        if !more {
            self.ring.operations.remove(at);
            self.files[file].holds -= 1;
            self.release(file);
        }
        let result = result.map_err(Errno::raw_os_error);
        self.post(Done { op, data, result, more, filled, accepted });
        more
    }

    fn post(&mut self, done: Done) {
        if self.ring.completed.len() < self.weather.completions_max && self.ring.kept.is_empty() {
            self.ring.completed.push_back(done);
        } else {
            self.ring.kept.push_back(done);
            self.trouble("completions_max");
        }
    }

    /// A filled buffer, which costs the driver that when it looks at it.
    fn filled(&mut self, group: usize, bytes: &[u8], work_ns: u64) -> Option<Filled> {
        let filled = self.ring.provided.as_mut()?[group].fill(bytes)?;
        self.ring.work_ns[group].push_back(work_ns);
        Some(filled)
    }

    fn is_without_buffer(&mut self, group: usize) -> bool {
        self.chance("ended", self.weather.ended / 4.0)
            || self.ring.provided.as_ref().is_none_or(|provided| provided[group].is_empty())
    }

    /// Completes one operation as often as it can. Whether it did.
    fn progress_one(&mut self, at: usize) -> bool {
        let Operation { op, file, .. } = self.ring.operations[at];
        match (op, self.files[file].what) {
            (Op::Readable, What::Eventfd) => {
                let signal = self.signals.get_mut(&file).expect("an eventfd");
                if signal.0 == 0 || std::mem::replace(&mut signal.1, true) {
                    return false;
                }
                self.complete(at, Ok(1), (None, None), true);
            }
            (Op::Writable, What::Stream(stream)) => {
                if !self.is_writable(stream) {
                    return false;
                }
                self.complete(at, Ok(4), (None, None), false);
            }
            (Op::Datagrams, What::Udp(_) | What::Centre(_)) => return self.progress_datagrams(at, self.half(file)),
            (Op::Accept, What::Listener(listener)) => return self.progress_accept(at, listener),
            (Op::Bytes, What::Stream(stream)) => {
                if !self.streams[stream].is_readable() {
                    return false;
                }
                if self.is_without_buffer(1) {
                    self.complete(at, Err(Errno::NOBUFS), (None, None), false);
                    return true;
                }
                let read = self.read_some(stream, READ_BYTES);
                // An end or an error takes no buffer.
                let filled = read.as_ref().ok().filter(|bytes| !bytes.is_empty());
                let filled = filled.and_then(|bytes| self.filled(1, bytes, Self::work_ns(bytes.len())));
                self.complete(at, read.map(|bytes| bytes.len() as u32), (filled, None), false);
            }
            (op, what) => panic!("{op:?} on {what:?}"),
        }
        true
    }

    fn progress_datagrams(&mut self, at: usize, socket: Half) -> bool {
        let mut count = 0;
        while count < IN_A_ROW_MAX && self.is_udp_ready(socket) {
            count += 1;
            if self.is_without_buffer(0) {
                self.complete(at, Err(Errno::NOBUFS), (None, None), false);
                break;
            }
            match self.receive_one(socket) {
                Ok(told) => {
                    let all = told.joined();
                    let filled = self.filled(0, &all, super::MESSAGE_NS);
                    if !self.complete(at, Ok(all.len() as u32), (filled, None), true) {
                        break;
                    }
                }
                Err(errno) => {
                    self.complete(at, Err(errno), (None, None), false);
                    break;
                }
            }
        }
        count > 0
    }

    fn progress_accept(&mut self, at: usize, listener: usize) -> bool {
        if !self.has_connection(listener) {
            return false;
        }
        match self.accept_one(listener) {
            Ok((fd, _)) => self.complete(at, Ok(0), (None, Some(fd)), true),
            Err(errno) => self.complete(at, Err(errno), (None, None), false),
        };
        true
    }

    /// Looks after operations. What does not fit waits for the next time.
    fn progress(&mut self) {
        while self.ring.completed.len() < self.weather.completions_max
            && let Some(done) = self.ring.kept.pop_front()
        {
            self.ring.completed.push_back(done);
        }
        let mut order: Vec<(Op, u64)> = self.ring.operations.iter().map(|one| (one.op, one.data)).collect();
        if self.weather.any_order {
            self.rng.shuffle(&mut order);
        }
        let mut work = 0;
        for (op, data) in order {
            let at = self.ring.operations.iter().position(|one| (one.op, one.data) == (op, data));
            let Some(at) = at else { continue };
            if work < WORK_MAX && self.progress_one(at) {
                work += 1;
                // Behind the others the next time.
                if let Some(one) = self.ring.operations.get(at).copied().filter(|one| (one.op, one.data) == (op, data))
                {
                    self.ring.operations.remove(at);
                    self.ring.operations.push(one);
                }
            }
        }
    }

    fn ring_wait(&mut self, at_most: Duration) {
        self.enter(2 * CALL_NS);
        self.look();
        self.see_closed();
        self.submit();
        // Then it does not wait, nor look for what has completed (io_uring_enter(2)).
        if !self.ring.begun.is_empty() {
            return self.looked();
        }
        let until_ns = self.ns + at_most.as_nanos() as u64;
        loop {
            self.progress();
            if !self.ring.completed.is_empty()
                || self.ns >= until_ns
                || self.chance("interrupted", self.weather.interrupted / 10.0)
            {
                break;
            }
            self.pass(until_ns);
        }
        self.looked();
    }
}
