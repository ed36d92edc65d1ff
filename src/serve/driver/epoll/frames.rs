//! Datagrams of many FSUs at once: frames of a network device's queue, or what one socket takes for many addresses.
//!
//! They are light one by one. What is not light waits in line, as what a socket has received does; the kernel keeps nothing for it, so there
//! is a limit for each FSU as that of a socket's buffer.

use super::{Epoll, Event, HELD_BYTES_MAX};
use crate::driver::base::DriverIo as _;
use crate::driver::clocks;
use crate::driver::port::{Arriving, Batch};
use crate::driver::turn::Work;
use crate::shard::io::Subject;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use bytes::Bytes;
use fsu_net::message::{Control, Received};
use fsu_net::sys::{BATCH, READ_BYTES};

/// Receives of the one socket between two waits, if each is full.
const RECEIVES_MAX: usize = 8;

impl<P: Protocol, T: Recorder> Epoll<P, T> {
    /// Handles frames that have come, while there is time; the rest stays in the queue.
    pub(super) fn on_frames(&mut self) {
        if let Some(mut frames) = self.frames.take() {
            self.on_batch(&mut frames);
            self.frames = Some(frames);
        }
    }

    /// Handles datagrams that have come by the one socket, while there is time: up to [`RECEIVES_MAX`] receives.
    pub(super) fn on_shared(&mut self) {
        if let Some(mut sharing) = self.sharing.take() {
            for _ in 0..RECEIVES_MAX {
                let count = self.on_batch(&mut sharing);
                if count < BATCH || self.turn.is_spent() {
                    break;
                }
            }
            self.sharing = Some(sharing);
        }
    }

    /// Returns how many there were.
    fn on_batch<B: Batch>(&mut self, batch: &mut B) -> usize {
        let looked_ns = clocks::unix_ns();
        let count = batch.look(self.io.base());
        self.turn.share.divide(count.max(self.told.count), READ_BYTES);
        let mut done = 0;
        while done < count && !(B::MAY_STOP && self.turn.is_spent()) {
            self.turn.expect(self.io.base(), |ahead| batch.subject(done + ahead));
            let may_hold = batch.may_hold(done);
            if let Some((arriving, bytes, arrived_ns)) = batch.get(done) {
                // What has no stamp of the kernel's came before this look.
                let arrived_ns = Some(arrived_ns.unwrap_or(looked_ns));
                let control = Control { arrived_ns, local: arriving.local, ..Control::default() };
                let received = Received { bytes, peer: arriving.peer, control };
                if self.on_one(&arriving, &received, may_hold) {
                    batch.held().hold(arriving.place, arriving.bytes);
                }
            }
            self.turn.worked(1, &mut self.io);
            done += 1;
        }
        batch.done(done, self.io.base());
        self.turn.flush(&mut self.io);
        count
    }

    /// One of them; true: it waits in line.
    fn on_one(&mut self, arriving: &Arriving, received: &Received<'_>, may_hold: bool) -> bool {
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
