//! The XDP program, which sees each frame of a device first, and the map of addresses whose datagrams it redirects.
//!
//! The program redirects a frame to the socket of its queue if all of these hold. It is one whole UDP datagram, without IP options,
//! extension headers, fragments or a VLAN tag. It is addressed to this device's hardware address and is at most [`FRAME_BYTES_MAX`] long.
//! The lengths in both headers agree. The map assigns its destination address to this queue. All other frames pass to the kernel
//! (`XDP_PASS`), as if there were no program.

use super::addresses::Addresses;
use super::bpf::{self, Instruction, MAP_XSK, PROGRAM_XDP};
use super::device::Device;
use super::frame::FRAME_BYTES_MAX;
use super::writer::{
    ADD, ADD_NUMBER, AND_NUMBER, CALL, EXIT, GO, GO_IF_ANY_BIT, GO_IF_EQUAL, GO_IF_GREATER, GO_IF_LESS, GO_IF_OTHER,
    GO_IF_OTHER_NUMBER, GO_IF_OTHER_WORD, GO_UNLESS_GREATER, LOOK_UP, MOVE, MOVE_NUMBER, NETWORK_ORDER, STACK, STORE,
    Size, Writer,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The name of the last step of [`Program::attach`].
pub const ATTACHING: &str = "attaching the program to the device";
/// Attach only in the driver, not in the kernel's generic XDP stage.
const IN_DRIVER: u32 = 1 << 2;

/// An attached program. It is detached when the process ends.
#[derive(Debug)]
pub struct Program {
    addresses: Addresses,
    sockets: OwnedFd,
    _loaded: OwnedFd,
    _link: OwnedFd,
}

impl Program {
    /// Loads the program and attaches it to a device. It redirects no frames before [`Program::serve`].
    ///
    /// # Errors
    /// The step that failed, and why: EPERM without CAP_BPF and CAP_NET_ADMIN, EBUSY if the device already has a program, EOPNOTSUPP if its
    /// driver does not support XDP.
    pub fn attach(device: &Device) -> Result<Self, (&'static str, io::Error)> {
        let map = |error| ("a map of BPF", error);
        let addresses = Addresses::new().map_err(map)?;
        let sockets = bpf::map::<u32, u32>(MAP_XSK, device.queues.max(1)).map_err(map)?;
        let code = instructions(device.hardware, &addresses, sockets.as_fd());
        let program = bpf::load(PROGRAM_XDP, &code).map_err(|error| ("the program of BPF", error))?;
        let link =
            bpf::attach(program.as_fd(), PROGRAM_XDP, device.index, IN_DRIVER).map_err(|error| (ATTACHING, error))?;
        Ok(Self { addresses, sockets, _loaded: program, _link: link })
    }

    /// Redirects the matching frames of a queue to this socket, which must be bound to that queue.
    ///
    /// # Errors
    /// The system's error.
    pub fn serve(&self, queue: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        bpf::put(self.sockets.as_fd(), &queue, &socket.as_raw_fd().unsigned_abs())
    }

    /// The addresses whose datagrams come here, each with the number of its queue.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}

/// Return codes of the program, and the helper functions that it calls.
const XDP_PASS: i32 = 2;
const REDIRECT: i32 = 51;

/// Jump targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Six,
    Other,
    LookUp,
    Found,
    Pass,
}

/// Registers for the context, the start of the frame, and its end.
const CONTEXT: u8 = 6;
const FRAME: u8 = 7;
const END: u8 = 8;
/// Stack offsets of the key, and of a port.
const KEY: i16 = -24;
const PORT: i16 = -28;

/// Checks on a frame.
impl Writer<Label> {
    /// Passes the frame to the kernel unless it has at least this many bytes, plus the number in register `more` if given.
    fn needs(&mut self, bytes: i32, more: Option<u8>) {
        self.put(MOVE, (2, FRAME), 0, 0);
        self.put(ADD_NUMBER, (2, 0), 0, bytes);
        if let Some(more) = more {
            self.put(ADD, (2, more), 0, 0);
        }
        self.jump(GO_IF_GREATER, (2, END), 0, Label::Pass);
    }

    /// Passes the frame to the kernel unless this byte, masked, has the expected value.
    fn is_byte(&mut self, offset: i16, mask: i32, expected: i32) {
        self.load(Size::One, 3, FRAME, offset);
        if mask != 0xFF {
            self.put(AND_NUMBER, (3, 0), 0, mask);
        }
        self.jump(GO_IF_OTHER_NUMBER, (3, 0), expected, Label::Pass);
    }

    /// Loads a two-byte number.
    fn number(&mut self, to: u8, offset: i16) {
        self.load(Size::Two, to, FRAME, offset);
        self.put(NETWORK_ORDER, (to, 0), 0, 16);
    }
}

/// The program for a device with this hardware address.
fn instructions(hardware: [u8; 6], addresses: &Addresses, sockets: BorrowedFd<'_>) -> Vec<Instruction> {
    let mut to = Writer::new();
    to.put(MOVE, (CONTEXT, 1), 0, 0);
    to.load(Size::Four, FRAME, 1, 0);
    to.load(Size::Four, END, 1, 4);
    ethernet(&mut to, hardware);
    four(&mut to, addresses);
    six(&mut to);
    to.label(Label::LookUp);
    to.map(1, addresses.hash.as_fd());
    to.put(MOVE, (2, STACK), 0, 0);
    to.put(ADD_NUMBER, (2, 0), 0, KEY.into());
    to.put(CALL, (0, 0), 0, LOOK_UP);
    to.jump(GO_IF_EQUAL, (0, 0), 0, Label::Pass);
    to.load(Size::Four, 2, 0, 0);
    to.label(Label::Found);
    // `rx_queue_index`: a socket receives only frames of its own queue.
    to.load(Size::Four, 3, CONTEXT, 16);
    to.jump(GO_IF_OTHER, (2, 3), 0, Label::Pass);
    to.map(1, sockets);
    to.put(MOVE_NUMBER, (3, 0), 0, XDP_PASS);
    to.put(CALL, (0, 0), 0, REDIRECT);
    to.put(EXIT, (0, 0), 0, 0);
    to.label(Label::Pass);
    to.put(MOVE_NUMBER, (0, 0), 0, XDP_PASS);
    to.put(EXIT, (0, 0), 0, 0);
    to.finish()
}

/// To this device, from a unicast address, IPv4 or IPv6, not too long.
fn ethernet(to: &mut Writer<Label>, hardware: [u8; 6]) {
    to.needs(42, None);
    to.put(MOVE, (2, FRAME), 0, 0);
    to.put(ADD_NUMBER, (2, 0), 0, FRAME_BYTES_MAX as i32 + 1);
    to.jump(GO_UNLESS_GREATER, (2, END), 0, Label::Pass);
    let ([first @ .., _, _], [_, _, _, _, last @ ..]) = (hardware, hardware);
    to.load(Size::Four, 3, FRAME, 0);
    to.jump(GO_IF_OTHER_WORD, (3, 0), i32::from_ne_bytes(first), Label::Pass);
    to.load(Size::Two, 3, FRAME, 4);
    to.jump(GO_IF_OTHER_NUMBER, (3, 0), u16::from_ne_bytes(last).into(), Label::Pass);
    to.load(Size::One, 3, FRAME, 6);
    to.jump(GO_IF_ANY_BIT, (3, 0), 1, Label::Pass);
    to.number(3, 12);
    to.jump(GO_IF_EQUAL, (3, 0), 0x86DD, Label::Six);
    to.jump(GO_IF_OTHER_NUMBER, (3, 0), 0x0800, Label::Pass);
}

fn four(to: &mut Writer<Label>, addresses: &Addresses) {
    // Version 4 without options; not a fragment; UDP.
    to.is_byte(14, 0xFF, 0x45);
    to.number(3, 20);
    to.jump(GO_IF_ANY_BIT, (3, 0), 0x3FFF, Label::Pass);
    to.is_byte(23, 0xFF, 17);
    to.number(3, 16);
    to.number(4, 38);
    to.jump(GO_IF_LESS, (4, 0), 8, Label::Pass);
    to.put(ADD_NUMBER, (4, 0), 0, 20);
    to.jump(GO_IF_OTHER, (3, 4), 0, Label::Pass);
    to.needs(14, Some(3));
    to.number(3, 36);
    addresses.look_up(to, PORT, |to| to.load(Size::Four, 3, FRAME, 30), (Label::Found, Label::Other));
    to.label(Label::Other);
    to.put(STORE | Size::Eight as u8, (STACK, 0), KEY, 0);
    to.put(STORE, (STACK, 0), KEY + 8, i32::from_ne_bytes([0, 0, 0xFF, 0xFF]));
    to.load(Size::Four, 3, FRAME, 30);
    to.store(Size::Four, 3, KEY + 12);
    to.load(Size::Two, 3, FRAME, 36);
    to.put(STORE, (STACK, 0), KEY + 16, 0);
    to.store(Size::Two, 3, KEY + 16);
    to.jump(GO, (0, 0), 0, Label::LookUp);
}

fn six(to: &mut Writer<Label>) {
    to.label(Label::Six);
    to.needs(62, None);
    to.is_byte(14, 0xF0, 0x60);
    to.is_byte(20, 0xFF, 17);
    to.number(3, 18);
    to.number(4, 58);
    to.jump(GO_IF_LESS, (4, 0), 8, Label::Pass);
    to.jump(GO_IF_OTHER, (3, 4), 0, Label::Pass);
    to.needs(54, Some(3));
    for at in [0, 8] {
        to.load(Size::Eight, 3, FRAME, 38 + at);
        to.store(Size::Eight, 3, KEY + at);
    }
    to.load(Size::Two, 3, FRAME, 56);
    to.put(STORE, (STACK, 0), KEY + 16, 0);
    to.store(Size::Two, 3, KEY + 16);
}
