//! What replies to a command look like, predicted from its rules ([`fsu_core::predict`]); and the check of a reply. Pure.
//!
//! Bytes that depend on the mock's clock, generators and registers are not compared: they are not known here.
//! Everything else is: size, lengths, checksum, what the rule writes always, and what it copies from the request. Which
//! entry of a rule's cycle comes is not known either, so any of them is accepted, and so is the empty form of a refusal.

pub mod burst;
pub mod echo;

use crate::expect::echo::{Echo, Takes};
use fsu_core::client::layouts::{Reply, as_it_is, replies_of};
use fsu_core::predict::{Form, Open, Origin, Telltale, forms_to};
use fsu_plan::model::field::Offset;
use fsu_plan::model::fleet::Device;
use fsu_plan::model::reply::Payload;
use fsu_plan::model::rule::Rule;
use fsu_plan::model::template::{Encoding, Template};
use fsu_plan::wire::inner;
use fsu_plan::wire::reason::Reason;
use std::sync::Arc;

/// What is wrong with a reply, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The outer frame: start, end, escapes, P_verify, lengths, direction.
    Outer(Reason),
    /// P_src_addr is not this FSU's id, or P_dest_addr not the centre's.
    Address,
    /// P_subDevType or P_subDev_addr is not the request's.
    Device,
    /// The inner frame: start, end, characters, lengths.
    Inner(Reason),
    /// The inner checksum.
    Checksum,
    /// Another command's key.
    Key,
    /// A size that no rule gives.
    Size,
    /// A header value that goes with the other of the two forms: data where it refuses, or none where it does not.
    Form,
    /// A byte that the rule always writes.
    Static,
    /// A byte that should be the request's.
    Copied,
    /// Right for an entry of the cycle that has no turn now in its burst.
    Turn,
    /// There should be no reply: the rule that applies is a timeout, or there is none.
    Silence,
    /// The data that followed, put together, is not the rule's.
    Payload,
}

impl Wrong {
    /// How far the checks got before it: of several, the deepest one is reported.
    pub fn depth(self) -> u8 {
        match self {
            Self::Outer(_) => 0,
            Self::Address => 1,
            Self::Device => 2,
            Self::Inner(_) => 3,
            Self::Checksum => 4,
            Self::Key => 5,
            Self::Size => 6,
            Self::Form => 7,
            Self::Static => 8,
            Self::Copied => 9,
            Self::Turn => 10,
            Self::Silence => 11,
            Self::Payload => 12,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outer(reason) | Self::Inner(reason) => reason.reason(),
            Self::Address => "address",
            Self::Device => "device",
            Self::Checksum => "checksum",
            Self::Size => "size",
            Self::Key => "key",
            Self::Form => "form",
            Self::Static => "static_value",
            Self::Copied => "copied_value",
            Self::Turn => "turn",
            Self::Silence => "not_silent",
            Self::Payload => "payload",
        }
    }

    /// All names that a reply can be wrong by.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let is_of_frames = |name: &&str| name.starts_with("outer_") || name.starts_with("bad_") || *name == "short";
        let own = [Self::Address, Self::Device, Self::Checksum, Self::Key, Self::Size, Self::Form, Self::Static];
        let more = [Self::Copied, Self::Turn, Self::Silence, Self::Payload];
        let frames = Reason::ALL.into_iter().map(Reason::reason).filter(is_of_frames);
        frames.chain(own.into_iter().chain(more).map(Self::name))
    }
}

/// Bytes that are always the same.
#[derive(Debug, PartialEq, Eq)]
struct Fixed {
    at: usize,
    len: usize,
}

/// Bytes that are the request's.
#[derive(Debug, PartialEq, Eq)]
struct Copied {
    from: usize,
    to: usize,
    len: usize,
}

/// One form of a reply.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    frame: Box<[u8]>,
    fixed: Box<[Fixed]>,
    copied: Box<[Copied]>,
    telltale: Option<Telltale>,
    wire_len: usize,
}

