//! Assembles a BPF program, instruction by instruction.

use super::bpf::Instruction;
use std::os::fd::{AsRawFd, BorrowedFd};

// Instruction classes and operations (linux/bpf_common.h, linux/bpf.h).
pub(super) const MOVE: u8 = 0xBF;
pub(super) const MOVE_NUMBER: u8 = 0xB7;
pub(super) const ADD: u8 = 0x0F;
pub(super) const ADD_NUMBER: u8 = 0x07;
pub(super) const AND_NUMBER: u8 = 0x57;
pub(super) const NETWORK_ORDER: u8 = 0xDC;
pub(super) const STORE: u8 = 0x62;
const LOAD_IMMEDIATE: u8 = 0x18;
pub(super) const CALL: u8 = 0x85;
pub(super) const EXIT: u8 = 0x95;
pub(super) const GO: u8 = 0x05;
pub(super) const GO_IF_GREATER: u8 = 0x2D;
pub(super) const GO_UNLESS_GREATER: u8 = 0xBD;
pub(super) const GO_IF_EQUAL: u8 = 0x15;
pub(super) const GO_IF_OTHER: u8 = 0x5D;
pub(super) const GO_IF_OTHER_NUMBER: u8 = 0x55;
pub(super) const GO_IF_OTHER_WORD: u8 = 0x56;
pub(super) const GO_IF_ANY_BIT: u8 = 0x45;
pub(super) const GO_IF_LESS: u8 = 0xA5;
/// Source-register value of `LOAD_IMMEDIATE` that marks a map descriptor.
const A_MAP: u8 = 1;
pub(super) const LOOK_UP: i32 = 1;

/// Sizes of loads and stores.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    One = 0x10,
    Two = 0x08,
    Four = 0x00,
    Eight = 0x18,
}

/// The frame-pointer register.
pub(super) const STACK: u8 = 10;

/// A program under construction. `L` names its jump targets.
#[derive(Debug)]
pub(super) struct Writer<L> {
    code: Vec<Instruction>,
    jumps: Vec<(usize, L)>,
    labels: Vec<(L, usize)>,
}

impl<L: Copy + PartialEq> Writer<L> {
    pub(super) fn new() -> Self {
        Self { code: Vec::new(), jumps: Vec::new(), labels: Vec::new() }
    }

    pub(super) fn put(&mut self, code: u8, (to, from): (u8, u8), offset: i16, immediate: i32) {
        self.code.push(Instruction { code, registers: from << 4 | to, offset, immediate });
    }

    pub(super) fn load(&mut self, size: Size, to: u8, from: u8, offset: i16) {
        self.put(0x61 | size as u8, (to, from), offset, 0);
    }

    /// Stores a register on the stack.
    pub(super) fn store(&mut self, size: Size, from: u8, offset: i16) {
        self.put(0x63 | size as u8, (STACK, from), offset, 0);
    }

    pub(super) fn jump(&mut self, code: u8, registers: (u8, u8), immediate: i32, label: L) {
        self.jumps.push((self.code.len(), label));
        self.put(code, registers, 0, immediate);
    }

    pub(super) fn label(&mut self, label: L) {
        self.labels.push((label, self.code.len()));
    }

    /// Loads a map into a register.
    pub(super) fn map(&mut self, to: u8, map: BorrowedFd<'_>) {
        self.put(LOAD_IMMEDIATE, (to, A_MAP), 0, map.as_raw_fd());
        self.put(0, (0, 0), 0, 0);
    }

    /// Resolves all jumps. A jump without a target continues with the next instruction.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let to = self.labels.iter().find(|&&(of, _)| of == label).map_or(at + 1, |&(_, to)| to);
            self.code[at].offset = (to as i64 - at as i64 - 1) as i16;
        }
        self.code
    }
}
