//! CRCs of 16 bits by the table of the `crc` crate, from any register on: what a call of that crate prepares is known beforehand.

use crate::model::profile::Jump;
use crate::model::template::Algorithm;

/// A CRC of 16 bits whose bytes and result are both reflected or both not.
#[derive(Clone, Copy)]
pub struct Crc16<'a> {
    table: &'a [u16; 256],
    is_reflected: bool,
}

impl<'a> Crc16<'a> {
    /// The algorithm, the register before the first byte, and what the result is XORed with; `None`: it is none of these.
    #[inline]
    pub fn new(algorithm: &'a Algorithm) -> Option<(Self, u16, u16)> {
        let Algorithm::Crc16(crc) = algorithm else { return None };
        let &crc::Algorithm { width, init, refin, refout, xorout, .. } = crc.algorithm;
        let [table] = crc.table();
        let init = if refin { init.reverse_bits() } else { init };
        (width == 16 && refin == refout).then_some((Self { table, is_reflected: refin }, init, xorout))
    }

    /// The table of an algorithm that has one, and whether it is reflected.
    #[inline]
    pub fn table(algorithm: &'a Algorithm, is_reflected: bool) -> Option<Self> {
        let Algorithm::Crc16(crc) = algorithm else { return None };
        let [table] = crc.table();
        Some(Self { table, is_reflected })
    }

    /// Whether it is reflected.
    pub fn is_reflected(self) -> bool {
        self.is_reflected
    }

    /// The register behind these bytes.
    #[inline]
    pub fn run(self, mut register: u16, bytes: &[u8]) -> u16 {
        if self.is_reflected {
            for &byte in bytes {
                register = (register >> 8) ^ self.table[usize::from(register as u8 ^ byte)];
            }
        } else {
            for &byte in bytes {
                register = (register << 8) ^ self.table[usize::from((register >> 8) as u8 ^ byte)];
            }
        }
        register
    }

    /// The same of many bytes, eight at a turn.
    pub fn run_many(self, register: u16, bytes: &[u8]) -> u16 {
        let (words, rest) = bytes.as_chunks::<8>();
        let behind = words.iter().fold(register, |register, word| self.run(register, word));
        self.run(behind, rest)
    }

    /// What a register becomes by that many bytes of 00, digit by digit.
    pub fn jump(self, zeros: usize) -> Jump {
        let run = |register| (0..zeros).fold(register, |register, _| self.run(register, &[0]));
        std::array::from_fn(|digit| std::array::from_fn(|value| run((value as u16) << (4 * digit))))
    }
}

/// A register behind what a jump passes over.
#[inline]
pub fn jumped(jump: &Jump, register: u16) -> u16 {
    let digit = |number: u16| jump[usize::from(number)][usize::from((register >> (4 * number)) & 0x0F)];
    digit(0) ^ digit(1) ^ digit(2) ^ digit(3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::plain;
    use proptest::prelude::*;

    #[test]
    fn algorithms_that_are_taken() {
        let check = |name: &'static crc::Algorithm<u16>, is_taken: bool| {
            let algorithm = Algorithm::Crc16(Box::new(crc::Crc::<u16>::new(name)));
            assert_eq!(Crc16::new(&algorithm).is_some(), is_taken);
        };
        check(&crc::CRC_16_MODBUS, true);
        check(&crc::CRC_16_XMODEM, true);
        // Of 12 bits; of reflected bytes with a result that is not.
        check(&crc::CRC_12_DECT, false);
        check(&crc::CRC_12_UMTS, false);
        assert!(Crc16::new(&Algorithm::Sum).is_none());
    }

    proptest! {
        #[test]
        fn they_are_those_of_the_crate(bytes: Vec<u8>, at: prop::sample::Index, zeros in 0..40_usize) {
            for name in [&crc::CRC_16_MODBUS, &crc::CRC_16_XMODEM, &crc::CRC_16_IBM_SDLC, &crc::CRC_16_GENIBUS] {
                let algorithm = Algorithm::Crc16(Box::new(crc::Crc::<u16>::new(name)));
                let (crc, init, xorout) = Crc16::new(&algorithm).expect("of 16 bits");
                let (before, after) = bytes.split_at(at.index(bytes.len() + 1));
                let register = crc.run(crc.run(init, before), after);
                prop_assert_eq!(register, crc.run_many(init, &bytes));
                prop_assert_eq!(u64::from(register ^ xorout), plain(&algorithm, &bytes));
                prop_assert_eq!(jumped(&crc.jump(zeros), register), crc.run(register, &vec![0; zeros]));
                // Bytes that are not 00 are added to that.
                let behind = crc.run(0, after);
                let register = crc.run(init, before);
                prop_assert_eq!(jumped(&crc.jump(after.len()), register) ^ behind, crc.run(register, after));
            }
        }
    }
}