/// All forms that the reply to a command may have.
#[derive(Debug)]
pub struct Expect {
    shapes: Box<[Shape]>,
    wire_lens: Box<[usize]>,
    /// Where a reply has the key, and its bytes; only parts that are copied or constant in every form.
    key: Box<[(Offset, Box<[u8]>)]>,
    /// By entry of a rule's cycle, the numbers of its forms; for bursts, where entries have turns.
    entries: Box<[Box<[usize]>]>,
    /// What every form takes over from the request.
    echo: Echo,
    /// Why the size of some reply is not known.
    open: Option<Open>,
    /// Other layouts that replies have.
    others: Box<[Arc<Template>]>,
    /// Replies of bytes as they are: on the wire, and the bytes.
    plain: Box<[(Vec<u8>, Vec<u8>)]>,
}

impl Expect {
    /// Of the replies of these rules of a command, any of which may answer; `request` is the raw request.
    pub fn new<'a>(device: &Device, command: usize, rules: impl IntoIterator<Item = &'a Rule>, request: &[u8]) -> Self {
        let template = &*device.template;
        let mut shapes: Vec<Shape> = Vec::new();
        let mut entries: Vec<Box<[usize]>> = Vec::new();
        let mut open = None;
        let (mut others, mut plain) = (Vec::<Arc<Template>>::new(), Vec::new());
        for Reply { template: of, reply } in rules.into_iter().flat_map(|rule| replies_of(device, rule)) {
            let known = forms_to(of, reply, request);
            open = open.or(known.as_ref().err().copied());
            let is_plain = matches!(reply.payload, Payload::Raw);
            if is_plain {
                plain.push(as_it_is(template, &reply.frame.to_vec()));
            } else if !std::ptr::eq(Arc::as_ptr(of), template) && !others.iter().any(|other| Arc::ptr_eq(other, of)) {
                others.push(Arc::clone(of));
            }
            let numbers = known.unwrap_or_default().into_iter().map(|form| {
                let len = form.frame.len();
                let plain_len = plain.last().filter(|_| is_plain).map(|(wire, _)| wire.len());
                let wire_len = plain_len.unwrap_or_else(|| of.sent_len(len));
                let shape = Shape { wire_len, ..shape(of, form, request.len()) };
                shapes.iter().position(|there| *there == shape).unwrap_or_else(|| {
                    shapes.push(shape);
                    shapes.len() - 1
                })
            });
            entries.push(numbers.collect());
        }
        let key = template.keys.iter().find(|shape| {
            shape.table.iter().any(|(_, numbers)| numbers.iter().any(|&number| number as usize == command))
        });
        let key = key.iter().flat_map(|shape| shape.parts.iter());
        let key = key.map(|part| {
            let at = part.at.in_frame(request.len());
            (part.at, request[at..at + part.len].into())
        });
        // A reply has the key only where every form copies it: a return code may take its place.
        let taken = |at: Offset, len: usize| {
            (at.0 < 0 || (at.0 as usize) < template.left_len)
                && shapes.iter().all(|shape| shape.takes(at.in_frame(request.len()), at, len))
        };
        let key = key.filter(|(at, bytes): &(Offset, Box<[u8]>)| taken(*at, bytes.len())).collect();
        let mut wire_lens: Vec<usize> = shapes.iter().map(|shape| shape.wire_len).collect();
        wire_lens.sort_unstable();
        wire_lens.dedup();
        let echo = echo(&shapes);
        Self {
            shapes: shapes.into(),
            wire_lens: wire_lens.into(),
            key,
            entries: entries.into(),
            echo,
            open,
            others: others.into(),
            plain: plain.into(),
        }
    }

    /// The request itself, from a server that does no work.
    pub fn of_echo(template: &Template, request: &[u8]) -> Self {
        let wire_len = template.sent_len(request.len());
        let shape = Shape {
            frame: request.into(),
            fixed: [].into(),
            // Including the checksum.
            copied: [Copied { from: 0, to: 0, len: request.len() }].into(),
            telltale: None,
            wire_len,
        };
        let echo = echo(std::slice::from_ref(&shape));
        Self {
            shapes: [shape].into(),
            wire_lens: [wire_len].into(),
            key: [].into(),
            entries: [].into(),
            echo,
            open: None,
            others: [].into(),
            plain: [].into(),
        }
    }

    /// Why the size of some reply is not known: then it is not known what is right either.
    pub fn open(&self) -> Option<Open> {
        self.open
    }

    /// Wire sizes of the inner frame that a good reply may have, shortest first; for cutting streams.
    pub fn wire_lens(&self) -> &[usize] {
        &self.wire_lens
    }

    /// Is `wire` a reply to `request` (raw)? `scratch` is for templates that encode.
    pub fn check(&self, template: &Template, request: &[u8], wire: &[u8], scratch: &mut Vec<u8>) -> Result<(), Wrong> {
        self.read(template, wire, scratch)?;
        self.fits(request, raw(template, wire, scratch))
    }

    /// Is `wire` a whole frame of the request's layout that has the command's key, or one that some reply is: another layout's, or bytes as
    /// they are? Its raw frame is [`raw`] then.
    #[inline]
    pub fn read(&self, template: &Template, wire: &[u8], scratch: &mut Vec<u8>) -> Result<(), Wrong> {
        let own = whole(template, wire, scratch);
        self.read_own(own, template, wire, scratch)
    }

    /// The same for a frame of which is known whether it is a whole one of the request's layout.
    #[inline]
    pub fn read_own(
        &self,
        own: Result<(), Wrong>,
        template: &Template,
        wire: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        let keyed =
            own.and_then(|()| if self.has_key(raw(template, wire, scratch)) { Ok(()) } else { Err(Wrong::Key) });
        match keyed {
            Err(_) if self.is_other(wire, scratch) => Ok(()),
            keyed => keyed,
        }
    }

    /// May a reply be a frame of another layout, or none?
    #[inline]
    pub fn has_others(&self) -> bool {
        !self.others.is_empty() || !self.plain.is_empty()
    }

    /// Is it a frame of another layout that a reply has, or a reply of bytes as they are?
    #[cold]
    fn is_other(&self, wire: &[u8], scratch: &mut Vec<u8>) -> bool {
        if let Some((_, plain)) = self.plain.iter().find(|(plain, _)| **plain == *wire) {
            scratch.clone_from(plain);
            return true;
        }
        let Some(other) = self.others.iter().find(|other| whole(other, wire, scratch).is_ok()) else { return false };
        if other.encoding == Encoding::Binary {
            scratch.clear();
            scratch.extend_from_slice(wire);
        }
        true
    }

    /// Is a raw frame that was read right for a raw request?
    pub fn fits(&self, request: &[u8], raw: &[u8]) -> Result<(), Wrong> {
        let mut worst = Wrong::Size;
        for shape in &self.shapes {
            match shape.check_own(raw).and_then(|()| shape.check_copied(request, raw)) {
                Ok(()) => return Ok(()),
                Err(wrong) if wrong.depth() > worst.depth() => worst = wrong,
                Err(_) => {}
            }
        }
        if self.shapes.is_empty() { Err(Wrong::Silence) } else { Err(worst) }
    }

    /// Would it be right for some request, whatever that has where the reply takes bytes over?
    pub fn fits_any(&self, raw: &[u8]) -> bool {
        self.shapes.iter().any(|shape| shape.check_own(raw).is_ok())
    }

    /// What every form takes over from the request.
    pub fn echo(&self) -> &Echo {
        &self.echo
    }

    /// Does every form take over this byte of the request?
    pub fn echoes(&self, at: usize) -> bool {
        self.echo.holds(at)
    }

    /// Which entries of its rule's cycle a raw reply looks like, in the order of the rules that this was made from.
    pub fn looks_like(&self, request: &[u8], raw: &[u8]) -> Vec<bool> {
        let right = |shape: &Shape| shape.check_own(raw).and_then(|()| shape.check_copied(request, raw));
        let fits: Vec<bool> = self.shapes.iter().map(|shape| right(shape).is_ok()).collect();
        self.entries.iter().map(|forms| forms.iter().any(|&form| fits[form])).collect()
    }

    /// Does a raw reply carry this command's key? True if the key is in the data frame: replies need not repeat it.
    pub fn has_key(&self, raw: &[u8]) -> bool {
        self.key.iter().all(|(at, bytes)| {
            let at = at.in_frame(raw.len());
            raw.get(at..).and_then(|rest| rest.get(..bytes.len())).is_some_and(|found| *found == **bytes)
        })
    }
}

