//! One device-log record as bytes: what a shard writes and the logger thread reads.
//!
//! A fixed head, then what the responder knew about each frame ([`About::encode`]), then the wire bytes. All numbers are
//! little endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | length of the wire bytes |
//! | 4 | 4 | FSU number |
//! | 8 | 4 | records of this FSU lost just before this one |
//! | 12 | 8 | Unix time in milliseconds |
//! | 20 | 1 | kind, plus 80 if the peer has an IPv6 address |
//! | 21 | 2 | number of frames described |
//! | 23 | 2 | peer's port |
//! | 25 | 16 | the peer's address; IPv4 in the first four bytes |

use fsu_core::about::About;
use fsu_core::answer::talk::{Event, Happened};
use fsu_plan::model::fault::{FaultKind, Place, Struck};
use fsu_plan::words;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of the head.
pub const HEAD_BYTES: usize = 41;

const LEN: usize = 0;
const FSU: usize = 4;
const LOST: usize = 8;
const TIME: usize = 12;
const KIND: usize = 20;
const ABOUTS: usize = 21;
const PORT: usize = 23;
const ADDRESS: usize = 25;
/// Marks an IPv6 address, beside the kind.
const IP6: u8 = 0x80;

/// Frames of one datagram that a record describes. More cannot be good, as a good one has at least 38 of the datagram's 65,507 bytes.
pub const FRAMES_TOLD_MAX: usize = 1_724;

/// FSU number that marks a change of fleet: later numbers belong to the next fleet ([`EpochMark`]).
const NO_FSU: u32 = u32::MAX;

/// Traffic of an FSU, as a shard passes it on.
#[derive(Clone, Copy, Debug)]
pub struct Traffic<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// The FSU's number in the fleet.
    pub fsu: u32,
    /// The centre.
    pub peer: SocketAddr,
    /// The moment on the wire, wall clock in milliseconds.
    pub unix_ms: i64,
    /// What is known of each frame.
    pub abouts: &'a [About],
    /// The bytes on the wire.
    pub bytes: &'a [u8],
}

words! {
    /// What a record is about.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum RecordKind {
        /// Came from a centre.
        Received = "received",
        /// Went to a centre, in answer to a request.
        Reply = "reply",
        /// A heartbeat, sent.
        Heartbeat = "heartbeat",
        /// No traffic: a fault made on purpose, for the ledger. Its bytes are [`fault_bytes`].
        Fault = "fault",
        /// A reply that was due later and was never sent; why, its [`About`] says.
        Unsent = "unsent",
        /// A frame of a message that a device says unasked.
        Message = "message",
        /// No traffic: what has become of a message, for the ledger. Its bytes are [`happened_bytes`].
        Happened = "happened",
    }
}

/// What the responder knew about the frames of a record, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told<'a>(&'a [[u8; About::BYTES]]);

impl<'a> Told<'a> {
    /// What [`About::encode`] made, concatenated; `None` if part of it is invalid.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (abouts, rest) = bytes.as_chunks();
        (rest.is_empty() && abouts.iter().all(|about| About::decode(about).is_some())).then_some(Self(abouts))
    }

    /// The first one, or an unknown one.
    pub fn first(self) -> About {
        self.iter().next().unwrap_or_default()
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = About> + use<'a> {
        self.0.iter().filter_map(About::decode)
    }
}

/// Bytes of a ledger record: numbers of kind (1) and frame (1), message (8), reply (2), of how many (2), SN (4; FFFFFFFF: none).
pub const FAULT_BYTES: usize = 18;

/// The SN of a frame that has none.
const NO_SN: u32 = u32::MAX;

/// What a record of [`RecordKind::Fault`] carries.
pub fn fault_bytes(kind: FaultKind, place: Place) -> [u8; FAULT_BYTES] {
    let mut bytes = [0; FAULT_BYTES];
    bytes[0] = kind as u8;
    bytes[1] = place.frame as u8;
    bytes[2..10].copy_from_slice(&place.message.to_le_bytes());
    bytes[10..12].copy_from_slice(&place.reply.to_le_bytes());
    bytes[12..14].copy_from_slice(&place.of.to_le_bytes());
    bytes[14..].copy_from_slice(&place.sn.unwrap_or(NO_SN).to_le_bytes());
    bytes
}

/// Bytes of a record of the message ledger: account (4), number (8), event (1), time since the first send in nanoseconds (8), key (8).
pub const HAPPENED_BYTES: usize = 29;

/// What a record of [`RecordKind::Happened`] carries.
pub fn happened_bytes(happened: &Happened) -> [u8; HAPPENED_BYTES] {
    let mut bytes = [0; HAPPENED_BYTES];
    bytes[..4].copy_from_slice(&happened.account.to_le_bytes());
    bytes[4..12].copy_from_slice(&happened.number.to_le_bytes());
    bytes[12] = happened.event as u8;
    bytes[13..21].copy_from_slice(&happened.since_first_ns.to_le_bytes());
    bytes[21..].copy_from_slice(&happened.key.to_le_bytes());
    bytes
}

