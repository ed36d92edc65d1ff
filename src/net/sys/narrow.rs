//! A network of a thread's own, for tests of what does not fit into a packet.

use std::io;
use std::mem;
use std::os::fd::AsRawFd;

/// Gives this thread a network namespace whose loopback interface has packets of that length at most.
///
/// # Errors
/// The thread may not: it needs `CAP_SYS_ADMIN`.
pub fn narrow_network(mtu: u16) -> io::Result<()> {
    // SAFETY: no memory is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: integers and pointers, for all of which zero is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = byte.cast_signed() as _;
    }
    request.ifr_ifru.ifru_mtu = mtu.into();
    ask(&socket, libc::SIOCSIFMTU, &request)?;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
    ask(&socket, libc::SIOCSIFFLAGS, &request)
}

fn ask(socket: &std::net::UdpSocket, what: libc::Ioctl, request: &libc::ifreq) -> io::Result<()> {
    // SAFETY: both requests read an `ifreq`, which outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, std::ptr::from_ref(request)) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
