//! Datagrams that come as frames of a network device's queue.
//!
//! They are many sockets' at once, and light one by one. What is not light waits in line, as what a socket has received does; the kernel
//! keeps nothing for it, so there is a limit for each FSU as that of a socket's buffer.

use super::{Epoll, Event, HELD_BYTES_MAX};
use crate::driver::base::DriverIo as _;
use crate::driver::clocks;
use crate::driver::port::Arriving;
use crate::driver::turn::Work;
use crate::shard::io::Subject;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use bytes::Bytes;
use fsu_net::message::{Control, Received};
use fsu_net::sys::READ_BYTES;

impl<P: Protocol, T: Recorder> Epoll<P, T> {
    /// Handles frames that have come, while there is time; the rest stays in the queue. Their arrival is the moment of this look.
    pub(super) fn on_frames(&mut self) {
        let Some(mut frames) = self.frames.take() else { return };
        let arrived_ns = clocks::unix_ns();
        let count = frames.look(self.io.base());
        self.turn.share.divide(count.max(self.told.count), READ_BYTES);
        let mut done = 0;
        while done < count && !self.turn.is_spent() {
            self.turn.expect(self.io.base(), |ahead| frames.subject(done + ahead));
            if let Some((arriving, bytes)) = frames.get(done) {
                let control = Control { arrived_ns: Some(arrived_ns), local: arriving.local, ..Control::default() };
                let received = Received { bytes, peer: arriving.peer, control };
                let may_hold = frames.held.may_hold(arriving.place, bytes.len());
                if self.on_frame(&arriving, &received, may_hold) {
                    frames.held.hold(arriving.place, bytes.len());
                }
            }
            self.turn.worked(1, &mut self.io);
            done += 1;
        }
        frames.done(done, self.io.base());
        self.turn.flush(&mut self.io);
        self.frames = Some(frames);
    }

    /// One of them; true: it waits in line.
    fn on_frame(&mut self, arriving: &Arriving, received: &Received<'_>, may_hold: bool) -> bool {
        let subject = Subject::Socket(arriving.place);
        if received.bytes.len() <= self.turn.share.light_bytes && !self.line.has(subject) {
            let began = self.turn.begin_light();
            self.turn.on_received(arriving.place, received, &mut self.io);
            if let Some(effort) = self.turn.end_light(began) {
                self.line.charge(subject, effort);
            }
            return false;
        }
        if !may_hold || self.held_bytes >= HELD_BYTES_MAX {
            self.turn.serve.on_kernel_drops(arriving.place, 1);
            return false;
        }
        self.held_bytes += received.bytes.len();
        let Received { bytes, peer, control } = *received;
        let event = Event::Received { bytes: Bytes::copy_from_slice(bytes), peer, control };
        let arrived_ns = control.arrived_ns.unwrap_or(self.turn.now.arrived_ns);
        self.line.push(subject, Work::Event(event), arrived_ns);
        true
    }
}
