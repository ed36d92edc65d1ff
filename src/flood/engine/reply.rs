//! A received frame, compared with the requests of a profile: see [`Matcher`].

use crate::expect::{Wrong, raw, whole};
use crate::lane::{Flight, Matcher, Right, Timing};
use crate::workload::profile::Prepared;
use fsu_plan::model::fleet::Device;

/// A device, the bytes of a frame that was read for it, and whether they are right.
type Read<'a> = (&'a Device, Result<&'a [u8], Wrong>, Result<(), Wrong>);

/// A frame that came.
pub struct ReplyMatcher<'a, F> {
    requests: &'a [Prepared],
    /// The inner frame, as a reply to a request of this command has it.
    inner: F,
    /// Replies of a burst may overtake each other.
    may_overtake: bool,
    /// The server skips delays.
    skips_delays: bool,
    scratch: &'a mut Vec<u8>,
    /// The device that the frame was last parsed for, its bytes, and the result: all commands of a device share it, and differ by key
    /// only.
    read: Option<Read<'a>>,
}

impl<'a, F: FnMut(&Prepared) -> Result<&'a [u8], Wrong>> ReplyMatcher<'a, F> {
    /// A possible reply to these requests; `inner` checks and removes what surrounds the inner frame.
    #[inline]
    pub fn new(requests: &'a [Prepared], inner: F, may_overtake: bool, scratch: &'a mut Vec<u8>) -> Self {
        Self { requests, inner, may_overtake, skips_delays: false, scratch, read: None }
    }

    /// For a server that skips delays.
    #[inline]
    #[must_use]
    pub fn skipping(self, skips_delays: bool) -> Self {
        Self { skips_delays, ..self }
    }

    /// Parses the frame as a reply to a command.
    #[inline]
    fn read_for(&mut self, request: u32) -> Result<&'a [u8], Wrong> {
        let prepared = &self.requests[request as usize];
        let device = &*prepared.device;
        let before = self.read.filter(|(before, ..)| std::ptr::eq(*before, device));
        let (_, wire, own) = before.unwrap_or_else(|| {
            let wire = (self.inner)(prepared);
            (device, wire, wire.and_then(|wire| whole(&device.template, wire, self.scratch)))
        });
        self.read = Some((device, wire, own));
        let wire = wire?;
        let read = prepared.expect.read_own(own, &device.template, wire, self.scratch);
        if prepared.expect.has_others() {
            // The buffer may have the frame as another layout reads it.
            self.read = None;
        }
        read.map(|()| wire)
    }
}

impl<'a, F: FnMut(&Prepared) -> Result<&'a [u8], Wrong>> Matcher for ReplyMatcher<'a, F> {
    #[inline]
    fn read(&mut self, request: u32, classes: &mut Vec<u64>) -> Result<(), Wrong> {
        let wire = self.read_for(request)?;
        let prepared = &self.requests[request as usize];
        prepared.expect.echo().classes(request, raw(prepared.template(), wire, self.scratch), classes);
        Ok(())
    }

    #[inline]
    fn check(&mut self, flight: &Flight) -> Result<Right, Wrong> {
        let wire = self.read_for(flight.request)?;
        let prepared = &self.requests[flight.request as usize];
        prepared.right(flight, wire, self.may_overtake, self.scratch)
    }

    fn repeats(&mut self, request: u32) -> bool {
        let prepared = &self.requests[request as usize];
        self.read_for(request).is_ok_and(|wire| prepared.expect.fits_any(raw(prepared.template(), wire, self.scratch)))
    }

    fn timing(&self, flight: &Flight) -> Timing {
        if self.skips_delays { Timing::default() } else { self.requests[flight.request as usize].timing }
    }
}
