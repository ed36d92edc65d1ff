//! Checksums of words, and CRCs whose parameters a template gives (spec shapes.md, Checksums).

use crate::words;

words! {
    /// What is done with the 16-bit words of a span. A last odd byte is the first byte of a word whose other byte is 00.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum WordSum {
        /// Added.
        Sum = "sum16",
        /// Added; what overflows 16 bits is added to the lowest bit.
        Ones = "ones16",
        /// XOR.
        Xor = "xor16",
    }
}

/// A checksum of 16-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// How.
    pub how: WordSum,
    /// The low byte of a word comes first.
    pub little: bool,
}

impl Words {
    /// The checksum of these bytes.
    pub fn of(self, bytes: impl Iterator<Item = u8>) -> u64 {
        let (mut sum, mut xor, mut high) = (0_u64, 0_u64, true);
        for byte in bytes {
            let word = u64::from(byte) << if high == self.little { 0 } else { 8 };
            (sum, xor, high) = (sum + word, xor ^ word, !high);
        }
        match self.how {
            WordSum::Sum => sum,
            WordSum::Xor => xor,
            WordSum::Ones => {
                while sum > 0xFFFF {
                    sum = (sum & 0xFFFF) + (sum >> 16);
                }
                sum
            }
        }
    }
}

/// The parameters of a CRC, as the catalogue has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrcSpec {
    /// Bits, 8 to 64.
    pub width: u32,
    /// The polynomial, highest bit first, without its top bit.
    pub poly: u64,
    /// What the register holds at first.
    pub init: u64,
    /// Each byte begins with its lowest bit.
    pub refin: bool,
    /// The result begins with its lowest bit.
    pub refout: bool,
    /// What the result is XORed with.
    pub xorout: u64,
    /// Each byte goes to the place of the register's high byte, which is moved down first (HJ 212). Of 16 bits with `refin`.
    pub high: bool,
}

/// A CRC with its table.
#[derive(Clone, Debug)]
pub struct FreeCrc {
    spec: CrcSpec,
    table: Box<[u64; 256]>,
    /// Of one whose bytes go to the high place: what eight bytes do to the only byte that the next one sees, the last of them first.
    high: Option<Box<[[u8; 256]; TURN]>>,
}

/// Bytes that are taken at a turn.
const TURN: usize = 8;

/// The lowest `width` bits in the other order.
fn reflect(value: u64, width: u32) -> u64 {
    value.reverse_bits() >> (64 - width)
}

impl FreeCrc {
    /// Makes the table. `spec.width` is 8 to 64.
    pub fn new(spec: CrcSpec) -> Self {
        let mut table = Box::new([0; 256]);
        for (byte, entry) in table.iter_mut().enumerate() {
            let byte = byte as u64;
            *entry = (0..8).fold(if spec.refin { byte } else { byte << 56 }, |value, _| {
                if spec.refin {
                    (value >> 1) ^ if value & 1 == 1 { reflect(spec.poly, spec.width) } else { 0 }
                } else {
                    (value << 1) ^ if value >> 63 == 1 { spec.poly << (64 - spec.width) } else { 0 }
                }
            });
        }
        let high = spec.high.then(|| {
            let mut tables = Box::new([[0; 256]; TURN]);
            for byte in 0..=255_u8 {
                let mut seen = byte;
                for behind in tables.iter_mut() {
                    seen = (table[usize::from(seen)] >> 8) as u8;
                    behind[usize::from(byte)] = seen;
                }
            }
            tables
        });
        Self { spec, table, high }
    }

    /// Its parameters.
    pub fn spec(&self) -> &CrcSpec {
        &self.spec
    }

    /// The CRC of these bytes.
    pub fn of(&self, bytes: impl Iterator<Item = u8>) -> u64 {
        self.end(bytes.fold(self.begin(), |register, byte| self.step(register, byte)))
    }

    /// The CRC of these bytes, which are together.
    pub fn of_slice(&self, bytes: &[u8]) -> u64 {
        let CrcSpec { refin, high, .. } = self.spec;
        // Apart, so that no byte asks which one it is.
        let register = match (refin, high) {
            (true, false) => run(self.begin(), bytes, |register, byte| self.low(register, byte)),
            (true, true) => self.run_high(bytes),
            (false, _) => run(self.begin(), bytes, |register, byte| self.top(register, byte)),
        };
        self.end(register)
    }

    /// The register before the first byte.
    fn begin(&self) -> u64 {
        let CrcSpec { width, init, refin, .. } = self.spec;
        if refin { reflect(init, width) } else { init << (64 - width) }
    }

    /// The register behind a byte.
    #[inline]
    fn step(&self, register: u64, byte: u8) -> u64 {
        match (self.spec.refin, self.spec.high) {
            (true, false) => self.low(register, byte),
            (true, true) => self.high(register, byte),
            (false, _) => self.top(register, byte),
        }
    }

    /// The same of reflected bytes.
    #[inline]
    fn low(&self, register: u64, byte: u8) -> u64 {
        self.table[usize::from(register as u8 ^ byte)] ^ (register >> 8)
    }

    /// The same where a byte goes to the place of the high one. Of 16 bits, so nothing is above the byte then.
    #[inline]
    fn high(&self, register: u64, byte: u8) -> u64 {
        self.table[usize::from((register >> 8) as u8 ^ byte)]
    }

