//! What a run needs from the machine: open files. What it uses if available: io_uring, locked memory.
//!
//! Checked before anything is bound, so that everything missing is reported at once, each with the current value, the required
//! value and the command that fixes it.

use io_uring::{IoUring, Probe, opcode};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Bytes of locked memory that an executor needs to start; privileges do not exempt it.
pub const LOCKED_BYTES_MIN: u64 = 512 * 1024;
/// Descriptors of one executor: its rings, their wake-ups, its poll descriptor and command channel are 7; as many to spare.
pub const FILES_PER_SHARD: u64 = 16;
/// Descriptors of the program itself: standard streams, signals, the system log, files read at startup.
pub const FILES_BASE: u64 = 32;
/// Bytes of address space that any command needs beside the program's own.
pub const ADDRESS_BYTES_MIN: u64 = 32 << 20;
/// The same of a run: the logger's and the signal thread, for each of which the allocator reserves 64 MiB, and 32 MiB to serve with.
pub const ADDRESS_BYTES_BASE: u64 = 160 << 20;
/// The same of a shard beside its log queue: two threads, as many arenas, the buffers that it receives into.
pub const ADDRESS_BYTES_PER_SHARD: u64 = 160 << 20;
/// The first kernel whose io_uring has every operation that is used.
const KERNEL_MIN: &str = "5.8";

/// What does without a socket for each udp FSU.
const WITHOUT: &str = "; or run --one-socket, which needs no socket for each udp FSU";

/// What a run wants to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Sockets that listen.
    pub sockets: u64,
    /// Sockets among them that `--one-socket` would do without.
    pub lent: u64,
    /// Sockets among them that accept connections: one connection to each is the least that makes sense.
    pub listeners: u64,
    /// TCP connections that the FSUs' limits allow together.
    pub connections_max: u64,
    /// Device-log files open at the same time, at the least.
    pub log_files: u64,
    /// The same if there are enough descriptors.
    pub log_files_max: u64,
    /// Executors.
    pub shards: u64,
}

impl Needs {
    /// Descriptors without which the run does not start.
    pub fn files(&self) -> u64 {
        self.without_connections().saturating_add(self.listeners)
    }

    /// Device-log files beyond the minimum.
    fn log_files_more(&self) -> u64 {
        self.log_files_max.saturating_sub(self.log_files)
    }

    fn without_connections(&self) -> u64 {
        let executors = self.shards.saturating_mul(FILES_PER_SHARD);
        [self.sockets, self.log_files, executors, FILES_BASE].into_iter().fold(0, u64::saturating_add)
    }
}

/// The result if nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The limit of open files, raised as far as it is useful.
    pub files: u64,
    /// Device-log files that may be open at the same time.
    pub log_files: u64,
    /// TCP connections that the rest of the limit allows.
    pub connections: u64,
}

