//! What carries frames to an FSU and back.

use fsu_core::client::layouts::{Others, Reply, as_it_is, is_whole, replies_of};
use fsu_plan::model::field::FRAME_BYTES_MAX;
use fsu_plan::model::fleet::{Device, Fsu};
use fsu_plan::model::message::Transport;
use fsu_plan::model::reply::Payload;
use fsu_plan::wire::envelope::{CENTER_BYTES, Comm, DATAGRAM_BYTES_MAX, Frames, Head, Up, escape};
use fsu_plan::wire::framer::{self, Cut};
use fsu_tls::Client;
use fsu_tls::stream::Stream;
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
    /// How many bytes of it were taken.
    taken: usize,
    /// Other layouts that a reply may have.
    others: Others<'a>,
    /// Wire sizes that a reply may have, shortest first: they cut a stream in which several came at once.
    sizes: Vec<usize>,
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
    Stream(Stream),
}

impl<'a> Link<'a> {
    /// A socket of its own.
    pub(super) fn open(
        fsu: &'a Fsu,
        (device, command): (&'a Device, usize),
        to: SocketAddr,
        (timeout, tls): (Duration, Option<&Client>),
    ) -> io::Result<Self> {
        let carrier = if fsu.transport == Transport::Tcp {
            let stream = TcpStream::connect_timeout(&to, timeout)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(timeout))?;
            Carrier::Stream(Stream::open(stream, tls)?)
        } else {
            let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
            let socket = UdpSocket::bind(any)?;
            socket.connect(to)?;
            Carrier::Datagrams(socket)
        };
        let [buffer, frame, sent, came, framed, escaped] = [const { Vec::new() }; 6];
        let sizes = sizes(device, command);
        let others = Others::of(device, command);
        Ok(Self { fsu, device, carrier, buffer, taken: 0, others, sizes, frame, sent, came, framed, escaped })
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

    /// Forgets what came and was not asked for, so that it is not taken for an answer.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.taken = 0;
        let mut part = [0; 4096];
        match &mut self.carrier {
            Carrier::Datagrams(socket) => {
                socket.set_nonblocking(true)?;
                (0..FORGOTTEN_MAX).take_while(|_| socket.recv(&mut part).is_ok()).for_each(drop);
                socket.set_nonblocking(false)
            }
            Carrier::Stream(stream) => {
                stream.socket().set_nonblocking(true)?;
                (0..FORGOTTEN_MAX).take_while(|_| matches!(stream.read(&mut part), Ok(1..))).for_each(drop);
                stream.socket().set_nonblocking(false)
            }
        }
    }

    /// The next inner frame; `None`: none came in time, or what came is none. [`ErrorKind::ConnectionRefused`]: nobody listens there.
    pub(super) fn receive(&mut self, wait: Duration) -> io::Result<Option<&[u8]>> {
        self.came.clear();
        match &mut self.carrier {
            Carrier::Datagrams(socket) => {
                if self.taken >= self.buffer.len() {
                    socket.set_read_timeout(Some(wait))?;
                    self.taken = 0;
                    self.buffer.resize(DATAGRAM_BYTES_MAX, 0);
                    let received = socket.recv(&mut self.buffer);
                    self.buffer.truncate(*received.as_ref().unwrap_or(&0));
                    match received {
                        Err(error) if is_silence(&error) => return Ok(None),
                        received => received?,
                    };
                }
                if self.fsu.transport != Transport::Udp {
                    self.taken = self.buffer.len();
                    self.came.extend_from_slice(&self.buffer);
                    return Ok(Some(&self.buffer));
                }
                Ok(self.next_of_datagram().then_some(self.frame.as_slice()))
            }
            Carrier::Stream(stream) => {
                let end = Instant::now() + wait;
                let mut part = [0; 4096];
                self.buffer.drain(..self.taken);
                self.taken = 0;
                loop {
                    let (template, buffer) = (&self.device.template, &self.buffer);
                    let marked = match framer::cut_sent(template, buffer) {
                        Some(Cut::Frame(len)) => Some(len),
                        _ => None,
                    };
                    let known = self.sizes.iter().copied().filter(|&len| len < buffer.len());
                    let sizes = marked.into_iter().chain(known);
                    let mut sizes = sizes.chain((!buffer.is_empty()).then_some(buffer.len()));
                    let (others, raw) = (&self.others, &mut self.frame);
                    let mut is_reply = |wire: &[u8]| is_whole(template, wire, raw) || others.is_whole(wire, raw);
                    let found = sizes.find(|&len| is_reply(&buffer[..len]));
                    // Several at once, the first of which has a size that no rule shows.
                    let found = found.or_else(|| others.walked_len(buffer, raw));
                    if let Some(len) = found {
                        self.taken = len;
                        self.came.extend_from_slice(&self.buffer[..len]);
                        return Ok(Some(&self.buffer[..len]));
                    }
                    let left = end.saturating_duration_since(Instant::now());
                    if self.buffer.len() > 2 * FRAME_BYTES_MAX {
                        self.buffer.clear();
                    }
                    if left.is_zero() {
                        return Ok(None);
                    }
                    stream.socket().set_read_timeout(Some(left))?;
                    let len = match stream.read(&mut part) {
                        Err(error) if is_silence(&error) => return Ok(None),
                        Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
                        read => read?,
                    };
                    self.buffer.extend_from_slice(&part[..len]);
                }
            }
        }
    }

    /// The next frame of the B interface in the datagram, into [`Self::frame`]; false: there is no more.
    fn next_of_datagram(&mut self) -> bool {
        for item in Frames::new(&self.buffer[self.taken..]) {
            let frame = match item {
                Ok(frame) => frame,
                Err(bad) => {
                    self.taken += bad.bytes.len();
                    continue;
                }
            };
            self.taken += frame.bytes.len();
            let up = frame.plain(&mut self.framed).and_then(Up::new_checked);
            if let Ok(Up { comm: Comm::Through(data), .. }) = up {
                self.frame.clear();
                self.frame.extend_from_slice(data);
                self.came.extend_from_slice(frame.bytes);
                return true;
            }
        }
        self.taken = self.buffer.len();
        false
    }
}

/// Datagrams, or pieces of a stream, that are forgotten at once.
const FORGOTTEN_MAX: usize = 4_096;

/// Wire sizes of the replies of a command's rules, and of those to wrong requests, shortest first.
fn sizes(device: &Device, command: usize) -> Vec<usize> {
    let template = &device.template;
    let rules = device.rules.get(command).into_iter().flatten();
    let size = |reply: Reply<'_>| match reply.reply.payload {
        Payload::Raw => as_it_is(reply.template, &reply.reply.frame.to_vec()).0.len(),
        _ => reply.template.sent_len(reply.reply.frame.len()),
    };
    let replies = rules.flat_map(|rule| replies_of(device, rule)).map(size);
    let errors = template.errors.iter().flatten().map(|reply| template.sent_len(reply.frame.len()));
    let mut sizes: Vec<usize> = replies.chain(errors).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
