//! A reload, as a driver does it: sockets are taken over first, by all shards; then each swaps between two messages.

use super::base::DriverIo;
use super::turn::Turn;
use crate::shard::Swap;
use crate::shard::protocol::Protocol;
use crate::shard::recorder::Recorder;
use fsu_core::state::Counters;
use fsu_net::bind::Bound;
use std::io;

impl<P: Protocol, T: Recorder> Turn<P, T> {
    /// Takes over sockets for the next swap, all of them or none.
    pub(crate) fn stage(&mut self, sockets: Vec<Bound>, io: &mut impl DriverIo) -> io::Result<()> {
        for socket in sockets {
            match io.stage(socket) {
                Ok(place) => self.staged.push(place),
                Err(error) => {
                    self.unstage(io);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Closes them again.
    pub(crate) fn unstage(&mut self, io: &mut impl DriverIo) {
        self.staged.drain(..).for_each(|place| io.close_socket(place));
    }

    /// Serves another fleet. What is queued leaves before, by the sockets that it was queued for.
    pub(crate) fn swap(&mut self, swap: Swap, io: &mut impl DriverIo) -> Vec<Counters> {
        self.flush(io);
        self.depart(io);
        self.count_centres(io);
        // What the kernel lost so far is counted where it was lost.
        for socket in 0..self.lost.len() as u32 {
            if let Some(lost) = io.base().lost(socket).filter(|_| !self.staged.contains(&socket)) {
                self.on_lost(socket, lost);
            }
        }
        let places = std::mem::take(&mut self.staged);
        for &place in &places {
            let place = place as usize;
            if self.lost.len() <= place {
                self.lost.resize(place + 1, 0);
            }
            self.lost[place] = 0;
        }
        let gone = self.serve.swap(swap, &places, self.now, io);
        self.follow_streams();
        gone
    }
}