/// A requirement that the machine does not meet: both numbers, and the command that fixes it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Missing {
    /// The limit of open files is too low, and may not be raised by this process.
    #[error(
        "open files: {needed} are needed, the limit is {limit} (ulimit -n {needed}; under systemd LimitNOFILE={needed}; \
         in a container --ulimit nofile={needed}:{needed}{})", if *lends { WITHOUT } else { "" }
    )]
    OpenFiles {
        /// Most of them are sockets of udp FSUs, which `run --one-socket` does without.
        lends: bool,
        /// What the run needs.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// The limit of locked memory is too low, and may not be raised by this process.
    #[error(
        "locked memory: {} KiB are needed, the limit is {} KiB (ulimit -l {}; under systemd LimitMEMLOCK=infinity; \
         in a container --ulimit memlock=-1:-1)",
        needed / 1024, limit / 1024, needed / 1024
    )]
    LockedMemory {
        /// Bytes that an executor needs.
        needed: u64,
        /// Bytes: the hard limit.
        limit: u64,
    },
    /// io_uring is switched off by a kernel setting.
    #[error("io_uring: kernel.io_uring_disabled is {value}, 0 is needed (sysctl -w kernel.io_uring_disabled=0)")]
    IoUringDisabled {
        /// The setting: 1 for all but one group, 2 for all.
        value: u32,
    },
    /// io_uring is refused although the kernel's setting allows it.
    #[error(
        "io_uring: the kernel has it, but it is refused here ({error}): a container's seccomp profile forbids it (run the \
         container with --security-opt seccomp=unconfined, or with a profile that allows io_uring_setup, io_uring_enter and \
         io_uring_register)"
    )]
    IoUringRefused {
        /// The system's error.
        error: String,
    },
    /// The kernel has no io_uring, or one without operations that are needed.
    #[error(
        "io_uring: {what}; the kernel is {release}, {KERNEL_MIN} or later is needed (apt install linux-image-amd64 and \
         reboot; in a container a seccomp profile may hide it: --security-opt seccomp=unconfined)"
    )]
    IoUringTooOld {
        /// What is missing.
        what: &'static str,
        /// `uname -r`.
        release: String,
    },
    /// The processors of this machine cannot be listed.
    #[error(
        "processors: /sys/devices/system/cpu and /sys/devices/system/node, which list them, cannot be used: {error} (mount -t \
         sysfs sysfs /sys; in a container -v /sys:/sys:ro)"
    )]
    Processors {
        /// The reason.
        error: String,
    },
    /// A thread may not be pinned to a processor.
    #[error(
        "processors: a thread cannot be pinned to processor {cpu}: {error} (in a container a seccomp profile that allows \
         sched_setaffinity; --cpus names other processors)"
    )]
    Pinning {
        /// The processor.
        cpu: usize,
        /// The system's error.
        error: String,
    },
    /// A thread cannot be made.
    #[error("threads: one cannot be made: {error} (ulimit -u; under systemd TasksMax=; in a container --pids-limit)")]
    Thread {
        /// The system's error.
        error: String,
    },
    /// The limit of address space is too low.
    #[error(
        "address space: {} MiB are needed, the limit is {} MiB (ulimit -v unlimited; under systemd LimitAS=infinity)",
        needed.div_ceil(1 << 20), limit >> 20
    )]
    AddressSpace {
        /// Bytes that the run needs, including those in use.
        needed: u64,
        /// Bytes: the limit.
        limit: u64,
    },
    /// Any other error while setting up a ring.
    #[error("io_uring: a ring cannot be set up: {error}")]
    IoUringFailed {
        /// The system's error.
        error: String,
    },
}

/// Raises the limit of open files as far as it may be.
///
/// # Errors
/// Everything that is missing, not only the first thing.
pub fn check(needs: &Needs) -> Result<Room, Vec<Missing>> {
    let mut missing = Vec::new();
    let files_wanted = [needs.without_connections(), needs.connections_max, needs.log_files_more()];
    let files_wanted = files_wanted.into_iter().fold(0, u64::saturating_add);
    let files = raise(Resource::Nofile, files_wanted.max(needs.files()));
    if files < needs.files() {
        let lends = needs.lent > needs.sockets / 2;
        missing.push(Missing::OpenFiles { lends, needed: needs.files(), limit: files });
    }
    if missing.is_empty() { Ok(room(needs, files)) } else { Err(missing) }
}

/// What glommio lacks here: locked memory (its limit is raised as far as possible) or io_uring (tested). Without it shards run on
/// plain threads.
pub fn lacking_for_glommio() -> Vec<Missing> {
    let locked = raise(Resource::Memlock, LOCKED_BYTES_MIN);
    let memory =
        (locked < LOCKED_BYTES_MIN).then_some(Missing::LockedMemory { needed: LOCKED_BYTES_MIN, limit: locked });
    memory.into_iter().chain(io_uring()).collect()
}

