//! The bpf(2) calls used here: maps, programs, links. A link ends when its descriptor is closed, so at the latest when the process ends.

#![allow(unsafe_code)]

use std::ffi::c_long;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const MAP_CREATE: c_long = 0;
const MAP_LOOKUP_ELEM: c_long = 1;
const MAP_UPDATE_ELEM: c_long = 2;
const MAP_DELETE_ELEM: c_long = 3;
const PROG_LOAD: c_long = 5;
const MAP_UPDATE_BATCH: c_long = 26;
const LINK_CREATE: c_long = 28;

/// A hash map that allocates each entry when it is inserted.
pub(super) const MAP_HASH: MapKind = MapKind { kind: 1, flags: 1 };
/// Values by number, all there from the start.
pub(super) const MAP_TABLE: MapKind = MapKind { kind: 2, flags: 0 };
/// Queue to AF_XDP socket.
pub(super) const MAP_XSK: MapKind = MapKind { kind: 17, flags: 0 };

/// Type and flags of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapKind {
    kind: u32,
    flags: u32,
}

/// Number to socket.
pub(super) const MAP_SOCKETS: MapKind = MapKind { kind: 15, flags: 0 };

/// Type and attach type of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProgramKind {
    kind: u32,
    attach: u32,
}

/// A program that sees each frame of a device first.
pub(super) const PROGRAM_XDP: ProgramKind = ProgramKind { kind: 6, attach: 37 };

/// A program that chooses the socket of a datagram.
pub(super) const PROGRAM_LOOKUP: ProgramKind = ProgramKind { kind: 30, attach: 36 };

/// Attempts to load a program, because a signal can interrupt loading.
const LOADS: usize = 16;
/// Size of the buffer for the verifier's log.
const LOG_BYTES: usize = 64 << 10;

/// An instruction, as the kernel reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Destination register in the low four bits, source register in the high four bits.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

#[derive(Default)]
#[repr(C)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct MapElement {
    map: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[derive(Default)]
#[repr(C)]
struct MapBatch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

#[derive(Default)]
#[repr(C)]
struct ProgLoad {
    kind: u32,
    instructions_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[derive(Default)]
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach: u32,
    flags: u32,
}

/// A map's keys or values: bytes without padding and without pointers.
pub(super) trait Plain: Copy {}
impl Plain for u32 {}
impl Plain for [u8; 20] {}
impl Plain for [u32; 2] {}

fn call<A>(command: c_long, attributes: &mut A) -> io::Result<c_long> {
    // SAFETY: the attributes are a `repr(C)` prefix of `union bpf_attr` with the length that the call states. Everything they point to
    // outlives the call (see each caller).
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<A>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The same for a call that returns a descriptor.
fn open<A>(command: c_long, attributes: &mut A) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the call has just created this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

fn pointer<T>(value: *const T) -> u64 {
    value.addr() as u64
}

/// A map with keys and values of these types.
pub(super) fn map<K: Plain, V: Plain>(MapKind { kind, flags }: MapKind, entries_max: u32) -> io::Result<OwnedFd> {
    let (key_bytes, value_bytes) = (size_of::<K>() as u32, size_of::<V>() as u32);
    open(MAP_CREATE, &mut MapCreate { kind, key_bytes, value_bytes, entries_max, flags })
}

/// Puts a value into a map made with these types.
pub(super) fn put<K: Plain, V: Plain>(map: BorrowedFd<'_>, key: &K, value: &V) -> io::Result<()> {
    let (key, value) = (pointer(key), pointer(value));
    call(MAP_UPDATE_ELEM, &mut MapElement { map: number(map), key, value, flags: 0 }).map(|_| ())
}

/// The value of a key in a map made with these types.
pub(super) fn get<K: Plain, V: Plain + Default>(map: BorrowedFd<'_>, key: &K) -> io::Result<V> {
    let mut value = V::default();
    let at = std::ptr::from_mut(&mut value).expose_provenance() as u64;
    call(MAP_LOOKUP_ELEM, &mut MapElement { map: number(map), key: pointer(key), value: at, flags: 0 })?;
    Ok(value)
}

/// Puts many values into a map.
pub(super) fn put_all<K: Plain, V: Plain>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> io::Result<()> {
    let count = keys.len().min(values.len());
    if count == 0 {
        return Ok(());
    }
    let (keys_at, values_at) = (pointer(keys.as_ptr()), pointer(values.as_ptr()));
    let batch =
        MapBatch { keys: keys_at, values: values_at, count: count as u32, map: number(map), ..MapBatch::default() };
    call(MAP_UPDATE_BATCH, &mut { batch }).map(|_| ())
}

/// Removes a key.
pub(super) fn take<K: Plain>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
    call(MAP_DELETE_ELEM, &mut MapElement { map: number(map), key: pointer(key), ..MapElement::default() }).map(|_| ())
}

/// Loads a program.
///
/// # Errors
/// The system's error. If the verifier rejects the program, the error includes the last line of its log.
pub(super) fn load(kind: ProgramKind, instructions: &[Instruction]) -> io::Result<OwnedFd> {
    const LICENSE: &std::ffi::CStr = c"Dual MIT/GPL";
    let mut attributes = ProgLoad {
        kind: kind.kind,
        instructions_count: instructions.len() as u32,
        instructions: pointer(instructions.as_ptr()),
        license: pointer(LICENSE.as_ptr()),
        name: *b"fsu_mock\0\0\0\0\0\0\0\0",
        attach: kind.attach,
        ..ProgLoad::default()
    };
    let mut loaded = open(PROG_LOAD, &mut attributes);
    for _ in 1..LOADS {
        // A signal interrupts the verifier.
        if !loaded.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EAGAIN)) {
            break;
        }
        loaded = open(PROG_LOAD, &mut attributes);
    }
    let error = match loaded {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EACCES)) => error,
        loaded => return loaded,
    };
    let mut log = vec![0_u8; LOG_BYTES];
    (attributes.log_level, attributes.log_bytes, attributes.log) =
        (1, LOG_BYTES as u32, log.as_mut_ptr().addr() as u64);
    if let Ok(loaded) = open(PROG_LOAD, &mut attributes) {
        return Ok(loaded);
    }
    let said = log.split(|&byte| byte == 0).next().unwrap_or_default();
    let said = String::from_utf8_lossy(said);
    let last = said.lines().rev().find(|line| !line.is_empty() && !line.starts_with("processed")).unwrap_or_default();
    Err(io::Error::new(error.kind(), format!("{error} {last}")))
}

/// Attaches a program until the returned descriptor is closed. `target` is an interface index or a descriptor.
pub(super) fn attach(program: BorrowedFd<'_>, kind: ProgramKind, target: u32, flags: u32) -> io::Result<OwnedFd> {
    open(LINK_CREATE, &mut LinkCreate { program: number(program), target, attach: kind.attach, flags })
}
