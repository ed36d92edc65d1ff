//! Sends every byte of a connection back: level-triggered epoll. Does no work.
//!
//! `tcp_epoll ADDR FIRST_PORT COUNT`, until it is killed.

#[path = "shared/sockets.rs"]
mod sockets;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use socket2::{Socket, Type};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const EVENTS: usize = 128;
const READ_BYTES: usize = 64 << 10;
/// Marks a listener; below it is its number, or a connection's descriptor.
const LISTENER: u64 = 1 << 32;

struct Conn {
    fd: OwnedFd,
    /// What the peer did not take yet; nothing is read while there is some.
    unsent: Vec<u8>,
}

struct Echo {
    epoll: OwnedFd,
    listeners: Vec<Socket>,
    /// By descriptor.
    conns: Vec<Option<Conn>>,
    buffer: Vec<u8>,
}

fn main() -> io::Result<()> {
    let (addresses, _) = sockets::arguments()?;
    let listeners = sockets::bind(&addresses, Type::STREAM)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    for (index, listener) in listeners.iter().enumerate() {
        epoll::add(&epoll, listener, EventData::new_u64(LISTENER | index as u64), EventFlags::IN)?;
    }
    sockets::ready(listeners.len())?;
    let mut echo = Echo { epoll, listeners, conns: Vec::new(), buffer: vec![0; READ_BYTES] };
    let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
    loop {
        let count = match epoll::wait(&echo.epoll, &mut events[..], None) {
            Err(Errno::INTR) => continue,
            count => count?,
        };
        for event in &events[..count] {
            let (data, at) = (event.data.u64(), event.data.u64() as u32 as usize);
            if data >= LISTENER {
                echo.accept(at)?;
            } else if !echo.serve(at)? {
                echo.conns[at] = None;
            }
        }
    }
}

impl Echo {
    fn accept(&mut self, listener: usize) -> io::Result<()> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        while let Ok(fd) = rustix::net::accept_with(&self.listeners[listener], flags) {
            rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
            let at = fd.as_raw_fd() as usize;
            epoll::add(&self.epoll, &fd, EventData::new_u64(at as u64), EventFlags::IN)?;
            self.conns.resize_with(self.conns.len().max(at + 1), || None);
            self.conns[at] = Some(Conn { fd, unsent: Vec::new() });
        }
        Ok(())
    }

    /// False: the connection has ended.
    fn serve(&mut self, at: usize) -> io::Result<bool> {
        let Some(conn) = self.conns.get_mut(at).and_then(Option::as_mut) else { return Ok(true) };
        let was_full = !conn.unsent.is_empty();
        if was_full {
            match rustix::net::send(&conn.fd, &conn.unsent, SendFlags::NOSIGNAL) {
                Ok(count) => drop(conn.unsent.drain(..count)),
                Err(Errno::AGAIN) => {}
                Err(_) => return Ok(false),
            }
        } else {
            let count = match rustix::net::recv(&conn.fd, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((1.., count)) => count,
                Err(Errno::AGAIN) => return Ok(true),
                _ => return Ok(false),
            };
            let sent = match rustix::net::send(&conn.fd, &self.buffer[..count], SendFlags::NOSIGNAL) {
                Ok(sent) => sent,
                Err(Errno::AGAIN) => 0,
                Err(_) => return Ok(false),
            };
            conn.unsent.extend_from_slice(&self.buffer[sent..count]);
        }
        let is_full = !conn.unsent.is_empty();
        if is_full != was_full {
            let flags = if is_full { EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &conn.fd, EventData::new_u64(at as u64), flags)?;
        }
        Ok(true)
    }
}