/// Bytes of address space that a run needs beside what it has taken already.
pub fn address_bytes(shards: usize, queue_bytes: usize) -> u64 {
    let shard = ADDRESS_BYTES_PER_SHARD.saturating_add(queue_bytes as u64);
    ADDRESS_BYTES_BASE.saturating_add(shard.saturating_mul(shards as u64))
}

/// Whether the limit of address space leaves that many bytes; an allocation beyond it ends the program. The soft limit is not raised: it
/// was set on purpose.
pub fn address_space(more: u64) -> Option<Missing> {
    let limit = getrlimit(Resource::As).current?;
    // If the current size cannot be read, only the limit is checked.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    let needed = size.unwrap_or(0u64).saturating_mul(1_024).saturating_add(more);
    (needed > limit).then_some(Missing::AddressSpace { needed, limit })
}

/// Raises the limit of open files for a program that opens `more` files beside its own.
///
/// # Errors
/// The limit is lower, and may not be raised.
pub fn files(more: u64) -> Result<(), Missing> {
    let needed = more.saturating_add(FILES_BASE);
    let limit = raise(Resource::Nofile, needed);
    if limit < needed { Err(Missing::OpenFiles { lends: false, needed, limit }) } else { Ok(()) }
}

/// Divides a limit of open files that covers the needs: half of the surplus goes to log files, the rest to connections.
fn room(needs: &Needs, files: u64) -> Room {
    let log_files_more = needs.log_files_more().min(files.saturating_sub(needs.files()) / 2);
    let taken = needs.without_connections().saturating_add(log_files_more);
    Room { files, log_files: needs.log_files + log_files_more, connections: files.saturating_sub(taken) }
}

/// Raises a soft limit to `wanted`, or to the hard limit if that is lower. Never lowers it, and leaves the hard limit as the
/// operator set it. Returns the soft limit that then holds; none is [`u64::MAX`].
fn raise(resource: Resource, wanted: u64) -> u64 {
    let before = getrlimit(resource);
    let soft = before.current.unwrap_or(u64::MAX);
    let hard = before.maximum.unwrap_or(u64::MAX);
    let aim = wanted.min(hard);
    if soft >= aim {
        return soft;
    }
    match setrlimit(resource, Rlimit { current: Some(aim), maximum: before.maximum }) {
        Ok(()) => aim,
        Err(_) => soft,
    }
}

/// Sets up a small ring and asks it for the operations without which glommio ends the process.
fn io_uring() -> Option<Missing> {
    let ring = match IoUring::new(8) {
        Ok(ring) => ring,
        Err(error) => return Some(why(&error, io_uring_disabled())),
    };
    let mut probe = Probe::new();
    let used = [
        opcode::Nop::CODE,
        opcode::Readv::CODE,
        opcode::Writev::CODE,
        opcode::Fsync::CODE,
        opcode::ReadFixed::CODE,
        opcode::WriteFixed::CODE,
        opcode::PollAdd::CODE,
        opcode::PollRemove::CODE,
        opcode::SendMsg::CODE,
        opcode::RecvMsg::CODE,
        opcode::Timeout::CODE,
        opcode::TimeoutRemove::CODE,
        opcode::Accept::CODE,
        opcode::LinkTimeout::CODE,
        opcode::Connect::CODE,
        opcode::Fallocate::CODE,
        opcode::OpenAt::CODE,
        opcode::Close::CODE,
        opcode::Statx::CODE,
        opcode::Read::CODE,
        opcode::Write::CODE,
        opcode::Send::CODE,
        opcode::Recv::CODE,
    ];
    let supported =
        ring.submitter().register_probe(&mut probe).is_ok() && used.iter().all(|&code| probe.is_supported(code));
    (!supported).then(|| Missing::IoUringTooOld { what: "it lacks operations that are used", release: release() })
}