/// The reverse; `None` if the bytes are invalid.
pub fn happened_of(bytes: &[u8]) -> Option<Happened> {
    let bytes: &[u8; HAPPENED_BYTES] = bytes.try_into().ok()?;
    let eight = |at: usize| bytes[at..at + 8].try_into().ok();
    Some(Happened {
        account: u32::from_le_bytes(bytes[..4].try_into().ok()?),
        device: u16::MAX,
        message: u16::MAX,
        number: u64::from_le_bytes(eight(4)?),
        event: *Event::ALL.get(usize::from(bytes[12]))?,
        since_first_ns: i64::from_le_bytes(eight(13)?),
        key: u64::from_le_bytes(eight(21)?),
    })
}

/// The reverse; `None` if the bytes are invalid.
pub fn fault_of(bytes: &[u8]) -> Option<(FaultKind, Place)> {
    let bytes: &[u8; FAULT_BYTES] = bytes.try_into().ok()?;
    let two = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let sn = u32::from_le_bytes([bytes[14], bytes[15], bytes[16], bytes[17]]);
    let place = Place {
        message: u64::from_le_bytes(bytes[2..10].try_into().ok()?),
        reply: two(10),
        of: two(12),
        frame: *Struck::ALL.get(usize::from(bytes[1]))?,
        sn: (sn != NO_SN).then_some(sn),
    };
    Some((FaultKind::from_number(bytes[0])?, place))
}

/// A record, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is about.
    pub kind: RecordKind,
    /// Number of the FSU in the fleet.
    pub fsu: u32,
    /// The centre's address.
    pub peer: SocketAddr,
    /// The moment on the wire, Unix time in milliseconds.
    pub unix_ms: i64,
    /// What the responder knew of its frames.
    pub told: Told<'a>,
    /// Records of this FSU lost between the previous one and this one.
    pub lost_before: u32,
    /// The bytes on the wire.
    pub bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// The head before `abouts` of [`About`] and [`Record::bytes`]; `None` where those are too long for it. Of
    /// [`Record::told`] it takes nothing.
    pub fn head(&self, abouts: usize) -> Option<[u8; HEAD_BYTES]> {
        let abouts = u16::try_from(abouts).ok()?;
        let len = u32::try_from(self.bytes.len()).ok()?;
        let mut head = [0; HEAD_BYTES];
        head[LEN..FSU].copy_from_slice(&len.to_le_bytes());
        head[FSU..LOST].copy_from_slice(&self.fsu.to_le_bytes());
        head[LOST..TIME].copy_from_slice(&self.lost_before.to_le_bytes());
        head[TIME..KIND].copy_from_slice(&self.unix_ms.to_le_bytes());
        head[KIND] = self.kind as u8;
        head[ABOUTS..PORT].copy_from_slice(&abouts.to_le_bytes());
        head[PORT..ADDRESS].copy_from_slice(&self.peer.port().to_le_bytes());
        match self.peer.ip() {
            IpAddr::V4(ip) => head[ADDRESS..ADDRESS + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => {
                head[KIND] |= IP6;
                head[ADDRESS..].copy_from_slice(&ip.octets());
            }
        }
        Some(head)
    }

    /// Takes the first record off `queue`, leaving what follows it.
    ///
    /// `Ok(None)`: the record is incomplete. `Err`: it is invalid, and nothing after it can be read.
    pub fn take(queue: &mut &'a [u8]) -> Result<Option<Self>, Damaged> {
        let Some((head, rest)) = queue.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let two = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let abouts = usize::from(two(ABOUTS)) * About::BYTES;
        let Some((abouts, rest)) = rest.split_at_checked(abouts) else { return Ok(None) };
        let Some((bytes, rest)) = rest.split_at_checked(u32_at(head, LEN) as usize) else { return Ok(None) };
        let kind = *RecordKind::ALL.get(usize::from(head[KIND] & !IP6)).ok_or(Damaged)?;
        let told = Told::new(abouts).ok_or(Damaged)?;
        let mut address = [0; 16];
        address.copy_from_slice(&head[ADDRESS..]);
        let ip = if head[KIND] & IP6 == 0 {
            IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(address))
        };
        let mut time = [0; 8];
        time.copy_from_slice(&head[TIME..KIND]);
        *queue = rest;
        Ok(Some(Self {
            kind,
            fsu: u32_at(head, FSU),
            peer: SocketAddr::new(ip, two(PORT)),
            unix_ms: i64::from_le_bytes(time),
            told,
            lost_before: u32_at(head, LOST),
            bytes,
        }))
    }
}

/// Separates the records of one fleet from those of the next.
///
/// In the queue it is a record of no FSU: the epoch as its time, losses that are reported without an FSU's name as its own, and as its
/// bytes four each for the number in the fleet before and the records lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochMark {
    /// The next fleet; the first one is 0.
    pub epoch: u32,
    /// Records lost of FSUs that are gone, by their number in the fleet before.
    pub lost: Vec<(u32, u32)>,
    /// More of them, of whatever FSU.
    pub lost_more: u32,
}

impl EpochMark {
    /// The bytes of its record.
    pub fn bytes(&self) -> Vec<u8> {
        self.lost.iter().flat_map(|(fsu, lost)| [fsu.to_le_bytes(), lost.to_le_bytes()]).flatten().collect()
    }

