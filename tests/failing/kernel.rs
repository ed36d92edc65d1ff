//! System calls of a child program, each intercepted before it runs: the test lets it continue, or makes it fail with an
//! error number (seccomp_unotify(2)). Needs no privilege. All of these tests that is unsafe.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// The calls that a filter reports.
pub(crate) struct Listener(OwnedFd);

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    id: u64,
    /// The thread that makes it.
    pub(crate) thread: u32,
    /// Which call it is.
    pub(crate) number: i64,
    /// What it is made with.
    pub(crate) args: [u64; 6],
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// Where `struct seccomp_data` has the call's number and the processor's kind.
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
/// `AUDIT_ARCH_*` (linux/audit.h).
const ARCH: u32 = if cfg!(target_arch = "x86_64") { 0xC000_003E } else { 0xC000_00B7 };
/// A signal does not repeat a notification that was received already (Linux 5.19).
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

fn instruction(code: u16, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// Reports the calls, lets all others pass.
fn program(calls: &[i64]) -> Vec<libc::sock_filter> {
    let many = u8::try_from(calls.len()).expect("a jump is a byte long");
    let mut program = vec![
        instruction(LOAD, ARCH_AT, (0, 0)),
        instruction(JUMP_IF_EQUAL, ARCH, (1, 0)),
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, (0, 0)),
        instruction(LOAD, NUMBER_AT, (0, 0)),
    ];
    program.extend((0..many).zip(calls).map(|(at, &call)| instruction(JUMP_IF_EQUAL, call as u32, (many - at, 0))));
    program.push(instruction(RETURN, libc::SECCOMP_RET_ALLOW, (0, 0)));
    program.push(instruction(RETURN, libc::SECCOMP_RET_USER_NOTIF, (0, 0)));
    program
}

impl Listener {
    /// From now on these calls of this thread, and of every process that it starts, wait for an answer. `tell` gets the descriptor at once:
    /// whoever answers has it before the thread does anything else.
    pub(crate) fn of_this_thread(calls: &[i64], tell: impl FnOnce(io::Result<RawFd>)) {
        let program = program(calls);
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        // SAFETY: the call takes numbers alone.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return tell(Err(io::Error::last_os_error()));
        }
        let install = |flags: libc::c_ulong| {
            // SAFETY: the program is as long as it says and outlives the call, which copies it.
            let fd = unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program))
            };
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd as RawFd) }
        };
        let new = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
        tell(install(new | WAIT_KILLABLE_RECV).or_else(|_| install(new)));
    }

    /// The descriptor from [`Listener::of_this_thread`].
    pub(crate) fn new(fd: RawFd) -> Self {
        // SAFETY: the kernel has opened it for this process, and it is taken over once.
        Self(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// The next call; `None`: there was none for a moment. The error: nobody is left who could make one.
    pub(crate) fn next(&self) -> io::Result<Option<Call>> {
        let mut polled = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor, which outlives the call.
        if unsafe { libc::poll(&raw mut polled, 1, 50) } <= 0 {
            return Ok(None);
        }
        if polled.revents & libc::POLLIN == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // SAFETY: integers, for all of which zero is a value; the kernel wants them to be zero.
        let mut told: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes what it has of a call to `told`, which is of the type that the request names.
        if unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut told) } != 0 {
            // Whoever made it is gone.
            return Ok(None);
        }
        let libc::seccomp_notif { id, pid, data, .. } = told;
        Ok(Some(Call { id, thread: pid, number: i64::from(data.nr), args: data.args }))
    }

    /// Lets a call go on (0), or fail with that error number. Nothing comes of it where whoever made it is gone.
    pub(crate) fn answer(&self, call: Call, errno: i32) {
        let flags = if errno == 0 { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 };
        let mut answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: -errno, flags };
        // SAFETY: the kernel reads the answer, which is of the type that the request names.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    }
}

/// The calling thread, as [`Call::thread`] names it.
pub(crate) fn this_thread() -> u32 {
    // SAFETY: the call takes nothing.
    unsafe { libc::gettid() as u32 }
}