impl Shape {
    /// Are these bytes the request's, from the same place?
    fn takes(&self, from: usize, at: Offset, len: usize) -> bool {
        let to = at.in_frame(self.frame.len());
        self.copied.iter().any(|copied| {
            copied.to <= to && to + len <= copied.to + copied.len && from.wrapping_sub(copied.from) == to - copied.to
        })
    }

    /// Can a reply have this form? Not where the rule always writes a header value that goes with the other form.
    fn is_possible(&self) -> bool {
        let Some(telltale) = &self.telltale else { return true };
        let span = telltale.at..telltale.at + telltale.len;
        let is_known =
            span.clone().all(|at| self.fixed.iter().any(|fixed| (fixed.at..fixed.at + fixed.len).contains(&at)));
        !is_known || telltale.ok.iter().any(|ok| **ok == self.frame[span.clone()]) != telltale.refusing
    }

    /// What it takes over: of the reply, of the request.
    fn taken(&self) -> Vec<(usize, usize)> {
        let bytes = |copied: &Copied| {
            let (to, from) = (copied.to, copied.from);
            (0..copied.len).map(move |i| (to + i, from + i))
        };
        self.copied.iter().flat_map(bytes).collect()
    }

    /// All but what it takes over.
    #[inline]
    fn check_own(&self, raw: &[u8]) -> Result<(), Wrong> {
        if raw.len() != self.frame.len() {
            return Err(Wrong::Size);
        }
        if let Some(telltale) = &self.telltale {
            let value = &raw[telltale.at..telltale.at + telltale.len];
            if telltale.ok.iter().any(|ok| **ok == *value) == telltale.refusing {
                return Err(Wrong::Form);
            }
        }
        let same = |fixed: &Fixed| raw[fixed.at..fixed.at + fixed.len] == self.frame[fixed.at..fixed.at + fixed.len];
        if self.fixed.iter().all(same) { Ok(()) } else { Err(Wrong::Static) }
    }