    /// The register behind bytes that go to the place of the high one.
    fn run_high(&self, bytes: &[u8]) -> u64 {
        let mut register = self.begin();
        let Some((tables, (last, rest))) = self.high.as_deref().zip(bytes.split_last()) else {
            return bytes.iter().fold(register, |register, &byte| self.high(register, byte));
        };
        let [first, second, third, fourth, fifth, sixth, seventh, eighth] = tables;
        // The last byte makes both bytes of the register; those before it only what the next one sees.
        let mut seen = (register >> 8) as u8;
        let (words, few) = rest.as_chunks::<TURN>();
        seen = words.iter().fold(seen, |seen, &[a, b, c, d, e, f, g, h]| {
            let upper = seventh[usize::from(b)] ^ sixth[usize::from(c)] ^ fifth[usize::from(d)];
            let lower = fourth[usize::from(e)] ^ third[usize::from(f)] ^ second[usize::from(g)] ^ first[usize::from(h)];
            eighth[usize::from(seen ^ a)] ^ upper ^ lower
        });
        seen = few.iter().fold(seen, |seen, &byte| first[usize::from(seen ^ byte)]);
        register = u64::from(seen) << 8;
        self.high(register, *last)
    }

    /// The same where the highest bit is first, which is the top one here.
    #[inline]
    fn top(&self, register: u64, byte: u8) -> u64 {
        self.table[usize::from((register >> 56) as u8 ^ byte)] ^ (register << 8)
    }

    /// What a register says behind the last byte.
    fn end(&self, register: u64) -> u64 {
        let CrcSpec { width, refin, refout, xorout, .. } = self.spec;
        let end = if refin { register } else { register >> (64 - width) };
        (if refin == refout { end } else { reflect(end, width) }) ^ xorout
    }
}

/// Steps over bytes, eight at a turn.
#[inline]
fn run(register: u64, bytes: &[u8], step: impl Fn(u64, u8) -> u64) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let behind = words.iter().fold(register, |register, &[a, b, c, d, e, f, g, h]| {
        let half = step(step(step(step(register, a), b), c), d);
        step(step(step(step(half, e), f), g), h)
    });
    rest.iter().fold(behind, |register, &byte| step(register, byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crc(name: &str, (width, poly, init): (u32, u64, u64), (refin, refout): (bool, bool), xorout: u64) -> u64 {
        let high = name == "HJ 212";
        let crc = FreeCrc::new(CrcSpec { width, poly, init, refin, refout, xorout, high });
        let text: &[u8] = if high {
            b"QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&"
        } else {
            b"123456789"
        };
        assert_eq!(crc.of_slice(text), crc.of(text.iter().copied()));
        crc.of_slice(text)
    }

    /// The catalogue's values for `123456789`; HJ 212's for the example of the standard.
    #[test]
    fn values_of_the_catalogue() {
        let check = |name: &str, spec: (u32, u64, u64), reflected: (bool, bool), xorout: u64, expected: u64| {
            assert_eq!(crc(name, spec, reflected, xorout), expected, "{name}");
        };
        check("CRC-8/SMBUS", (8, 0x07, 0), (false, false), 0, 0xF4);
        check("CRC-8/MAXIM-DOW", (8, 0x31, 0), (true, true), 0, 0xA1);
        check("CRC-10/ATM", (10, 0x233, 0), (false, false), 0, 0x199);
        check("CRC-12/UMTS", (12, 0x80F, 0), (false, true), 0, 0xDAF);
        check("CRC-16/MODBUS", (16, 0x8005, 0xFFFF), (true, true), 0, 0x4B37);
        check("CRC-16/IBM-3740", (16, 0x1021, 0xFFFF), (false, false), 0, 0x29B1);
        check("CRC-16/DNP", (16, 0x3D65, 0), (true, true), 0xFFFF, 0xEA82);
        check("CRC-16/RIELLO", (16, 0x1021, 0xB2AA), (true, true), 0, 0x63D0);
        check("CRC-24/OPENPGP", (24, 0x86_4CFB, 0xB7_04CE), (false, false), 0, 0x21_CF02);
        check("CRC-32/ISO-HDLC", (32, 0x04C1_1DB7, 0xFFFF_FFFF), (true, true), 0xFFFF_FFFF, 0xCBF4_3926);
        check("CRC-40/GSM", (40, 0x00_0482_0009, 0), (false, false), 0xFF_FFFF_FFFF, 0xD4_164F_C646);
        check("CRC-64/XZ", (64, 0x42F0_E1EB_A9EA_3693, u64::MAX), (true, true), u64::MAX, 0x995D_C9BB_DF19_39FA);
        check("CRC-64/WE", (64, 0x42F0_E1EB_A9EA_3693, u64::MAX), (false, false), u64::MAX, 0x62EC_59E3_F1A4_F00A);
        check("HJ 212", (16, 0x8005, 0xFFFF), (true, true), 0, 0x1C80);
    }

    #[test]
    fn words_of_two_bytes() {
        let check = |hex: &str, expected: [u64; 6]| {
            let bytes = hex::decode(hex).unwrap();
            let all = WordSum::ALL.iter().flat_map(|&how| [false, true].map(|little| Words { how, little }));
            let got: Vec<u64> = all.map(|words| words.of(bytes.iter().copied())).collect();
            assert_eq!(got, expected, "{hex}: sum16, ones16, xor16, each high and low byte first");
        };
        check("", [0; 6]);
        check("12", [0x1200, 0x12, 0x1200, 0x12, 0x1200, 0x12]);
        check("12345678", [0x68AC, 0xAC68, 0x68AC, 0xAC68, 0x444C, 0x4C44]);
        // RFC 1071, 3.
        check("0001F203F4F5F6F7", [0x2_DDF0, 0x1_F2DC, 0xDDF2, 0xF2DD, 0xF000, 0x00F0]);
    }
}