/// The likely cause of a ring that could not be set up, given `kernel.io_uring_disabled`.
fn why(error: &std::io::Error, disabled: Option<u32>) -> Missing {
    match Errno::from_io_error(error) {
        Some(Errno::NOSYS) => Missing::IoUringTooOld { what: "there is none", release: release() },
        Some(Errno::PERM | Errno::ACCESS) => match disabled {
            Some(value) if value > 0 => Missing::IoUringDisabled { value },
            _ => Missing::IoUringRefused { error: error.to_string() },
        },
        _ => Missing::IoUringFailed { error: error.to_string() },
    }
}

/// `kernel.io_uring_disabled`; absent before kernel 6.6.
fn io_uring_disabled() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok()?.trim().parse().ok()
}

/// `uname -r`.
fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Error;

    #[test]
    fn files_are_counted() {
        let needs = Needs {
            sockets: 1_000,
            listeners: 400,
            connections_max: 409_600,
            log_files: 256,
            shards: 2,
            ..Needs::default()
        };
        assert_eq!(needs.files(), 1_000 + 400 + 256 + 2 * FILES_PER_SHARD + FILES_BASE);
        let endless = Needs { sockets: u64::MAX, connections_max: u64::MAX, ..needs };
        assert_eq!(endless.files(), u64::MAX);
    }

    #[test]
    fn what_is_to_spare_is_shared() {
        let needs = Needs { sockets: 1_000, listeners: 10, log_files: 256, log_files_max: 1_000, ..Needs::default() };
        let check = |spare: u64, log_files, connections| {
            let files = needs.files() + spare;
            assert_eq!(room(&needs, files), Room { files, log_files, connections });
        };
        check(0, 256, 10);
        check(101, 306, 61);
        check(1_000_000, 1_000, 1_000_010 - 744);
    }

    #[test]
    fn a_number_that_no_machine_has_is_told() {
        let missing = check(&Needs { sockets: u64::MAX / 2, ..Needs::default() }).expect_err("no machine has so many");
        assert!(
            missing.iter().any(|one| matches!(one, Missing::OpenFiles { needed, limit, .. } if needed > limit)),
            "{missing:?}"
        );
    }

    #[test]
    fn limit_address_bytes_min_and_address_bytes_base_and_address_bytes_per_shard_h14() {
        assert_eq!(address_bytes(2, 32 << 20), (160 + 2 * (160 + 32)) << 20);
        assert_eq!(address_bytes(usize::MAX, usize::MAX), u64::MAX);
        let told = Missing::AddressSpace { needed: (352 << 20) + 1, limit: 300 << 20 }.to_string();
        assert!(
            told.starts_with("address space: 353 MiB are needed, the limit is 300 MiB (ulimit -v unlimited;"),
            "{told}"
        );
    }

    #[test]
    fn causes() {
        let check = |errno: Errno, disabled, expected: &str| {
            let text = why(&Error::from(errno), disabled).to_string();
            assert!(text.contains(expected), "{text}");
        };
        check(Errno::PERM, Some(2), "kernel.io_uring_disabled is 2, 0 is needed");
        check(Errno::PERM, Some(0), "seccomp");
        check(Errno::PERM, None, "seccomp");
        check(Errno::NOSYS, None, "5.8 or later is needed");
        check(Errno::NOMEM, None, "cannot be set up");
    }

    #[test]
    fn messages_name_both_numbers_and_the_command() {
        let files = Missing::OpenFiles { lends: false, needed: 10_072, limit: 1_024 };
        assert!(files.to_string().starts_with("open files: 10072 are needed, the limit is 1024 (ulimit -n 10072;"));
        assert!(!files.to_string().contains("--one-socket"));
        let files = Missing::OpenFiles { lends: true, needed: 100_072, limit: 1_024 };
        let text = "--ulimit nofile=100072:100072; or run --one-socket, which needs no socket for each udp FSU)";
        assert!(files.to_string().ends_with(text), "{files}");
        let locked = Missing::LockedMemory { needed: LOCKED_BYTES_MIN, limit: 65_536 };
        assert!(
            locked.to_string().starts_with("locked memory: 512 KiB are needed, the limit is 64 KiB (ulimit -l 512;")
        );
    }
}