    /// What it takes over, of a frame that [`Self::check_own`] found right.
    #[inline]
    fn check_copied(&self, request: &[u8], raw: &[u8]) -> Result<(), Wrong> {
        let copied = |copied: &Copied| {
            request.get(copied.from..copied.from + copied.len) == Some(&raw[copied.to..copied.to + copied.len])
        };
        if self.copied.iter().all(copied) { Ok(()) } else { Err(Wrong::Copied) }
    }
}

/// Is `wire` a whole frame? Its raw frame is [`raw`] then.
pub fn whole(template: &Template, wire: &[u8], scratch: &mut Vec<u8>) -> Result<(), Wrong> {
    let frame = inner::parse(template, wire, scratch).map_err(Wrong::Inner)?;
    inner::reply_lengths_ok(template, &frame).map_err(Wrong::Inner)?;
    if inner::checksum_ok(template, &frame) { Ok(()) } else { Err(Wrong::Checksum) }
}

/// The raw frame of one that was read: itself, or what it was decoded to.
pub fn raw<'a>(template: &Template, wire: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
    inner::parsed(template, wire, scratch).raw
}

/// What all of these forms that are possible take over.
fn echo(shapes: &[Shape]) -> Echo {
    let possible = shapes.iter().filter(|shape| shape.is_possible());
    Echo::new(&possible.map(|shape| Takes { len: shape.frame.len(), taken: shape.taken() }).collect::<Vec<_>>())
}

/// A form that was predicted, for requests of that size.
fn shape(template: &Template, form: Form, request_len: usize) -> Shape {
    let (mut fixed, mut copied): (Vec<Fixed>, Vec<Copied>) = (Vec::new(), Vec::new());
    for (at, origin) in form.origins.iter().enumerate() {
        match *origin {
            Origin::Constant => match fixed.last_mut() {
                Some(last) if last.at + last.len == at => last.len += 1,
                _ => fixed.push(Fixed { at, len: 1 }),
            },
            Origin::Request(from) => {
                let from = from.in_frame(request_len);
                match copied.last_mut() {
                    Some(last) if last.to + last.len == at && last.from + last.len == from => last.len += 1,
                    _ => copied.push(Copied { from, to: at, len: 1 }),
                }
            }
            Origin::Unknown => {}
        }
    }
    Shape {
        wire_len: template.sent_len(form.frame.len()),
        frame: form.frame.into(),
        fixed: fixed.into(),
        copied: copied.into(),
        telltale: form.telltale,
    }
}
