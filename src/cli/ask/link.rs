//! What carries frames to an FSU and back.

use crate::codec::inner;
use crate::codec::outer::{CENTER_BYTES, Comm, DATAGRAM_BYTES_MAX, Frames, Head, Up, escape};
use crate::plan::fleet::{Device, Fsu, Transport};
use crate::plan::template::{FRAME_BYTES_MAX, Template};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// A way to one FSU.
pub(super) struct Link<'a> {
    fsu: &'a Fsu,
    device: &'a Device,
    carrier: Carrier,
    /// What was received: a datagram, or the stream so far.
    buffer: Vec<u8>,
    /// An inner frame.
    frame: Vec<u8>,
    /// What was sent last, as it travelled, and what came last.
    sent: Vec<u8>,
    came: Vec<u8>,
    /// Buffers of the outer frame.
    framed: Vec<u8>,
    escaped: Vec<u8>,
}

enum Carrier {
    Datagrams(UdpSocket),
    Stream(TcpStream),
}

impl<'a> Link<'a> {
    /// A socket of its own.
    pub(super) fn open(fsu: &'a Fsu, device: &'a Device, to: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let carrier = if fsu.transport == Transport::Tcp {
            let stream = TcpStream::connect_timeout(&to, timeout)?;
            stream.set_nodelay(true)?;
            Carrier::Stream(stream)
        } else {
            let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
            let socket = UdpSocket::bind(any)?;
            socket.connect(to)?;
            Carrier::Datagrams(socket)
        };
        let [buffer, frame, sent, came, framed, escaped] = [const { Vec::new() }; 6];
        Ok(Self { fsu, device, carrier, buffer, frame, sent, came, framed, escaped })
    }

    /// What was sent last, as it travelled: over udp with its outer frame.
    pub(super) fn sent(&self) -> &[u8] {
        &self.sent
    }

    /// What came last, likewise.
    pub(super) fn came(&self) -> &[u8] {
        &self.came
    }

    /// Sends an inner frame. [`ErrorKind::ConnectionRefused`]: nobody listens there.
    pub(super) fn send(&mut self, wire: &[u8]) -> io::Result<()> {
        self.sent.clear();
        match &mut self.carrier {
            Carrier::Stream(stream) => {
                self.buffer.clear();
                self.sent.extend_from_slice(wire);
                stream.write_all(wire)
            }
            Carrier::Datagrams(socket) => {
                let bytes = if self.fsu.transport == Transport::Udp {
                    let Device { sub_dev_type, sub_dev_addr, .. } = *self.device;
                    let request = Head::request(&self.fsu.id.bytes, &[0; CENTER_BYTES], sub_dev_type, sub_dev_addr);
                    let head = Head { rtn_flag: self.fsu.accept_rtn_flags.asked(), ..request };
                    let too_long = |_| io::Error::new(ErrorKind::InvalidInput, "the request is too long");
                    head.build(Some(wire), &mut self.framed).map_err(too_long)?;
                    escape(&self.framed, &mut self.escaped)
                } else {
                    wire
                };
                self.sent.extend_from_slice(bytes);
                socket.send(bytes).map(drop)
            }
        }
    }

    /// The next inner frame; `None`: none came in time, or what came is none. [`ErrorKind::ConnectionRefused`]: nobody listens there.
    pub(super) fn receive(&mut self, wait: Duration) -> io::Result<Option<&[u8]>> {
        self.came.clear();
        match &mut self.carrier {
            Carrier::Datagrams(socket) => {
                socket.set_read_timeout(Some(wait))?;
                self.buffer.resize(DATAGRAM_BYTES_MAX, 0);
                let len = match socket.recv(&mut self.buffer) {
                    Err(error) if is_silence(&error) => return Ok(None),
                    received => received?,
                };
                let datagram = &self.buffer[..len];
                if self.fsu.transport != Transport::Udp {
                    self.came.extend_from_slice(datagram);
                    return Ok(Some(datagram));
                }
                let mut found = false;
                for frame in Frames::new(datagram).flatten() {
                    if let Ok(Up { comm: Comm::Through(data), .. }) =
                        frame.plain(&mut self.framed).and_then(Up::new_checked)
                    {
                        self.frame.clear();
                        self.frame.extend_from_slice(data);
                        self.came.extend_from_slice(frame.bytes);
                        found = true;
                        break;
                    }
                }
                Ok(found.then_some(self.frame.as_slice()))
            }
            Carrier::Stream(stream) => {
                let end = Instant::now() + wait;
                let mut part = [0; 4096];
                loop {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() || self.buffer.len() > 2 * FRAME_BYTES_MAX {
                        return Ok(None);
                    }
                    stream.set_read_timeout(Some(left))?;
                    let len = match stream.read(&mut part) {
                        Err(error) if is_silence(&error) => return Ok(None),
                        Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
                        read => read?,
                    };
                    self.buffer.extend_from_slice(&part[..len]);
                    if is_whole(&self.device.template, &self.buffer, &mut self.frame) {
                        self.came.extend_from_slice(&self.buffer);
                        return Ok(Some(&self.buffer));
                    }
                }
            }
        }
    }
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// One reply was asked for: the bytes are it as soon as they are a good frame.
fn is_whole(template: &Template, wire: &[u8], raw: &mut Vec<u8>) -> bool {
    inner::parse(template, wire, raw)
        .is_ok_and(|frame| inner::reply_lengths_ok(template, &frame).is_ok() && inner::checksum_ok(template, &frame))
}