    /// Its record, with these bytes.
    pub fn record<'a>(&self, bytes: &'a [u8]) -> Record<'a> {
        Record {
            kind: RecordKind::Received,
            fsu: NO_FSU,
            peer: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            unix_ms: i64::from(self.epoch),
            told: Told::default(),
            lost_before: self.lost_more,
            bytes,
        }
    }

    /// The change of fleet in a record, if it is one.
    pub fn of(record: &Record<'_>) -> Option<Self> {
        if record.fsu != NO_FSU {
            return None;
        }
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u32::from_le_bytes);
        let lost = record.bytes.chunks_exact(8).map(|pair| (word(&pair[..4]), word(&pair[4..]))).collect();
        Some(Self { epoch: u32::try_from(record.unix_ms).unwrap_or(0), lost, lost_more: record.lost_before })
    }
}

/// The queue holds bytes that are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

fn u32_at(head: &[u8; HEAD_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsu_plan::wire::reason::Reason;
    use proptest::prelude::*;

    const ABOUT: [u8; About::BYTES] = [0; About::BYTES];

    fn record(bytes: &[u8]) -> Record<'_> {
        Record {
            kind: RecordKind::Reply,
            fsu: 70_000,
            peer: "127.0.0.1:40212".parse().unwrap(),
            unix_ms: 1_768_306_323_184,
            told: Told(&[ABOUT]),
            lost_before: 3,
            bytes,
        }
    }

    fn encode(record: &Record<'_>) -> Vec<u8> {
        [&record.head(record.told.0.len()).unwrap()[..], record.told.0.as_flattened(), record.bytes].concat()
    }

    #[test]
    fn head_is_laid_out_as_documented() {
        let head = record(&[1, 2]).head(3).unwrap();
        assert_eq!(
            hex::encode(head),
            "020000007011010003000000f02e45b79b010000010300149d7f000001000000000000000000000000"
        );
    }

    #[test]
    fn a_turn_comes_back() {
        let turn = EpochMark { epoch: 7, lost: vec![(3, 4), (70_000, 1)], lost_more: 9 };
        let bytes = turn.bytes();
        let encoded = encode(&turn.record(&bytes));
        let read = Record::take(&mut &encoded[..]).unwrap().unwrap();
        assert_eq!((EpochMark::of(&read), EpochMark::of(&record(b"x"))), (Some(turn), None));
    }

    #[test]
    fn no_kind_or_reason_out_of_range() {
        for (at, value) in [
            (KIND, RecordKind::ALL.len() as u8),
            (KIND, 0x7F),
            (HEAD_BYTES + 9, Reason::COUNT as u8),
            (HEAD_BYTES + 9, 0xFE),
        ] {
            let mut bytes = encode(&record(b"x"));
            bytes[at] = value;
            assert_eq!(Record::take(&mut &bytes[..]), Err(Damaged), "{value} at {at}");
        }
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(
            kind in 0..RecordKind::ALL.len(), fsu: u32, lost_before: u32, unix_ms: i64, v6: bool, ip: u128, port: u16,
            abouts in proptest::collection::vec(0..Reason::COUNT, 0..4), bytes: Vec<u8>,
        ) {
            let ip = if v6 { IpAddr::V6(ip.into()) } else { IpAddr::V4((ip as u32).into()) };
            let abouts: Vec<u8> = abouts.iter().flat_map(|&n| About::dropped(Reason::ALL[n]).encode()).collect();
            let (kind, told) = (RecordKind::ALL[kind], Told::new(&abouts).unwrap());
            let record = Record { kind, fsu, peer: SocketAddr::new(ip, port), unix_ms, told, lost_before, bytes: &bytes };
            let mut encoded = encode(&record);
            for cut in 0..encoded.len() {
                prop_assert_eq!(Record::take(&mut &encoded[..cut]), Ok(None));
            }
            encoded.push(0xA5);
            let mut queue = &encoded[..];
            prop_assert_eq!(Record::take(&mut queue), Ok(Some(record)));
            prop_assert_eq!(queue, &[0xA5][..]);
        }

        #[test]
        fn h08_faults_come_back(
            number in 0..FaultKind::COUNT, frame in 0..Struck::ALL.len(), message: u64, reply: u16, of: u16, sn in proptest::option::of(0..NO_SN),
            other in proptest::collection::vec(0u8..20, FAULT_BYTES - 1..FAULT_BYTES + 2),
        ) {
            let (kind, frame) = (FaultKind::ALL[number], Struck::ALL[frame]);
            let place = Place { message, reply, of, frame, sn };
            prop_assert_eq!(fault_of(&fault_bytes(kind, place)), Some((kind, place)));
            let fits = other.len() == FAULT_BYTES && usize::from(other[0]) < FaultKind::COUNT;
            prop_assert_eq!(fault_of(&other).is_some(), fits && usize::from(other[1]) < Struck::ALL.len());
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut queue = &bytes[..];
            while let Ok(Some(_)) = Record::take(&mut queue) {}
        }
    }
}
