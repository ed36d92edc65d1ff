//! Which share of a configuration's FSUs a process serves (spec scale.md).
//!
//! Each FSU belongs to one part of several by its identity alone (rendezvous hashing): with one part more, one FSU of as many as there
//! are parts moves, and no other. Every part reads and checks the whole configuration.

use super::fleet::Fsu;
use super::identity::{STEP, identity, mix};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Most parts of a fleet. Each FSU is compared with each part at the start: 100,000 FSUs take half a second with this many.
pub const PARTS_MAX: u32 = 4_096;

/// One part of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which, from 0.
    pub part: u32,
    /// How many there are.
    pub of: u32,
}

/// Why a text is no [`Partition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// Not two numbers.
    #[error("K/N: the part, from 0, and how many there are, e.g. 0/4")]
    Form,
    /// None, or too many.
    #[error("{0} parts (1 to {PARTS_MAX})")]
    Parts(u32),
    /// There is no such part.
    #[error("part {part} of {of}: the parts are 0 to {}", of - 1)]
    Part {
        /// The one that was given.
        part: u32,
        /// How many there are.
        of: u32,
    },
}

impl FromStr for Partition {
    type Err = PartitionError;

    fn from_str(text: &str) -> Result<Self, PartitionError> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number).ok_or(PartitionError::Form)
        };
        let (part, of) = text.split_once('/').ok_or(PartitionError::Form)?;
        let (part, of) = (number(part)?, number(of)?);
        match (part, of) {
            (_, 0) => Err(PartitionError::Parts(of)),
            (_, of) if of > PARTS_MAX => Err(PartitionError::Parts(of)),
            (part, of) if part >= of => Err(PartitionError::Part { part, of }),
            (part, of) => Ok(Self { part, of }),
        }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl Partition {
    /// Whether that FSU belongs to it.
    pub fn has(self, fsu: &Fsu) -> bool {
        self.of_fsu(fsu) == self.part
    }

    /// The part that an FSU belongs to.
    pub fn of_fsu(self, fsu: &Fsu) -> u32 {
        part_of(identity(fsu), self.of)
    }
}

/// The part of an FSU with that identity: the one with the highest weight; of equal ones the first.
fn part_of(identity: u64, of: u32) -> u32 {
    let weight = |part: u32| mix(identity ^ mix(u64::from(part).wrapping_add(1).wrapping_mul(STEP)));
    let mut best = (0, weight(0));
    for part in 1..of {
        let weight = weight(part);
        if weight > best.1 {
            best = (part, weight);
        }
    }
    best.0
}

/// What distinguishes one configuration from another: the CRC-64/XZ over the names and texts of its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u64);

/// Of 64 bits, so that two configurations of one fleet hardly ever have the same.
const CRC: crc::Crc<u64> = crc::Crc::<u64>::new(&crc::CRC_64_XZ);

impl Digest {
    /// That of a text.
    pub fn of(text: &[u8]) -> Self {
        Self(CRC.checksum(text))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Which share of a configuration's FSUs a fleet has.
#[derive(Clone, Debug, Default)]
pub struct Share {
    /// The configuration.
    pub config: Digest,
    /// The part; `None`: all of it.
    pub partition: Option<Partition>,
    /// By number in the part: the number in the undivided fleet. 4 bytes for each FSU; empty for all of it.
    pub numbers: Box<[u32]>,
    /// How many FSUs the undivided fleet has; 0 for all of it.
    pub of: u32,
}

impl Share {
    /// The share of something that the undivided fleet does `whole` times a second; at least once.
    pub(crate) fn of_rate(&self, whole: NonZeroU32, fsus: usize) -> NonZeroU32 {
        if self.partition.is_none() {
            return whole;
        }
        let share = (u64::from(whole.get()) * fsus as u64).div_ceil(u64::from(self.of.max(1)));
        NonZeroU32::new(share as u32).unwrap_or(NonZeroU32::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_as_two_numbers() {
        let of = |text: &str| text.parse::<Partition>().map(|p| p.to_string());
        assert_eq!(of("0/1").as_deref(), Ok("0/1"));
        assert_eq!(of("3/4").as_deref(), Ok("3/4"));
        for text in ["", "1", "/", "1/", "/2", "a/2", "+1/2", "-1/2", "1/2/3", " 1/2", "99999999999/2"] {
            assert_eq!(of(text), Err(PartitionError::Form), "{text}");
        }
        assert_eq!(of("4/4"), Err(PartitionError::Part { part: 4, of: 4 }));
        assert_eq!(of("0/0"), Err(PartitionError::Parts(0)));
    }

    #[test]
    fn limit_parts_max_of_a_fleet() {
        assert!("4095/4096".parse::<Partition>().is_ok());
        assert_eq!("0/4097".parse::<Partition>(), Err(PartitionError::Parts(4_097)));
    }

    #[test]
    fn each_identity_has_one_part_and_another_part_moves_few() {
        let identities: Vec<u64> = (0..10_000_u64).map(|n| mix(n.wrapping_add(1).wrapping_mul(STEP))).collect();
        for of in [1_u32, 2, 4, 8, 63] {
            let mut sizes = vec![0_u32; of as usize];
            let mut moved = 0;
            for &identity in &identities {
                let (now, next) = (part_of(identity, of), part_of(identity, of + 1));
                sizes[now as usize] += 1;
                // Who moves goes to the new part.
                assert!(next == now || next == of);
                moved += u32::from(next == of);
            }
            let even = 10_000 / of;
            assert!(sizes.iter().all(|&size| size.abs_diff(even) < even / 4 + 20), "{of}: {sizes:?}");
            assert!(moved.abs_diff(10_000 / (of + 1)) < 200, "{of}: {moved}");
        }
    }

    #[test]
    fn parts_are_those_of_every_version() {
        let parts: Vec<u32> = (0..12).map(|n| part_of(mix(n), 4)).collect();
        assert_eq!(parts, PARTS_OF_FOUR);
    }

    /// Written down once: a part of yesterday's run is that of today's.
    const PARTS_OF_FOUR: [u32; 12] = [1, 1, 2, 3, 0, 2, 0, 2, 0, 0, 1, 3];
}
