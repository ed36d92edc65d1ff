//! Which system calls are made to fail, and how.

/// Calls of one kind.
#[derive(Debug)]
pub(crate) struct Class {
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// Its calls.
    pub(crate) calls: &'static [i64],
    /// What they may fail with; the first is tried most. io_uring_enter(2) never fails with
    /// ENOMEM, it says EAGAIN; and brk(2) never fails with an error number.
    pub(crate) errnos: &'static [i32],
    /// What is waited for until the logs have made all of their calls: they write when there is nothing else to do.
    pub(crate) of_logs: bool,
}

impl Class {
    /// Whether it is made to fail at the start only. Threads go to their processors then; those of glommio's that never have anything to do
    /// may be late, and one that cannot go ends, and says so.
    pub(crate) fn is_of_the_start(&self) -> bool {
        self.calls.contains(&libc::SYS_sched_setaffinity)
    }

    /// Whether a shard waits with these calls.
    pub(crate) fn is_of_waits(&self) -> bool {
        let waits = [libc::SYS_io_uring_enter, libc::SYS_epoll_pwait2, libc::SYS_ppoll];
        self.calls.iter().any(|call| waits.contains(call))
    }

    /// Whether these are the calls of io_uring.
    pub(crate) fn is_of_rings(&self) -> bool {
        self.calls.contains(&libc::SYS_io_uring_enter)
    }
}

macro_rules! class {
    ($name:literal, $of_logs:literal, [$($call:ident)*], [$($old:ident)*], [$($errno:ident)*]) => {
        Class {
            name: $name,
            #[cfg(target_arch = "x86_64")]
            calls: &[$(libc::$call,)* $(libc::$old,)*],
            #[cfg(not(target_arch = "x86_64"))]
            calls: &[$(libc::$call,)*],
            errnos: &[$(libc::$errno,)*],
            of_logs: $of_logs,
        }
    };
}

/// All of them. The second list of calls is of processors that have kept their old ones.
pub(crate) const CLASSES: &[Class] = &[
    class!("open", true, [SYS_openat], [SYS_open SYS_creat], [EMFILE EACCES ENOMEM EIO EINTR]),
    class!("read", true, [SYS_read SYS_pread64 SYS_readv], [], [EIO EINTR EAGAIN]),
    class!("write", true, [SYS_write SYS_writev SYS_pwrite64], [], [ENOSPC EIO EINTR EAGAIN]),
    class!("status", true, [SYS_statx SYS_newfstatat SYS_fstat], [SYS_stat SYS_lstat], [EACCES EIO ENOMEM]),
    class!(
        "names",
        true,
        [SYS_getdents64 SYS_mkdirat SYS_unlinkat SYS_renameat SYS_renameat2 SYS_readlinkat SYS_faccessat SYS_ftruncate SYS_fsync SYS_fdatasync],
        [SYS_mkdir SYS_unlink SYS_rename SYS_readlink SYS_access],
        [EIO EACCES ENOSPC]
    ),
    class!("bind", false, [SYS_socket SYS_bind SYS_listen SYS_getsockname], [], [ENOBUFS EMFILE ENOMEM EACCES]),
    class!("options", false, [SYS_setsockopt SYS_getsockopt SYS_getpeername SYS_shutdown], [], [ENOBUFS ENOMEM EINVAL]),
    class!("accept", false, [SYS_accept4 SYS_accept], [], [EMFILE ENOBUFS ENOMEM EINTR]),
    class!("receive", false, [SYS_recvmsg SYS_recvmmsg SYS_recvfrom], [], [ENOMEM ENOBUFS EINTR EAGAIN]),
    class!("send", false, [SYS_sendmsg SYS_sendmmsg SYS_sendto], [], [ENOBUFS ENOMEM EAGAIN EINTR EPERM]),
    class!("ring", false, [SYS_io_uring_enter], [], [EAGAIN EINTR EBUSY]),
    class!("ring setup", false, [SYS_io_uring_setup SYS_io_uring_register], [], [ENOMEM EMFILE EPERM EINVAL]),
    class!("epoll", false, [SYS_epoll_pwait SYS_epoll_pwait2], [SYS_epoll_wait], [ENOMEM EINTR]),
    class!("epoll setup", false, [SYS_epoll_create1 SYS_epoll_ctl], [], [ENOMEM EMFILE ENOSPC]),
    class!("wait", false, [SYS_ppoll], [SYS_poll], [ENOMEM EINTR]),
    class!(
        "descriptors",
        false,
        [SYS_eventfd2 SYS_pipe2 SYS_socketpair SYS_timerfd_create SYS_timerfd_settime SYS_signalfd4 SYS_dup SYS_fcntl SYS_inotify_init1 SYS_inotify_add_watch],
        [],
        [EMFILE ENOMEM]
    ),
    class!("memory", false, [SYS_mmap SYS_mremap SYS_mprotect], [], [ENOMEM]),
    class!("threads", false, [SYS_clone3 SYS_clone], [], [EAGAIN ENOMEM]),
    class!("processors", false, [SYS_sched_setaffinity SYS_sched_getaffinity], [], [EPERM EINVAL]),
];

/// An error number's name.
pub(crate) fn errno_name(errno: i32) -> String {
    let error = std::io::Error::from_raw_os_error(errno).to_string();
    error.split(" (os").next().unwrap_or_default().to_owned()
}
